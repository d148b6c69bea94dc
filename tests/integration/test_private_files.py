"""What lies on the local disk can be read by its owner only, and goes when it is loaded."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import dlt
import pytest

from mixpanel_source.errors import AuthError, MixpanelError
from mixpanel_source.files import create_private, make_private
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")

INSERT_ID = f"{YESTERDAY}-1".encode()
NAME = b"Name 4"
"""Of a profile."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture(autouse=True)
def permissive_umask() -> Iterator[None]:
    """The usual umask, with which everyone may read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable_files(directory: Path) -> list[str]:
    """The files below a directory that other users can reach and read."""
    found = []
    for root, directories, files in os.walk(directory):
        kept = [name for name in directories if is_open(Path(root, name))]
        directories[:] = kept
        found += [name for name in files if is_open(Path(root, name))]
    return found


def is_open(path: Path) -> bool:
    """Whether other users may enter a directory or read a file."""
    return bool(path.stat().st_mode & OTHERS)


def packages(directory: Path) -> list[str]:
    """The files of load packages that dlt keeps."""
    return [path.name for path in directory.rglob("*_jobs/*")]


def test_nothing_is_readable_while_loading(lab: Lab, tmp_path: Path) -> None:
    """Neither the spool nor dlt's packages, also of a directory that was there before."""
    for directory in (Path(lab.pipeline.working_dir), lab.spool.parent, lab.spool):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
    lab.leave_pending_package("export")
    assert packages(tmp_path / "dlt-data")
    assert lab.spooled_files()
    assert readable_files(tmp_path / "dlt-data") == []


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_spool_of_an_interrupted_load(lab: Lab, encrypted: bool) -> None:
    """Encrypted, it reveals nothing; the next job loads it without requesting it again."""
    lab.overrides = {"encrypt_spool": encrypted}
    for table in ("export", "engage"):
        lab.leave_pending_package(table)
    stored = [unzipped(path) for path in lab.spool.iterdir()]
    revealed = [text for text in (INSERT_ID, NAME) if any(text in content for content in stored)]
    assert revealed == ([] if encrypted else [INSERT_ID, NAME])
    assert lab.sync("export", "engage").failures == {}
    assert lab.sandbox.requests == []
    lab.assert_events_kept()
    lab.assert_profiles_kept()


def unzipped(path: Path) -> bytes:
    """The content of a file, which may be a reply as it was received."""
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def test_plain_run_is_private_too(lab: Lab, tmp_path: Path) -> None:
    """A script that runs the source without a job has a private working directory."""
    pipeline = dlt.pipeline("script", destination="duckdb", dataset_name="script_data")
    pipeline.run(lab.source("export"))
    assert packages(tmp_path / "dlt-data")
    assert readable_files(tmp_path / "dlt-data") == []


def test_packages_are_deleted_once_loaded(lab: Lab, tmp_path: Path) -> None:
    """After a sync, dlt's working directory holds no rows."""
    assert lab.sync().failures == {}
    assert packages(tmp_path / "dlt-data") == []
    assert readable_files(tmp_path / "dlt-data") == []
    assert lab.pipeline.dataset().table("export").fetchall()


def test_packages_are_deleted_after_a_failure(lab: Lab, tmp_path: Path) -> None:
    """After a sync that could not load, the spool has the rows, and nothing else."""
    lab.sync("export")
    with lab.pipeline.sql_client() as client:
        client.execute_sql("ALTER TABLE export ALTER event TYPE integer USING 0")
    assert lab.sync("export").failures
    assert packages(tmp_path / "dlt-data") == []
    assert lab.spooled_files()
    assert readable_files(tmp_path / "dlt-data") == []


def test_packages_are_deleted_after_an_interruption(lab: Lab, tmp_path: Path) -> None:
    """An exception that ends the job leaves no package behind either."""
    lab.leave_pending_package("export")
    with pytest.raises(AuthError):
        lab.sync("export", secret="wrong", events=["Order"])
    assert packages(tmp_path / "dlt-data") == []


def test_link_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared directory, a link made beforehand is not followed; one of our own is."""
    target = tmp_path / "target"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    make_private(link)
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    # as seen by a user who is neither the owner nor root
    monkeypatch.setattr(os, "geteuid", lambda: 4_242_424)
    monkeypatch.setattr("mixpanel_source.files.ROOT", -1)
    for directory in (link, tmp_path):
        with pytest.raises(MixpanelError, match="symbolic link that another user made"):
            make_private(directory)


def test_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that others can read, and that cannot be changed, is not used."""
    directory = tmp_path / "shared"
    directory.mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 4_242_424)
    monkeypatch.setattr("mixpanel_source.files.ROOT", -1)
    with pytest.raises(MixpanelError, match="belongs to another user"):
        make_private(directory)


def test_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """A file is never written through a link."""
    precious, link = tmp_path / "precious", tmp_path / "window.part"
    precious.write_text("kept")
    link.symlink_to(precious)
    with create_private(link) as file:
        file.write(b"data")
    assert precious.read_text() == "kept"
    assert not link.is_symlink()
