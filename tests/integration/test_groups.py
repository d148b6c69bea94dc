"""Profiles of groups: a table with the type of each, every type replaced for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source.errors import ConfigError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab

COMPANY, TEAM = "-1405123841946871899", "77"


def add_groups(lab: Lab, group: str, *profiles: dict[str, Any]) -> None:
    """Make these the profiles of a group type, under the ids 1, 2 and so on."""
    lab.project.groups[group] = [
        json.dumps({"$distinct_id": number, "$properties": properties}).encode()
        for number, properties in enumerate(profiles, 1)
    ]


def loaded(lab: Lab, *columns: str) -> set[tuple[Any, ...]]:
    """The groups that are loaded, with some of their columns."""
    return {tuple(row[name] for name in columns) for row in lab.rows("groups")}


def test_group_types_share_a_table(any_lab: Lab) -> None:
    """Ids may be negative; each type is asked for on its own, and has its own rows."""
    add_groups(any_lab, COMPANY, {"$name": "Acme", "seats": 7}, {"$name": "Umbrella"})
    add_groups(any_lab, TEAM, {"$name": "Support", "seats": "many", "data_group_id": "mine"})
    report = any_lab.sync("groups", data_group_ids=f"{COMPANY},{TEAM}")
    assert report.failures == {}
    assert report.rows == {"groups": 3}
    assert report.requests == 2
    assert loaded(any_lab, "data_group_id", "distinct_id", "mp_name", "seats", "seats__v_text") == {
        (COMPANY, "1", "Acme", 7, None),
        (COMPANY, "2", "Umbrella", None, None),
        (TEAM, "1", "Support", None, "many"),
    }
    columns = {row["property"]: row["column_name"] for row in any_lab.rows("_mixpanel_columns")}
    assert {row[columns["data_group_id"]] for row in any_lab.rows("groups")} == {None, "mine"}


def test_group_type_is_replaced_for_itself(any_lab: Lab) -> None:
    """What went is gone, a type that was emptied is empty, one that failed keeps what it had."""
    given = {"data_group_ids": [int(COMPANY), int(TEAM), 5]}
    add_groups(any_lab, COMPANY, {"$name": "Acme"}, {"$name": "Umbrella"})
    add_groups(any_lab, TEAM, {"$name": "Support"})
    add_groups(any_lab, "5", {"$name": "Old"})
    any_lab.sync("groups", **given)
    add_groups(any_lab, COMPANY, {"$name": "Acme & Co"})
    add_groups(any_lab, TEAM)
    add_groups(any_lab, "5", {"$name": "New"})
    any_lab.sandbox.inject(Fault("500", table="engage", request=6, times=6))
    report = any_lab.sync("groups", **given)
    assert list(report.failures) == [TablePart("groups", "5")]
    assert loaded(any_lab, "data_group_id", "mp_name") == {(COMPANY, "Acme & Co"), ("5", "Old")}
    assert any_lab.sync("groups", **given).failures == {}
    assert loaded(any_lab, "data_group_id", "mp_name") == {(COMPANY, "Acme & Co"), ("5", "New")}


def test_no_group_types_is_said(lab: Lab) -> None:
    """The table needs a setting, which the error names."""
    with pytest.raises(ConfigError, match="data_group_ids is not set"):
        lab.sync("groups")
