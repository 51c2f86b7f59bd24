"""Every row says which program, which versions and which networks made it."""

import platform
from importlib import metadata

from privsc.experiments.provenance import Identities, stamps
from privsc.provenance import PACKAGES


def test_the_versions_of_what_a_figure_depends_on_are_in_every_row(monkeypatch):
    monkeypatch.setenv("PRIVSC_REVISION", "abc")
    row = dict(stamps(Identities("S", "T", "U", "M")))
    assert (row["encoder"], row["text"], row["recovery"], row["revision"]) == ("S", "T", "U", "abc")
    assert {"numpy", "torch", "sionna"} <= set(PACKAGES) <= set(row)
    for package in PACKAGES:
        assert row[package] == metadata.version(package)
    assert row["python"] == platform.python_version()
    assert len(row["weights_sha256"]) == 16
