"""The files beside the source: what they name exists, and they agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from privsc.cli.app import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")


def test_the_workflow_calls_targets_that_exist_on_the_distributions_of_the_readme():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text()
    called = {
        target
        for step in steps
        if "if" not in step  # documentation is built where there is some
        for target in re.findall(r"^make (\S+)", step["run"], re.MULTILINE)
    }
    assert {"test", "lint", "wheel"} <= called
    for target in called:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    images = {entry["image"] for entry in workflow["jobs"]["test"]["strategy"]["matrix"]["include"]}
    assert images == {"debian:12", "debian:13", "ubuntu:24.04"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format demands
    assert citation["version"] == PROJECT["version"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Chang", "Chen", "Wang", "Zhang"]
    assert paper["url"] == PROJECT["urls"]["Paper"] == "https://arxiv.org/abs/2509.08142"


def test_the_changelog_has_this_version_with_its_date():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert (PROJECT["version"], str(citation["date-released"])) in headings
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"
    }  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (ROOT / target).is_file(), target
    for path in re.findall(r"`((?:privsc|phy|tests|scripts|flowgraphs|hardware)/[\w./-]*)`", text):
        assert (ROOT / path).exists() or "Folders follow" in text, path


def test_every_extra_has_packages_and_every_missing_package_an_extra():
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {"radio", "sweep", "train", "full", "dev"}
    assert set(EXTRAS.values()) == set(extras) - {"dev"}
    assert "privsc[radio,sweep,train,full]" in extras["dev"]
    imported = {"zmq": "pyzmq", "sklearn": "scikit-learn", "dask": "distributed"}
    for module, extra in EXTRAS.items():
        package = imported.get(module, module.replace("_", "-"))
        assert any(one.startswith(package) for one in extras[extra]), module
        assert not any(re.split("[<>=]", one)[0] == package for one in PROJECT["dependencies"]), module


def test_the_pythons_that_are_declared_are_those_of_the_distributions():
    minors = [
        c.rpartition(".")[2] for c in PROJECT["classifiers"] if c.startswith("Programming Language :: Python :: 3.")
    ]
    assert minors == ["11", "12", "13"]
    assert PROJECT["requires-python"] == ">=3.11"
