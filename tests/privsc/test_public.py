"""`import privsc`: what it gives, that it loads nothing before it is asked, and that its own packages win."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import privsc

HEAVY = ("torch", "numpy", "scipy", "PIL", "sionna", "phy", "typer")


def fresh(code: str) -> list:
    """What new Python processes print as JSON after the code."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_privsc_loads_neither_torch_nor_numpy():
    before = (
        f"import json, sys; import privsc; dir(privsc); print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    assert fresh(before) == []


def test_asking_for_k_loads_numpy_and_no_torch():
    code = f"import json, sys; from privsc import open_k; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    loaded = fresh(code)
    assert "numpy" in loaded and "torch" not in loaded


def test_every_public_name_resolves_and_stays():
    assert sorted(privsc.__all__) == sorted([*privsc.PUBLIC, "__version__"])
    for name in privsc.__all__:
        found = getattr(privsc, name)
        assert privsc.__dict__[name] is found
        assert name in dir(privsc)
    assert privsc.open_k == privsc.knowledge.database.Database.open
    assert privsc.channels.make_channel("awgn", snr_db=10.0, seed=1).snr_db == 10.0
    assert privsc.__version__[0].isdigit()


def test_type_checkers_see_the_same_table():
    tree = ast.parse(inspect.getsource(privsc))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    imported, seen = {}, {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}:{alias.name}"
        elif isinstance(node, ast.Assign):
            for target, value in zip(node.targets[0].elts, node.value.elts, strict=True):
                seen[target.id] = imported.pop(value.value.id) + "." + value.attr
    seen |= imported
    assert seen["channels"].replace(":", ".") == privsc.PUBLIC["channels"]
    assert seen | {"channels": privsc.PUBLIC["channels"]} == privsc.PUBLIC


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'privsc' has no attribute 'reciever'"):
        _ = privsc.reciever
    with pytest.raises(ImportError):
        from privsc import nothing_of_that_name  # noqa: F401


def test_own_packages_come_first_and_a_stranger_of_the_name_is_refused(tmp_path, monkeypatch):
    own, other = tmp_path / "privsc" / "_lib", tmp_path / "site" / "hardware"
    for package in (own / "phy", own / "hardware", other):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
    for name in ("phy", "hardware", "flowgraphs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), str(own), *sys.path])
    privsc._prefer_own_packages(own)
    assert sys.path[:2] == [str(own), str(tmp_path / "site")] and sys.path.count(str(own)) == 1
    monkeypatch.setitem(sys.modules, "hardware", type(sys)("hardware"))
    sys.modules["hardware"].__file__ = str(other / "__init__.py")
    with pytest.raises(ImportError, match=r"hardware: privsc has a package of this name, but .*site.hardware"):
        privsc._prefer_own_packages(own)


def test_both_packages_say_that_they_are_typed():
    root = Path(privsc.__file__).parents[1]
    assert (root / "privsc" / "py.typed").is_file() and (root / "phy" / "py.typed").is_file()
