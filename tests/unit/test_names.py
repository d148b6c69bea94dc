"""Which names are valid, and which name DuckDB gives a database."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mixpanel_source import open_pipeline
from mixpanel_source.config.names import check_names
from mixpanel_source.destinations.duckdb.merge import database_name, is_unusable
from mixpanel_source.errors import ConfigError


@pytest.mark.parametrize("name", ["mixpanel-eu", "_", "1", "données", "日本", "x" * 64])
def test_names_of_pipelines(name: str) -> None:
    """Letters and digits of any script, underscores and hyphens are valid."""
    check_names(name, "mixpanel")


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "..", "a.b", "-x", "x" * 65, "a\n", "%"])
def test_wrong_names_of_pipelines(name: str) -> None:
    """Other names are refused, saying which are valid."""
    with pytest.raises(ConfigError, match="letters, digits, underscores and hyphens"):
        check_names(name, "mixpanel")


@pytest.mark.parametrize("dataset", ["", " ", "--", "_", "Information_Schema", "pg_catalog"])
def test_wrong_names_of_datasets(dataset: str) -> None:
    """Names that no dataset can have are refused."""
    with pytest.raises(ConfigError, match="--dataset"):
        check_names("mixpanel", dataset)


@pytest.mark.parametrize(
    "name",
    [
        *("Mixpanel.duckdb", "mixpanel.v2.duckdb", ".duckdb", ".a.duckdb", "a..b.db", "noext"),
        *("main.duckdb", "temp.db", "Main.x", "export.duckdb", "memory.duckdb", "-x.duckdb"),
        *("a b.duckdb", "quo'te\".duckdb", "日本.duckdb"),
    ],
)
def test_name_of_a_database(tmp_path: Path, name: str) -> None:
    """It is the one that DuckDB reports."""
    with duckdb.connect(str(tmp_path / name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (
            database_name(tmp_path / name),
        )


@pytest.mark.parametrize("name", ["Temp.db", "SYSTEM.x.y"])
def test_name_of_a_database_of_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """DuckDB 2 gives the database another name; DuckDB 1 fails, so the file is refused."""
    file = tmp_path / name
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
    if is_unusable(file):
        with pytest.raises(ConfigError, match=f"cannot use a file named {name}"):
            open_pipeline()
        return
    open_pipeline()
    with duckdb.connect(str(file)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (database_name(file),)


def test_name_of_a_linked_database(tmp_path: Path) -> None:
    """It is that of the file to which a link leads."""
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "file.duckdb")
    assert database_name(tmp_path / "link.duckdb") == "file"
