"""Targets of orchestrated jobs: where they load to, from the arguments of an asset or a DAG."""

from __future__ import annotations

from mixpanel_source.jobs.orchestrated import Target


def test_arguments_of_a_target() -> None:
    """Arguments that a target does not have are settings; what is not given has a default."""
    assert Target.of({}) == Target()
    given = Target.of({"dataset": "events", "max_wait_s": 5, "anchor_date": "2026-11-01"})
    assert given == Target(dataset="events", max_wait_s=5, settings={"anchor_date": "2026-11-01"})
    assert Target.of({"project": None}) == Target()


def test_settings_are_not_shown() -> None:
    """Orchestrators log targets, and a secret may be among the settings."""
    assert "hidden" not in repr(Target.of({"secret": "hidden"}))


def test_name_of_a_target() -> None:
    """It is the dataset, or the default dataset of the project."""
    assert Target().name == "mixpanel"
    assert Target.of({"dataset": "events"}).name == "events"
    assert Target.of({"dataset": "events", "project": "shop"}).name == "mixpanel_shop"
