"""Masked values are nowhere but at Mixpanel, and what is built on them keeps working."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import mixpanel_source
from mixpanel_sandbox import Project
from mixpanel_source import archive
from mixpanel_source.config.providers import load_config
from mixpanel_source.errors import ConfigError, MixpanelError
from tests.integration.test_archive import job_of, load
from tests.integration.test_archive_guard import keys
from tests.integration.test_reconcile import compared
from tests.support.lab import Lab
from tests.support.projects import ANCHOR, YESTERDAY, add_event, make_project
from tests.support.settings import as_environment, write_dlt_file

DAY = date(2026, 11, 18)
SETTLED = date(2026, 11, 13)
KEY = "a key of sixteen characters"
MASK = {
    "distinct_id": "hash",
    "$email": "hash",
    "$ip": "drop",
    "referrer": "domain",
    "phone": "truncate:3",
    "born": "day",
}
PERSON, DEVICE = "person-4711-raw", "device-4711-raw"
VALUES = {
    "$email": "ann-4711@example.com",
    "$ip": "192.0.2.47",
    "referrer": "https://example.org/path-4711",
    "phone": "+47 4711 4711",
    "born": "1990-04-11T04:07:11",
    "tags": ["kept"],
}
SECRETS = (PERSON, DEVICE, "ann-4711", "192.0.2.47", "path-4711", "4711 4711", "04:07:11")
ACTIVITY = {
    "name": "Feed",
    "table": "activity",
    "params": {"distinct_ids": [PERSON]},
    "since": str(ANCHOR),
}
TABLES = ("export", "engage", "groups", "cohort_members", "activity")


@pytest.fixture
def project() -> Project:
    """A project where a person, with the same properties, is in every table."""
    project = make_project()
    ids = {"distinct_id": PERSON, "$device_id": DEVICE, "$user_id": PERSON}
    for number in range(10, 30):
        add_event(project, SETTLED, number, **ids, **VALUES)
        add_event(project, DAY, number, **ids, **VALUES)
    add_event(project, DAY, 40, distinct_id=f"$device:{DEVICE}", **VALUES)
    # compiled code decodes blocks of this size
    for number in range(50, 250):
        add_event(project, DAY, number, **ids, **VALUES, filler="x" * 1_000)
    line = {"event": None, "properties": {"distinct_id": PERSON, **VALUES}}
    project.events[DAY] += [json.dumps(line).encode(), json.dumps([PERSON]).encode()]
    project.add_profile(PERSON, VALUES)
    project.cohort_members[1] = [PERSON, "u1"]
    return project


@pytest.fixture
def masked(any_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The project, loaded with a mask, which commands find in the environment as well."""
    any_lab.overrides = {
        "mask": MASK,
        "mask_key": KEY,
        "properties": "both",
        "reports": [ACTIVITY],
        "data_group_ids": [7],
    }
    given = as_environment({"mask": json.dumps(MASK), "mask_key": KEY})
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return any_lab


def stored_texts(lab: Lab) -> str:
    """Every row of every table of the database, those of dlt and of its staging included."""
    with lab.pipeline.sql_client() as client:
        tables = client.execute_sql(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('information_schema', 'pg_catalog')"
        )
        texts = []
        for schema, table in tables or ():
            name = f'"{schema}"."{table}"'
            texts.append(str(client.execute_sql(f"SELECT * FROM {name}")))
    return "\n".join(texts)


def assert_nowhere(lab: Lab, directory: Path, log: str) -> None:
    """Assert that no original value is in the database, a file or the log."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert lab.spooled_files() == []
    for value in SECRETS:
        assert value not in stored_texts(lab), value
        assert value not in log, value
        assert [path for path in files if value.encode() in path.read_bytes()] == [], value


def test_no_original_value_is_left(
    masked: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a table, the working directory, the spool or the log."""
    caplog.set_level("INFO")
    caplog.set_level("DEBUG", "mixpanel_source")
    assert masked.sync(*TABLES).failures == {}
    assert_nowhere(masked, tmp_path, caplog.text)
    assert "mask: no event or profile" not in caplog.text
    rejected = [json.loads(row["row"]) for row in masked.rows("_mixpanel_rejected")]
    assert ["text"] in rejected
    outline = {"distinct_id": "text", **dict.fromkeys(VALUES, "text"), "tags": ["text"]}
    assert {"event": None, "properties": outline} in rejected


@pytest.mark.slow
def test_what_is_built_on_ids_keeps_working(masked: Lab) -> None:
    """Joins, the record of columns, reconcile, and forget, which takes the original id."""
    masked.sync(*TABLES)
    (person,) = {row["distinct_id"] for row in masked.rows("engage") if row["phone"] == "+47"}
    events = masked.rows("export")
    own = [row for row in events if row["mp_user_id"] == person]
    assert {row["distinct_id"] for row in own} == {person}
    (anonymous,) = (row for row in events if row["distinct_id"].startswith("$device:"))
    assert anonymous["distinct_id"] == f"$device:{own[0]['mp_device_id']}"
    assert {row["distinct_id"] for row in masked.rows("activity")} == {person}
    assert person in {row["distinct_id"] for row in masked.rows("cohort_members")}
    raw = json.loads(own[0]["properties"])
    assert raw["distinct_id"] == person
    assert (own[0]["referrer"], own[0]["born"]) == ("example.org", "1990-04-11T00:00:00")
    assert (raw["referrer"], raw["tags"], "$ip" in raw) == ("example.org", ["kept"], False)
    columns = [row for row in masked.rows("_mixpanel_columns") if row["table_name"] == "export"]
    masked_by = {row["property"]: row["masked_by"] for row in columns}
    assert masked_by["$user_id"].startswith("hash with key ")
    assert (masked_by["$ip"], masked_by["referrer"], masked_by["plan"]) == ("drop", "domain", None)
    assert compared(masked, mask=MASK, mask_key=KEY).agrees
    destination = str(masked.pipeline.destination.destination_name)
    removed = mixpanel_source.forget([PERSON], destination=destination, clock=masked.clock).rows
    assert (removed["export"], removed["engage"], removed["cohort_members"]) == (240, 1, 1)
    assert removed["_mixpanel_rejected"] == 2 - 1
    assert masked.backfill(f"{ANCHOR},{YESTERDAY}").failures == {}
    assert not [row for row in masked.rows("export") if row["mp_user_id"] == person]


