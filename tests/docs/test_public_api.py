"""Pipelines and documentation use only the public API, whose tables agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import mixpanel_source
from mixpanel_source import errors

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(ROOT.glob("pipelines/**/*.py"))
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]

CODE_BLOCK = re.compile(r"^( *)```python\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def find_violations(source: str) -> list[str]:
    """Return the imports from the package that are not part of the public API."""
    return [name for name in imported_names(source) if not is_public(name)]


def imported_names(source: str) -> Iterator[str]:
    """Yield the full dotted names that code imports from the package."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] == "mixpanel_source")


def is_public(name: str) -> bool:
    """Return whether a dotted name is in `__all__`, or is `errors` or a public name in it."""
    match name.split("."):
        case [_] | [_, "errors"]:
            return True
        case [_, member]:
            return member in mixpanel_source.__all__
        case [_, "errors", member]:
            return not member.startswith("_") and hasattr(errors, member)
        case [_, "dagster" | "airflow" as orchestrator, member]:
            return member in names_of(orchestrator)
    return False


def names_of(orchestrator: str) -> set[str]:
    """Return `__all__` of a module that needs packages which are not installed here."""
    source = (ROOT / "mixpanel_source" / f"{orchestrator}.py").read_text(encoding="utf-8")
    (names,) = re.findall(r"^__all__ = (\[.*?\])", source, re.MULTILINE | re.DOTALL)
    return set(ast.literal_eval(names))


def code_blocks(page: str) -> list[str]:
    """Return the Python code blocks of a Markdown page."""
    return [dedent(block) for _, block in CODE_BLOCK.findall(page)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_pipelines_import_only_the_public_api(path: Path) -> None:
    """A user can copy a pipeline without depending on internals."""
    assert find_violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_in_pages_imports_only_the_public_api(path: Path) -> None:
    """Every Python code block of a page parses and imports only public names."""
    page = path.read_text(encoding="utf-8")
    violations = [name for block in code_blocks(page) for name in find_violations(block)]
    assert violations == []


def test_pages_have_code_blocks() -> None:
    """The pattern finds every Python block of the pages, and there are some."""
    pages = [path.read_text(encoding="utf-8") for path in PAGES]
    counts = [len(code_blocks(page)) for page in pages]
    assert counts == [page.count("```python") for page in pages]
    assert sum(counts) > 0


@pytest.mark.parametrize(
    ("source", "violations"),
    [
        ("import mixpanel_source\nfrom mixpanel_source import errors, sync", []),
        ("from mixpanel_source.errors import MixpanelError", []),
        ("import mixpanel_source.errors, mixpanel_sandbox.routes", []),
        ("from mixpanel_source import jobs", ["mixpanel_source.jobs"]),
        ("from mixpanel_source.jobs import sync", ["mixpanel_source.jobs.sync"]),
        ("import mixpanel_source.api.client as c", ["mixpanel_source.api.client"]),
        ("from mixpanel_source import *", ["mixpanel_source.*"]),
        ("from mixpanel_source.dagster import build_assets", []),
        ("from mixpanel_source.airflow import Target", ["mixpanel_source.airflow.Target"]),
        ("from mixpanel_source.errors import Missing", ["mixpanel_source.errors.Missing"]),
        ("def f():\n    from mixpanel_source import _MODULES", ["mixpanel_source._MODULES"]),
    ],
)
def test_violations_are_found(source: str, violations: list[str]) -> None:
    """The check finds private imports in every form and at every level."""
    assert find_violations(source) == violations


def test_all_is_sorted_and_importable() -> None:
    """`__all__` lists classes before functions, each sorted, and every name exists."""
    expected = sorted(mixpanel_source.__all__, key=lambda name: (name.islower(), name))
    assert mixpanel_source.__all__ == expected
    assert len(set(mixpanel_source.__all__)) == len(mixpanel_source.__all__)
    for name in mixpanel_source.__all__:
        assert getattr(mixpanel_source, name) is not None


def test_all_equals_the_lazy_imports() -> None:
    """`__all__`, the table of lazy imports and the imports for type checkers agree."""
    tree = ast.parse((ROOT / "mixpanel_source" / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name: f".{node.module}"
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == mixpanel_source._MODULES
    assert sorted(mixpanel_source._MODULES) == sorted(mixpanel_source.__all__)
