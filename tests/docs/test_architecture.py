"""The architecture page names modules, classes and layers that exist."""

from __future__ import annotations

import re
from pathlib import Path

import tomlkit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mixpanel_source"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

# a path with a folder, or a module at the root of the package
PATH = re.compile(r"(?<![\w/.])(?:(?:\w+/)+(?:\w+\.\w+)?|\w+\.py)(?![\w/])")


def test_paths_exist() -> None:
    """Every file and folder on the page is in the package or the repository."""
    paths = set(PATH.findall(PAGE))
    assert len(paths) > 20
    missing = [
        path for path in paths if not any((base / path).exists() for base in (PACKAGE, ROOT))
    ]
    assert sorted(missing) == []


def test_modules_that_are_run_exist() -> None:
    """Each `python -m` on the page and in the README names a module."""
    texts = PAGE + (ROOT / "README.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"`python -m ([\w.]+)`", texts))
    assert len(modules) == 3
    paths = {ROOT / name.replace(".", "/") for name in modules}
    modules_found = {path for path in paths if path.with_suffix(".py").exists()}
    programs_found = {path for path in paths if (path / "__main__.py").exists()}
    assert paths - modules_found - programs_found == set()


def test_classes_exist() -> None:
    """Every class named on the page is defined, in the module given beside it if there is one."""
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    defined = set(re.findall(r"^class (\w+)", "\n".join(sources), re.MULTILINE))
    named = set(re.findall(r"`([A-Z][a-z]\w+)`", PAGE))
    assert named
    assert named - defined == set()
    for name, module in re.findall(r"^\| `(\w+)` \| `([\w/.]+)` \|", PAGE, re.MULTILINE):
        assert f"class {name}" in (PACKAGE / module).read_text(encoding="utf-8"), name


def test_layers_are_those_that_are_checked() -> None:
    """The layers are those of the contract in pyproject.toml, in its order."""
    settings = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["name"] == "Layers"]
    assert "```text\n" + "\n".join(layers) + "\n```" in PAGE
