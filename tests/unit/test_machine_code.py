"""The cache of machine code: it belongs to all sources, and damage to it does no harm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mixpanel_source
from mixpanel_source.decode.scan import machine_code

PROGRAM = """
import numpy as np
from mixpanel_source.decode.scan.unescape import _escaped
text = np.frombuffer(b"u0041", np.uint8)
print(_escaped(text.ctypes.data, 0)[0])
"""
"""Calls a compiled function that calls one of another module."""


def run(root: Path, cache: Path) -> str:
    """Run `PROGRAM` with a copy of the package; returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.slow
def test_machine_code_follows_what_it_calls(tmp_path: Path) -> None:
    """After an edit of a called function, the caller does not use old machine code.

    Nor does it use a damaged file of the cache.
    """
    root, cache = tmp_path / "root", tmp_path / "cache"
    package = root / "mixpanel_source"
    shutil.copytree(
        Path(mixpanel_source.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    assert run(root, cache) == "65"
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert files
    for number, path in enumerate(files):
        path.write_bytes(path.read_bytes()[: number * 100])
    assert run(root, cache) == "65"
    called = package / "decode/scan/strings.py"
    text = called.read_text()
    assert text.count("code * 16 + byte - ZERO") == 1
    called.write_text(text.replace("code * 16 + byte - ZERO", "code * 16 + byte - ZERO + 1"))
    assert run(root, cache) == str(0x1152)


def test_all_sources_are_known() -> None:
    """What the compiled modules import from outside is part of the name of the directory."""
    scan = Path(machine_code.__file__).parent
    imported = {
        name
        for path in scan.glob("*.py")
        for name in re.findall(r"^ *from \.\.([\w.]*) import", path.read_text(), re.MULTILINE)
    }
    # "." is `from ... import constants` of `tape`, whose limit is checked before compiled code runs
    assert imported == {".", *machine_code.OUTSIDE}


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-9], lambda content: bytes(len(content)), lambda _: b""],
    ids=["cut", "zeroed", "empty"],
)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_file_counts_as_missing(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    """Neither a damaged index nor damaged machine code is read, and the next save replaces it."""
    checked: Any = machine_code._CheckedFile
    file = checked(str(tmp_path), "function", None)
    file.save("key", "code" * 99)
    assert file.load("key") == "code" * 99
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    assert file.load("key") is None
    file.save("key", "new")
    assert file.load("key") == "new"


def test_no_directory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no directory can be written, the code is compiled without a cache."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(machine_code, "_parents", lambda: [tmp_path / "file"])
    assert machine_code.cache_directory.__wrapped__() is None


def test_old_directories_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many versions only the newest are kept."""
    monkeypatch.setattr(machine_code, "_parents", lambda: [tmp_path / "cache"])
    for number in range(7):
        monkeypatch.setattr(machine_code, "sources_digest", lambda number=number: str(number))
        directory = machine_code.cache_directory.__wrapped__()
        assert directory is not None
        os.utime(directory, (number, number))
    kept = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert kept == [f"mixpanel-source-{number}" for number in (3, 4, 5, 6)]
