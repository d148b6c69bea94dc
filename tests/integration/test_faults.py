"""Every fault of the sandbox, in every place: the tables are as if nothing had been, or refused.

What passes is tried again, and the tables are those of an undisturbed run. What does not pass is
refused with its reason: nothing of the bad window is loaded, what came before it stays, and the
next run completes the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from itertools import product
from typing import Any

import dlt
import pytest

from mixpanel_sandbox import KINDS, Fault, Project
from mixpanel_sandbox.routes import WRITTEN_TABLES
from mixpanel_source import JobResult, open_pipeline
from mixpanel_source.errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PausedError,
    PlanError,
    ServerError,
    TruncatedError,
)
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, add_event, make_project
from tests.support.slow import slow_except
from tests.support.tables import read_types, select_all

FIRST = date(2026, 11, 18)
DAYS = {"first": FIRST, "middle": date(2026, 11, 19), "last": YESTERDAY}
EVENTS_A_DAY = 20
PAGES = {"first": 0, "middle": 1, "last": 2}
SPARE = 2
"""Retries for connections that the sandbox closed after a fault, found closed only when used."""

WAITED_OUT = ("429", "429_headers", "429_bare")
NOT_SERVED = ("500", "502", "503", "504", "500_empty", "502_empty", "503_empty", "504_empty")
NOT_WHOLE = (
    *("html", "reset", "unterminated", "half_line", "open_gzip", "error_fragment"),
    *("terminated_early", "export_terminated_early"),
    *("terminated_early_title", "terminated_early_upper"),
)
NOT_WHOLE_PAGE = ("html", "reset", "unterminated", "short_page", "expired_session")
HARMLESS = ("slow", "stall", "no_newline")
NOTED = {"raw_newline": "before\nafter", "line_separator": "before\u2028after"}
"""Faults that are none: the first event gets the property `note`, which is hard to read."""
UNSEEN = ("short",)
REASONS: dict[str, type[MixpanelError]] = {
    **dict.fromkeys(WAITED_OUT, PausedError),
    **dict.fromkeys((*NOT_SERVED, "timeout", "closed"), ServerError),
    **dict.fromkeys((*NOT_WHOLE, *NOT_WHOLE_PAGE), TruncatedError),
    "401": AuthError,
    "402": PlanError,
    "403": AccessError,
}
"""What a fault that stays is reported as."""
PASSING = [kind for kind in REASONS if kind not in {"401", "402", "403"}]
"""Faults after which it is worth trying again."""

VARYING = {"_dlt_load_id", "_dlt_id", "fetched_at", "requests", "retries"}
"""Columns that tell of the run and not of the data."""

Run = Callable[..., JobResult]
Form = tuple[tuple[str, str], ...]
Tables = dict[str, list[Form]]


def kinds_of(table: str, names: Sequence[str]) -> list[str]:
    """Those of the faults that concern a table."""
    return [name for name in names if table in KINDS[name].tables]


def test_every_fault_has_its_place_here() -> None:
    """A fault of what is read that the sandbox learns must be added to the matrix."""
    of_reading = {name for name, kind in KINDS.items() if kind.tables - WRITTEN_TABLES}
    assert {*REASONS, *HARMLESS, *NOTED, *UNSEEN} == of_reading


def run_sync(lab: Lab, **given: Any) -> JobResult:
    """Sync the events of the days here."""
    return lab.sync("export", anchor_date=FIRST, **given)


def run_backfill(lab: Lab, **given: Any) -> JobResult:
    """Backfill the events of the days here."""
    return lab.backfill(f"{FIRST},{YESTERDAY}", **given)


def run_profiles(lab: Lab, **given: Any) -> JobResult:
    """Sync the five profiles in three pages."""
    return lab.sync("engage", engage_page_size=2, **given)


def run_cohorts(lab: Lab, **given: Any) -> JobResult:
    """Sync the cohorts."""
    return lab.sync("cohorts", **given)


each_job = pytest.mark.parametrize("run", [run_sync, run_backfill], ids=["sync", "backfill"])
each_place = pytest.mark.parametrize("place", DAYS)


def busy_project(note: str = "") -> Project:
    """Three days of twenty events, five profiles, a cohort.

    Args:
        note: a property that the first event of each day has beside the others.
    """
    project = make_project(FIRST, YESTERDAY)
    for day, lines in project.events.items():
        if note:
            add_event(project, day, 0, note=note)
            lines[0] = lines.pop()
        for number in range(len(lines), EVENTS_A_DAY):
            add_event(project, day, number, **{f"only in {number % 4}": [number, str(day)]})
    return project


def read_tables(pipeline: dlt.Pipeline, table: str) -> Tables:
    """The rows of a table and of those that tell of it, without what differs from run to run."""
    names = (table, "_mixpanel_loads", "_mixpanel_columns")
    tables = {name: read_table(pipeline, name) for name in names}
    # a day that is read again has another row, alike but for its time
    tables["_mixpanel_loads"] = sorted(set(tables["_mixpanel_loads"]))
    return tables


def read_table(pipeline: dlt.Pipeline, name: str) -> list[Form]:
    """The rows of a table, without what differs from run to run; none if there is no table."""
    rows = select_all(pipeline, name) if read_types(pipeline, name) else []
    return sorted(map(as_form, rows))


def as_form(row: dict[str, Any]) -> Form:
    """The columns of a row that are the same after every run, with the types of the values."""
    return tuple(
        (name, f"{type(value).__name__} {value}")
        for name, value in sorted(row.items())
        if name not in VARYING and value is not None
    )


def is_before(day: date, form: Form) -> bool:
    """Whether a row is of a day before that day."""
    return dict(form)["event_date"] < f"date {day}"


@cache
def undisturbed(run: Run, note: str = "") -> Tables:
    """The tables of a run in which nothing goes wrong."""
    pipeline = open_pipeline(name="undisturbed", dataset="undisturbed")
    with open_lab(busy_project(note), pipeline) as lab:
        assert run(lab).failures == {}
        lab.assert_events_kept(first=FIRST)
    return read_tables(pipeline, "export")


@pytest.mark.parametrize(
    ("run", "place"),
    slow_except(
        [(run_sync, "middle"), (run_backfill, "last")], product((run_sync, run_backfill), DAYS)
    ),
)
def test_what_passes_is_retried(run: Run, place: str) -> None:
    """One after the other, every fault that passes strikes a window, and leaves no trace."""
    kinds = kinds_of("export", PASSING)
    faults = [Fault(kind, day=DAYS[place], table="export") for kind in kinds]
    with open_lab(busy_project(), faults=faults) as lab:
        report = run(lab, retries=len(kinds) + SPARE, retry_base_seconds=0)
        assert report.failures == {}
        assert [record.fault for record in lab.sandbox.requests if record.fault] == kinds
        tries = {window.first_day: window.requests for window in report.windows}
        assert tries.pop(DAYS[place]) > len(kinds)
        assert {*tries.values()} == {1}
        assert read_tables(lab.pipeline, "export") == undisturbed(run)
        assert lab.spooled_files() == []


@each_job
@each_place
@pytest.mark.slow
def test_what_stays_is_refused(run: Run, place: str) -> None:
    """Whatever is wrong with a window, it is refused, and all before it is there and stays."""
    day = DAYS[place]
    kinds = kinds_of("export", ["500", *REASONS])
    faults = [Fault(kind, day=day, table="export") for kind in kinds]
    whole = undisturbed(run)
    before = [form for form in whole["export"] if is_before(day, form)]
    with open_lab(busy_project(), faults=faults) as lab:
        for kind in kinds:
            # what Mixpanel asked an earlier run to wait
            lab.clock.advance(seconds=3_600)
            failure = find_failure(lab, run, retries=0, max_wait_s=9, lookback_days=0)
            assert lab.sandbox.requests[-1].fault == kind
            assert type(failure) is REASONS[kind], kind
            assert f"export {day}:" in str(failure)
        # a row of any of these runs would still be here
        assert read_table(lab.pipeline, "export") == before
        assert len(read_table(lab.pipeline, "_mixpanel_loads")) == (day - FIRST).days
        lab.clock.advance(seconds=3_600)
        assert run(lab, lookback_days=0).failures == {}
        assert read_table(lab.pipeline, "export") == whole["export"]
        assert lab.spooled_files() == []


@pytest.mark.parametrize(
    ("run", "kind"),
    slow_except(
        [(run_sync, "429")],
        product((run_sync, run_backfill), ("429", "500", "half_line", "401", "402", "403")),
    ),
)
def test_refusals_move_on(run: Run, kind: str) -> None:
    """Refused in one window after another, run by run, it ends with what one good run loads."""
    pipeline = open_pipeline()
    whole = undisturbed(run)
    for number, day in enumerate(DAYS.values()):
        fault = Fault(kind, day=day, table="export", times=0)
        with open_lab(busy_project(), pipeline, faults=[fault]) as lab:
            lab.clock.advance(seconds=600 * number)
            failure = find_failure(lab, run, retries=1, max_wait_s=9)
        assert type(failure) is REASONS[kind]
        before = [form for form in whole["export"] if is_before(day, form)]
        assert read_table(pipeline, "export") == before
    with open_lab(busy_project(), pipeline) as lab:
        lab.clock.advance(seconds=6_000)
        assert run(lab).failures == {}
    assert read_tables(pipeline, "export") == whole


def find_failure(lab: Lab, run: Run, table: str = "export", **given: Any) -> MixpanelError:
    """What a run could not do: reported, or raised when no other table could be read either."""
    try:
        return run(lab, **given).failures[TablePart(table)]
    except AuthError as failure:
        return failure


@pytest.mark.parametrize(
    "run", [run_sync, pytest.param(run_backfill, marks=pytest.mark.slow)], ids=["sync", "backfill"]
)
@pytest.mark.parametrize(
    "kind",
    slow_except(("no_newline", "line_separator"), (*HARMLESS, *NOTED)),
)
def test_whole_replies_are_loaded(run: Run, kind: str) -> None:
    """A reply that is late, or odd, or lacks its last newline, is whole: it is asked for once."""
    faults = [Fault(kind, day=day, table="export", seconds=0.02) for day in DAYS.values()]
    whole = undisturbed(run, NOTED.get(kind, ""))
    with open_lab(busy_project(), faults=faults) as lab:
        assert run(lab).failures == {}
        assert [record.fault for record in lab.sandbox.requests] == [kind] * len(DAYS)
        found = read_tables(lab.pipeline, "export")
        assert found["export"] == whole["export"]
        assert found["_mixpanel_columns"] == whole["_mixpanel_columns"]


def test_short_reply_is_mended_by_the_look_back() -> None:
    """Lines left out at the end, with nothing to show it, pass; reading the day again mends it.

    No client can tell such a reply from a whole one, so this is the only help there is.
    """
    whole = undisturbed(run_sync)["export"]
    with open_lab(busy_project(), faults=[Fault("short", day=YESTERDAY)]) as lab:
        assert run_sync(lab).failures == {}
        loaded = read_table(lab.pipeline, "export")
        assert {*loaded} < {*whole}
        assert len(whole) > len(loaded) > 2 * EVENTS_A_DAY
        assert run_sync(lab).failures == {}
        assert read_table(lab.pipeline, "export") == whole


def test_wide_window_is_split_down_to_the_broken_day(lab: Lab) -> None:
    """Of a week that fails, all days before the broken one are loaded, and it alone is named."""
    broken = date(2026, 11, 18)
    lab.sandbox.inject(Fault("export_terminated_early", day=broken, times=7))
    report = lab.sync("export", window_days=7, retries=1)
    asked = ["2026-11-13..2026-11-19", "2026-11-17..2026-11-19", "2026-11-17..2026-11-18"]
    assert lab.exported == [
        *(asked[0], asked[0], "2026-11-13..2026-11-16", asked[1], asked[1], asked[2]),
        *("2026-11-17", "2026-11-18", "2026-11-18"),
    ]
    assert type(report.failures[TablePart("export")]) is TruncatedError
    assert f"export {broken}:" in str(report.failures[TablePart("export")])
    lab.assert_events_kept(last=date(2026, 11, 17))
    assert lab.sync("export", window_days=7).failures == {}
    lab.assert_events_kept()
    assert lab.spooled_files() == []


@each_place
def test_pages_that_pass_are_retried(lab: Lab, place: str) -> None:
    """Whatever strikes a page of profiles once leaves no trace in the table."""
    kinds = kinds_on_page(place, PASSING)
    # those that start the dump over come last
    kinds.sort(key=("short_page", "expired_session").__contains__)
    lab.sandbox.inject(*(Fault(kind, page=PAGES[place]) for kind in kinds))
    assert run_profiles(lab, retries=len(kinds) + SPARE, retry_base_seconds=0).failures == {}
    assert [record.fault for record in lab.sandbox.requests if record.fault] == kinds
    lab.assert_profiles_kept()
    assert lab.spooled_files() == []


@each_place
@pytest.mark.slow
def test_profiles_are_replaced_whole_or_not_at_all(lab: Lab, place: str) -> None:
    """As long as one page fails, in whatever way, the profiles of the run before stay."""
    assert run_profiles(lab).failures == {}
    lab.project.profiles[PAGES[place]] = b'{"$distinct_id":"new","$properties":{"plan":3}}'
    faults = [Fault(kind, page=PAGES[place]) for kind in kinds_on_page(place, [*REASONS])]
    assert_refused(lab, run_profiles, "engage", faults)
    assert run_profiles(lab).failures == {}
    lab.assert_profiles_kept()


def kinds_on_page(place: str, names: Sequence[str]) -> list[str]:
    """Those of the faults that may strike a page: the first one opens the session."""
    excluded = "expired_session" if place == "first" else ""
    return [kind for kind in kinds_of("engage", names) if kind != excluded]


@pytest.mark.slow
def test_cohorts_are_replaced_whole_or_not_at_all(lab: Lab) -> None:
    """What passes is tried again; what stays leaves the cohorts of the run before."""
    kinds = kinds_of("cohorts", PASSING)
    lab.sandbox.inject(*(Fault(kind, table="cohorts") for kind in kinds))
    assert run_cohorts(lab, retries=len(kinds) + SPARE, retry_base_seconds=0).failures == {}
    assert [record.fault for record in lab.sandbox.requests if record.fault] == kinds
    lab.project.cohorts = [{"id": 2, "project_id": 1234567, "name": "Some"}]
    faults = [Fault(kind, table="cohorts") for kind in kinds_of("cohorts", [*REASONS])]
    assert_refused(lab, run_cohorts, "cohorts", faults)
    assert run_cohorts(lab).failures == {}
    assert [row["name"] for row in lab.rows("cohorts")] == ["Some"]


def assert_refused(lab: Lab, run: Run, table: str, faults: Sequence[Fault]) -> None:
    """Each of the faults is reported when it stays, and the tables do not change."""
    before = read_table(lab.pipeline, table)
    for fault in faults:
        reason = REASONS[fault.name]
        lab.sandbox.inject(fault)
        lab.clock.advance(seconds=3_600)
        failure = find_failure(lab, run, table, retries=0, max_wait_s=9)
        struck = [record.fault for record in lab.sandbox.requests if record.fault]
        assert struck == [fault.name]
        assert type(failure) is reason, fault.name
        assert str(failure).startswith(table)
    # what any of these runs had changed would still be changed
    assert read_table(lab.pipeline, table) == before