@pytest.mark.slow
def test_key_of_the_dataset_is_needed_to_forget(
    masked: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another one nobody would be found, and nothing would be said."""
    masked.sync("export")
    monkeypatch.setenv("SOURCES__MIXPANEL__MASK_KEY", "another key of sixteen characters")
    destination = str(masked.pipeline.destination.destination_name)
    with pytest.raises(ConfigError, match="mask_key is not the one that ids in the dataset"):
        mixpanel_source.forget([PERSON], destination=destination, clock=masked.clock)


@pytest.mark.slow
def test_mask_that_is_set_later(masked: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Unmasked days are named until they are loaded again; days that must stay say so."""
    unmasked: dict[str, Any] = {"mask": {}, "mask_key": None}
    masked.sync(*TABLES, **unmasked, engage_full_days=9)
    masked.clock.advance(days=1)
    caplog.clear()
    masked.sync(*TABLES, engage_full_days=9)
    assert "2026-11-13..2026-11-20 were loaded with no mask" in caplog.text
    assert "backfill --range 2026-11-13,2026-11-20" in caplog.text
    assert "engage: mask or mask_key has changed. All profiles are read again" in caplog.text
    assert "cohort_members: mask or mask_key has changed" in caplog.text
    assert "activity Feed: its mask has changed" in caplog.text
    assert {row["masked_by"] for row in masked.rows("_mixpanel_columns")} >= {"drop", "day"}
    assert PERSON not in str(masked.rows("engage"))

    # Mixpanel no longer serves most of it, so its events stay, and none is there twice
    masked.project.events[SETTLED] = masked.project.events[SETTLED][-3:]
    caplog.clear()
    masked.backfill(f"{ANCHOR},{YESTERDAY}")
    assert len(keys(masked, SETTLED)) == 23
    assert "mask or mask_key has changed since 2026-11-13 was loaded" in caplog.text
    caplog.clear()
    masked.backfill(f"{ANCHOR},{YESTERDAY}", accept_deletions=True)
    assert "2026-11-13 were loaded with no mask" in caplog.text
    assert len(keys(masked, SETTLED)) == 3
    caplog.clear()
    masked.sync("export")
    assert "were loaded with no mask" not in caplog.text


def test_plain_run_leaves_no_spool(lab: Lab) -> None:
    """Without a job around it nothing tells when the load is over."""
    lab.overrides = {"mask": MASK, "mask_key": KEY}
    lab.pipeline.run(lab.source("export", "engage"), loader_file_format="parquet")
    assert lab.rows("export")
    assert lab.spooled_files() == []


def test_spool_is_cleared_after_a_failure(lab: Lab) -> None:
    """Without a mask it stays, so that the next job need not fetch it again."""
    for mask, spooled in (({}, True), (MASK, False)):
        lab.overrides = {"mask": mask, "mask_key": KEY}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lab.pipeline.__class__, "load", _fail)
            lab.sync("export")
        assert bool(lab.spooled_files()) == spooled


def _fail(*_: Any, **__: Any) -> None:
    raise MixpanelError("The destination is gone.")


def test_archive_and_mask_exclude_each_other(lab: Lab, tmp_path: Path) -> None:
    """An archive holds what is served."""
    with pytest.raises(ConfigError, match="archive and mask are both set"):
        lab.sync("export", mask=MASK, mask_key=KEY, archive=str(tmp_path / "archive"))


def test_mask_in_config_file(tmp_path: Path) -> None:
    """A table of its own, whose keys are names of properties, quoted where TOML wants it."""
    text = '[sources.mixpanel]\nusername = "u"\nsecret = "s"\nproject_id = 1\n'
    text += f'mask_key = "{KEY}"\n[sources.mixpanel.mask]\n"$email" = "hash"\n"a.b c" = "drop"\n'
    write_dlt_file(tmp_path, "config.toml", text)
    assert load_config({}).mask == (("$email", "hash"), ("a.b c", "drop"))


def test_archive_is_masked_when_it_is_loaded(
    masked: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds what was served; the mask is that of the dataset."""
    directory = tmp_path.parent / f"{tmp_path.name}-archive"
    served: dict[str, Any] = {"mask": {}, "mask_key": None}
    assert archive(directory, ("export", "engage"), **job_of(masked, **served)).failures == {}
    caplog.clear()
    loaded = load(masked, directory, mask=MASK, mask_key=KEY)
    assert (loaded.failures, loaded.requests) == ({}, 0)
    assert loaded.rows["export"] > 0
    assert_nowhere(masked, tmp_path, caplog.text)
