"""Where the settings of the destination come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpanel_destination.settings import load_settings
from mixpanel_source.constants import REGIONS
from mixpanel_source.errors import ConfigError
from tests.support.settings import write_dlt_file

SECTION = """
[destination.mixpanel]
username = "u"
secret = "s"
project_id = 7
region = "eu"
"""


def test_settings_are_read_from_files(tmp_path: Path) -> None:
    """They come from the section; what is passed takes precedence, and a region sets hosts."""
    write_dlt_file(tmp_path, "secrets.toml", SECTION)
    settings = load_settings({"pace": 0})
    assert (settings.project_id, settings.pace, settings.token) == (7, 0, None)
    assert settings.ingestion_base_url == REGIONS["eu"].ingestion
    assert "'s'" not in repr(settings)
    write_dlt_file(
        tmp_path, "secrets.toml", SECTION.replace("[destination.mixpanel]", "[destination.copy]")
    )
    assert load_settings(name="copy").project_id == 7


def test_misspelt_settings_are_named(tmp_path: Path) -> None:
    """A name that does not exist is refused, with the nearest that does."""
    write_dlt_file(tmp_path, "secrets.toml", SECTION + 'tokn = "t"\n')
    with pytest.raises(ConfigError, match="did you mean token"):
        load_settings()


def test_bare_variables_are_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables such as REGION, which many systems set to something else, are not read."""
    write_dlt_file(tmp_path, "secrets.toml", SECTION)
    for name, value in (("REGION", "us-east-1"), ("TOKEN", "x"), ("USERNAME", "root")):
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.region, settings.token, settings.username) == ("eu", None, "u")


def test_settings_of_the_source_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account of the source does not write."""
    write_dlt_file(tmp_path, "secrets.toml", SECTION.replace("destination", "sources"))
    monkeypatch.setenv("DESTINATION__MIXPANEL__PROJECT_ID", "7")
    with pytest.raises(ConfigError, match="username is not set"):
        load_settings()
