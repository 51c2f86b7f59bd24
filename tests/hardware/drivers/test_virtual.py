"""Where the virtual radio's driver is built and looked for."""

from pathlib import Path

import pytest

from hardware.drivers import virtual
from hardware.errors import DeviceError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As where privsc is no checkout; gives the folder of a build."""
    monkeypatch.setattr(virtual, "ROOT", tmp_path / "site-packages")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "privsc" / "soapy_zmq"


def test_a_checkout_keeps_it_beside_the_source():
    assert virtual.build_folder() == virtual.SOURCE / "build"
    assert (virtual.SOURCE / "CMakeLists.txt").is_file()


def test_an_installed_package_keeps_it_with_the_user_s_data(installed, monkeypatch):
    assert virtual.build_folder() == installed
    assert virtual.driver_folder() is None
    installed.mkdir(parents=True)
    (installed / "libzmqSupport.so").touch()
    assert virtual.driver_folder() == installed
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/somebody")
    assert virtual.build_folder() == Path("/somebody/.local/share/privsc/soapy_zmq")


def test_what_a_build_needs_is_named_with_its_packages(installed, monkeypatch):
    monkeypatch.setattr(virtual, "NEEDED", {"no-such-compiler": "g++", "/no/such/zmq.h": "libzmq3-dev", "sh": "dash"})
    with pytest.raises(DeviceError, match=r"not built: run sudo apt-get install g\+\+ libzmq3-dev$"):
        virtual.build()
    assert not installed.exists()


def test_a_source_that_does_not_compile_is_one_line_of_the_tool(installed, tmp_path, monkeypatch):
    monkeypatch.setattr(virtual, "NEEDED", {})
    monkeypatch.setattr(virtual, "SOURCE", tmp_path / "empty")
    tool = tmp_path / "tools" / "cmake"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'CMake Error: the source directory is empty'\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    with pytest.raises(DeviceError, match=r"^the driver is not built: CMake Error: the source directory is empty$"):
        virtual.build()
