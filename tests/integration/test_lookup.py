"""Unknown names in the environment and in files are errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpanel_source.config.providers import load_config
from mixpanel_source.errors import ConfigError
from tests.support.settings import write_dlt_file

ACCOUNT = {"username": "u", "secret": "s", "project_id": 1}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SOURCES__MIXPANEL__LOOKBACK_DAY", "lookback_days"),
        ("SOURCES__MIXPANEL_SOURCE__ANCHOR_DATES", "anchor_date"),
    ],
)
def test_misspelt_variable(monkeypatch: pytest.MonkeyPatch, variable: str, meant: str) -> None:
    """The message has the variable and the nearest valid name, and not the value."""
    monkeypatch.setenv(variable, "a-secret-maybe")
    with pytest.raises(ConfigError, match=rf"no setting \w+ \({variable}\): did you mean {meant}"):
        load_config(ACCOUNT)
    monkeypatch.delenv(variable)
    assert load_config(ACCOUNT).project_id == 1


def test_misspelt_lines_of_a_file(tmp_path: Path) -> None:
    """The message lists all of them, with the file."""
    write_dlt_file(tmp_path, "config.toml", "[sources.mixpanel]\nregoin = 'eu'\nwindowdays = 7\n")
    with pytest.raises(ConfigError) as raised:
        load_config(ACCOUNT)
    message = str(raised.value)
    assert "no setting regoin ([sources.mixpanel] of config.toml): did you mean region?" in message
    assert "no setting windowdays" in message
    assert "did you mean window_days?" in message


def test_what_is_dlts_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections below `[sources.mixpanel]` belong to dlt and are not checked."""
    monkeypatch.setenv("SOURCES__MIXPANEL__DATA_WRITER__BUFFER_MAX_ITEMS", "100")
    write_dlt_file(tmp_path, "config.toml", "[sources.mixpanel.extract]\nworkers = 2\n")
    assert load_config(ACCOUNT).project_id == 1
