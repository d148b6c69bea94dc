"""Every place that lists the settings agrees with their declaration in `Config`."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mixpanel_source import mixpanel_source
from mixpanel_source.config.build import build_config
from mixpanel_source.config.declaration import Setting
from mixpanel_source.config.document import PARTS, ROOT, default_of, toml_of, updated
from mixpanel_source.config.model import SETTING_NAMES, SETTINGS, Config
from mixpanel_source.config.providers import load_config
from mixpanel_source.config.settings import Settings
from tests.support.settings import write_dlt_file

REQUIRED: dict[str, Any] = {"username": "u", "secret": "s", "project_id": 1}
PATHS = sorted({part.path for part in PARTS})


def read(path: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_files_are_up_to_date(path: str) -> None:
    """Nothing would change; else run `python -m mixpanel_source.config.document`."""
    assert read(path) == updated(path)


@pytest.mark.parametrize("declared", SETTINGS, ids=lambda declared: declared.name)
def test_documentation(declared: Setting) -> None:
    """A description is a line without its full stop, and its example and default are valid."""
    assert re.fullmatch(r"[A-Z`].*[^.\s]", declared.meaning)
    assert "|" not in f"{declared.meaning}{declared.parser.values}{default_of(declared)}"
    if declared.file is not None:
        build_config({**REQUIRED, declared.name: declared.example})
    if not declared.required and not declared.default_text:
        assert getattr(build_config(REQUIRED), declared.name) == declared.default


def test_settings_are_arguments() -> None:
    """`Settings` and `mixpanel_source()` take every setting, none of which has to be passed."""
    parameters = inspect.signature(mixpanel_source).parameters
    assert tuple(parameters) == SETTING_NAMES
    assert all(parameter.default is None for parameter in parameters.values())
    assert tuple(Settings.__annotations__) == SETTING_NAMES
    assert Settings.__optional_keys__ == set(SETTING_NAMES)


def test_readme_has_every_setting() -> None:
    """Each has a row in a table of its section, and no other name has."""
    section = read("README.md").split("## Settings\n")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == SETTING_NAMES


def test_config_file_names_every_setting_that_is_no_secret() -> None:
    """`.dlt/config.toml` has a line for each setting, and no other."""
    text = read(".dlt/config.toml").rpartition("[sources.mixpanel]\n")[2]
    listed = set(re.findall(r"^# ([a-z_]+) = ", text, re.MULTILINE))
    assert listed == set(SETTING_NAMES) - {"username", "secret", "project_id", "mask_key", "range"}


def test_secrets_example_names_the_secrets() -> None:
    """`.dlt/secrets.toml.example` has the three settings that have no default, and the key."""
    text = read(".dlt/secrets.toml.example")
    assert "\n# mask_key = " in text
    assert re.findall(r"^([a-z_]+) = ", text, re.MULTILINE) == ["username", "secret", "project_id"]


def test_example_files_load(tmp_path: Path) -> None:
    """Both files are read by dlt as they stand, with every setting uncommented."""
    text = re.sub(r"^# ([a-z_]+ = )", r"\1", read(".dlt/config.toml"), flags=re.MULTILINE)
    write_dlt_file(tmp_path, "config.toml", text)
    secrets = read(".dlt/secrets.toml.example").replace("# mask_key = ", "mask_key = ")
    write_dlt_file(tmp_path, "secrets.toml", secrets)
    examples = {one.name: one.example for one in SETTINGS if one.file is not None}
    assert load_config({}) == build_config(examples)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('say "a"', "'say \"a\"'"),
        (True, "true"),
        (1.0, "1"),
        (0.5, "0.5"),
        ([1, "a"], '[1, "a"]'),
        ({"a": {"b": [1]}}, "{ a = { b = [1] } }"),
        ({"$a b": 1}, '{ "$a b" = 1 }'),
    ],
)
def test_toml(value: object, text: str) -> None:
    """Text with quotes in it is a literal, and numbers have no superfluous digits."""
    assert toml_of(value) == text


def test_marks_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file whose marks were removed is not rewritten in silence."""
    monkeypatch.setattr("mixpanel_source.config.document.ROOT", tmp_path)
    (tmp_path / "README.md").write_text("## Settings\n")
    with pytest.raises(ValueError, match=r"README.md: nothing between '<!-- settings: begin"):
        updated("README.md")


def test_declaration_is_a_field() -> None:
    """A setting without a default is required, and keeps its place among the fields."""
    assert tuple(field.name for field in fields(Config)) == SETTING_NAMES
    assert [one.name for one in SETTINGS if one.required] == [*REQUIRED]
