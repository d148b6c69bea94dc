"""The extensions that DuckDB needs for a lake, from packages of the package index.

DuckDB would download a missing extension when it is first used. A job must not depend on that, nor
run code that nobody pinned: an extension comes from a package such as
`duckdb-extension-ducklake`, or is one that the user has installed in DuckDB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ...errors import ConfigError
from ...sql import quote_text

_CATALOGS = {"duckdb": (), "postgres": ("postgres_scanner",), "sqlite": ("sqlite_scanner",)}
"""Kind of catalog -> the extensions it needs."""
_STORAGES = {"s3": ("httpfs", "aws"), "gs": ("httpfs",), "gcs": ("httpfs",), "az": ("azure",)}
"""Scheme of the storage -> the extensions it needs; others are local."""


def needed_extensions(catalog: str, storage: str) -> Sequence[str]:
    """The extensions for a lake.

    Args:
        catalog: kind of the catalog's database.
        storage: scheme of the address of the files.
    """
    return (*_CATALOGS.get(catalog, ()), *_STORAGES.get(storage, ()), "ducklake")


def load_extensions(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Load extensions into the instance of a connection, and forbid downloads there.

    Raises:
        ConfigError: one is not installed for this version of DuckDB.
    """
    connection.execute("SET GLOBAL autoinstall_known_extensions = false")
    for name in names:
        file = find_packaged(name)
        try:
            connection.execute(f"LOAD {quote_text(str(file)) if file else name}")
        except duckdb.Error as error:
            raise ConfigError(_explain(name)) from error


def find_packaged(name: str) -> Path | None:
    """The file of an extension for this version of DuckDB; None without such a package."""
    file = _directory(name) / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return file if file.is_file() else None


def _directory(name: str) -> Path:
    """The directory with a directory for each version of DuckDB, which may not exist."""
    package = find_spec(f"duckdb_extension_{name}")
    origin = package.origin if package else None
    return Path(origin or "").parent / "extensions"


def _explain(name: str) -> str:
    versions = sorted(path.name for path in _directory(name).glob("v*"))
    others = [version[1:] for version in versions if re.match(r"v\d", version)]
    found = f"is installed for DuckDB {', '.join(others)} only" if others else "is not installed"
    return (
        f"destination ducklake needs the extension {name} of DuckDB, which {found}; DuckDB "
        f"{duckdb.__version__} is installed. Install versions that fit: pip install "
        "'mixpanel-source[ducklake]'."
    )
