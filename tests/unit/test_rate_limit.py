"""When the next request may start, and how long a failure is waited out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.api.rate_limit import Pace, parse_hourly_limit
from mixpanel_source.api.retry import HOUR_S, MAX_RETRY_AFTER_S, RetryBudget, parse_retry_after
from mixpanel_source.api.usage import Usage, usage_from_json

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc).timestamp()


class Call(NamedTuple):
    """A request somebody wants to make."""

    after_s: float
    """Seconds since the last one started."""
    late_s: float
    """Seconds it starts later than it may."""
    family: str
    metered: bool


quarters = st.integers(0, 8).map(lambda number: number / 4)
calls = st.builds(
    Call,
    after_s=quarters | st.sampled_from((60.0, 900.0, 3_599.0, 3_600.0, 10_000.0)),
    late_s=st.just(0.0) | quarters,
    family=st.sampled_from(("export", "query")),
    metered=st.sampled_from((True, True, True, False)),
)


@given(
    wanted=st.lists(calls, max_size=60),
    per_second=st.sampled_from((0.5, 1.0, 2.0)),
    per_hour=st.integers(1, 6),
)
def test_bounds_hold(wanted: list[Call], per_second: float, per_hour: int) -> None:
    """No two starts are too close, and no hour holds more metered ones of a family than allowed."""
    pace = Pace(per_second=per_second, per_hour=per_hour)
    now = NOW
    starts: list[float] = []
    metered: dict[str, list[float]] = {"export": [], "query": []}
    for call in wanted:
        asked_at = now + call.after_s
        now = pace.next_at(call.family, asked_at, metered=call.metered) + call.late_s
        assert now >= asked_at
        pace.record(call.family, now, metered=call.metered)
        starts.append(now)
        if call.metered:
            metered[call.family].append(now)

    assert all(later - earlier >= 1 / per_second for earlier, later in pairwise(starts))
    for mine in metered.values():
        assert all(late - early >= HOUR_S for early, late in zip(mine, mine[per_hour:]))  # noqa: B905


def filled_pace() -> Pace:
    """A pace of three an hour, used up a second apart by the exports until now."""
    pace = Pace(per_second=1, per_hour=3)
    for at in (NOW - 2, NOW - 1, NOW):
        pace.record("export", at)
    return pace


def test_nothing_is_waited_for_without_need() -> None:
    """The first request starts at once, the next after the spacing, later ones at once again."""
    pace = Pace(per_second=2, per_hour=60)
    assert pace.next_at("export", NOW) == NOW
    pace.record("export", NOW)
    assert pace.next_at("export", NOW) == NOW + 0.5
    assert pace.next_at("export", NOW + 0.5) == NOW + 0.5
    assert pace.next_at("export", NOW + 7) == NOW + 7


def test_used_up_quota_opens_with_the_oldest_request() -> None:
    """The hour rolls: one more may start an hour after the first of those that count."""
    pace = filled_pace()
    turn = pace.next_at("export", NOW + 5)
    assert turn == NOW - 2 + HOUR_S
    pace.record("export", turn)
    assert pace.next_at("export", turn) == turn + 1
    pace.record("export", turn + 1)
    pace.record("export", turn + 2)
    assert pace.next_at("export", turn + 3) == turn + HOUR_S


def test_spacing_holds_over_families_and_the_hour_does_not() -> None:
    """Another family has an hour of its own, but not a second of its own."""
    assert filled_pace().next_at("query", NOW) == NOW + 1


def test_unmetered_requests_are_free_of_the_hour() -> None:
    """What does not count is neither held back by the quota nor counted."""
    pace = filled_pace()
    pace.close("export", NOW + 500)
    assert pace.next_at("export", NOW, metered=False) == NOW + 1

    pace = Pace(per_second=1, per_hour=1)
    pace.record("export", NOW, metered=False)
    assert pace.next_at("export", NOW) == NOW + 1


def test_zero_an_hour_is_no_bound() -> None:
    """Only the spacing is left."""
    pace = Pace(per_second=1, per_hour=0)
    for number in range(1_000):
        pace.record("export", NOW + number)
    assert pace.next_at("export", NOW + 999) == NOW + 1_000


def test_closed_family() -> None:
    """A family stays closed until the latest time asked for; others are open."""
    pace = Pace(per_second=1, per_hour=60)
    pace.close("export", NOW + 100)
    pace.close("export", NOW + 50)

    assert pace.next_at("export", NOW) == NOW + 100
    assert pace.next_at("export", NOW + 200) == NOW + 200
    assert pace.next_at("query", NOW) == NOW


def test_restored_requests_count() -> None:
    """Requests of an earlier run are counted in place of what was known of the family."""
    pace = filled_pace()
    pace.usage.metered["export"] = [NOW - 3_000, NOW - 20]
    pace.usage.metered["query"] = [NOW - ago for ago in (HOUR_S, 3_500, 3_000, 2_000, 1_000)]

    assert pace.next_at("export", NOW + 10) == NOW + 10
    assert pace.next_at("query", NOW + 10) == NOW + 600


def test_request_is_corrected_once_it_is_answered() -> None:
    """It counts from when it was answered, or not at all if Mixpanel does not count it."""
    pace = Pace(per_second=1, per_hour=1)
    pace.record("export", NOW)
    pace.settle("export", NOW, NOW + 5, counts=True)
    assert pace.next_at("export", NOW + 5) == NOW + 5 + HOUR_S
    pace.settle("export", NOW + 5, NOW + 6, counts=False)
    assert pace.next_at("export", NOW + 7) == NOW + 7


@pytest.mark.parametrize(
    ("setting", "stated", "limit"),
    [(60, 240, 240), (60, 30, 30), (20, 240, 20), (400, 240, 240), (0, 240, 0), (60, 0, 60)],
)
def test_stated_limit(setting: int, stated: int, limit: int) -> None:
    """Mixpanel's own number replaces the default and any higher setting, but no lower one."""
    usage = Usage(limits={"query": stated})
    pace = Pace(per_second=1, per_hour=setting, usage=usage)
    assert pace.limit("query") == limit
    assert pace.limit("export") == setting


@pytest.mark.parametrize(
    ("policy", "limit"),
    [
        ("", None),
        ('"project";q=240;w=3600, "project-concurrency";q=10;qu="concurrent-requests"', 240),
        ('"project"; q=240; w=3600', 240),
        ('"project";q=5;w=60', None),
        ('"a";q=100;w=3600, "b";q=90;w=3600', 90),
        ('"project";q=0;w=3600', None),
        (f'"project";q={"9" * 400};w=3600', None),
        ("rubbish;q=;w=3600", None),
    ],
)
def test_hourly_limit_of_a_reply(policy: str, limit: int | None) -> None:
    """Of all that the header may say, only the limit of an hour counts."""
    assert parse_hourly_limit({"RateLimit-Policy": policy}) == limit


@given(st.binary() | st.text())
def test_damaged_log_is_empty(text: bytes | str) -> None:
    """Nothing in the log keeps a request from being made."""
    usage = usage_from_json(text)
    assert Pace(per_second=1, per_hour=1, usage=usage).next_at("export", NOW) >= NOW


def test_clock_set_back() -> None:
    """No longer than an hour is waited then, and what was counted still counts."""
    pace = filled_pace()
    back = NOW - 90_000.0

    assert pace.next_at("query", back) == back + 1
    turn = pace.next_at("export", back)
    assert turn == back + HOUR_S
    assert pace.next_at("export", back + 60) == turn
    assert pace.next_at("export", turn) == turn


def test_failures_double_the_wait_until_given_up() -> None:
    """Each failure waits twice as long as the one before it, and after the last comes the end."""
    budget = RetryBudget(3, base_s=10)
    delays = [budget.next_delay(NOW, retry_after_s=None, limited=False) for _ in range(4)]
    assert delays == [10, 20, 40, None]


@pytest.mark.parametrize("limited", [True, False])
def test_wait_that_was_asked_for(*, limited: bool) -> None:
    """What Mixpanel asks for goes before the schedule."""
    assert RetryBudget(3, base_s=10).next_delay(NOW, retry_after_s=77.0, limited=limited) == 77.0


@pytest.mark.parametrize("limited", [True, False])
def test_wait_of_no_time(*, limited: bool) -> None:
    """To be asked for zero seconds would be to hammer: the schedule holds."""
    budget = RetryBudget(3, base_s=10)
    delays = [budget.next_delay(NOW, retry_after_s=0.0, limited=limited) for _ in range(3)]
    assert delays == [10, 20, 40]


def test_failures_asked_to_wait_are_counted() -> None:
    """A server that keeps asking for patience is given up as any other."""
    budget = RetryBudget(1, base_s=10)
    assert budget.next_delay(NOW, retry_after_s=5.0, limited=False) == 5.0
    assert budget.next_delay(NOW, retry_after_s=5.0, limited=False) is None


def test_quota_is_waited_out_without_end() -> None:
    """Refusals wait as any failure does, then for the end of their hour, then of the next."""
    budget = RetryBudget(2, base_s=10)
    now = NOW
    ends: list[float] = []
    for _ in range(5):
        delay_s = budget.next_delay(now, retry_after_s=None, limited=True)
        assert delay_s is not None
        now += delay_s
        ends.append(now - NOW)
    assert ends == [10, 30, HOUR_S, 2 * HOUR_S, 3 * HOUR_S]


def test_quota_is_waited_out_without_retries() -> None:
    """With no retries a refusal for the quota waits for what is asked, or for the hour."""
    assert RetryBudget(0, base_s=10).next_delay(NOW, retry_after_s=30.0, limited=True) == 30.0
    assert RetryBudget(0, base_s=10).next_delay(NOW, retry_after_s=None, limited=True) == HOUR_S


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"Retry-After": "120"}, 120, id="seconds"),
        pytest.param({"Retry-After": " 0 "}, 0, id="zero"),
        pytest.param({"Retry-After": "1.5"}, 1.5, id="fraction"),
        pytest.param({"Retry-After": "Sat, 21 Nov 2026 12:01:00 GMT"}, 60, id="date"),
        pytest.param({"Retry-After": "Sat, 21 Nov 2026 13:01:00 +0100"}, 60, id="date-other-zone"),
        pytest.param({"Retry-After": "Sat, 21 Nov 2026 11:59:59 GMT"}, 0, id="past-date"),
        pytest.param({"Retry-After": "soon"}, None, id="words"),
        pytest.param({"Retry-After": "-5"}, None, id="negative"),
        pytest.param({"Retry-After": "nan"}, None, id="nan"),
        pytest.param({"Retry-After": "1e9"}, None, id="exponent"),
        pytest.param({"Retry-After": "9" * 400}, None, id="too-many-digits"),
        pytest.param({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, None, id="date-too-far"),
        pytest.param({"Retry-After": f"Mon, 01 Jan 1{'0' * 20} 00:00:00"}, None, id="date-nowhere"),
        pytest.param({"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2300"}, 0, id="date-before-time"),
        pytest.param({"RateLimit": '"project";r=0;t=3600'}, 3_600, id="policy"),
        pytest.param({"RateLimit": '"project"; r=0; t=3600'}, 3_600, id="policy-spaces"),
        pytest.param(
            {"RateLimit": '"project";r=0;t=3600, "project-concurrency";r=3'}, 3_600, id="one-of-two"
        ),
        pytest.param(
            {"RateLimit": '"project";r=12;t=99, "project-concurrency";r=0;t=10'}, 10, id="other"
        ),
        pytest.param({"RateLimit": '"a";r=0;t=10, "b";r=0;t=20'}, 20, id="longest"),
        pytest.param({"RateLimit": '"project";r=12;t=3600'}, None, id="policy-not-used-up"),
        pytest.param({"RateLimit": '"project";r=0'}, None, id="policy-without-time"),
        pytest.param({"RateLimit": "rubbish;r=;t="}, None, id="policy-rubbish"),
        pytest.param({"Retry-After": "5", "RateLimit": '"a";r=0;t=10'}, 5, id="both"),
        pytest.param({"Retry-After": "?", "RateLimit": '"a";r=0;t=10'}, 10, id="second-of-both"),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """The wait is read from either header; what makes no sense is no answer."""
    assert parse_retry_after(headers, NOW) == seconds


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the machine into a zone far from UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_date_without_zone_is_utc() -> None:
    """Wherever the machine is, a date that names no zone is in UTC."""
    assert parse_retry_after({"Retry-After": "Sat, 21 Nov 2026 12:01:00 -0000"}, NOW) == 60
    assert parse_retry_after({"Retry-After": "Sat, 21 Nov 2026 12:01:00"}, NOW) == 60


date_like = st.from_regex(
    r"[A-Z][a-z]{2}, \d{1,2} (Jan|Oct|Dec) \d{1,5} \d{2}:\d{2}:\d{2} ([+-]\d{4}|GMT)?",
    fullmatch=True,
)
header = st.text() | st.from_regex(r"\d+(\.\d+)?", fullmatch=True) | date_like


@given(retry_after=header, rate_limit=header | st.just('"a";r=0;t=') | st.integers(0).map(str))
def test_retry_after_is_sound_or_none(retry_after: str, rate_limit: str) -> None:
    """Whatever a proxy puts into the headers, no error comes of it and no endless wait."""
    headers = {"Retry-After": retry_after, "RateLimit": f'"a";r=0;t={rate_limit}'}
    seconds = parse_retry_after(headers, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


def test_success_restores_the_budget() -> None:
    """Failures count in a row: a request that succeeds lets the next one fail as often again."""
    budget = RetryBudget(2, base_s=10)
    for _ in range(3):
        delays = [budget.next_delay(NOW, retry_after_s=None, limited=False) for _ in range(2)]
        assert delays == [10, 20]
        budget.note_success()


def test_restarts_are_never_restored() -> None:
    """Starting over draws on the budget for good, so that a dump ends however its pages go."""
    budget = RetryBudget(2, base_s=10)
    for _ in range(2):
        assert budget.may_restart()
        budget.note_success()
    assert not budget.may_restart()


def test_layers_draw_on_one_budget() -> None:
    """What pages have used up is not there for a restart, and the other way round."""
    spent = RetryBudget(1, base_s=10)
    assert spent.next_delay(NOW, retry_after_s=None, limited=False) == 10
    assert spent.next_delay(NOW, retry_after_s=None, limited=False) is None
    assert not spent.may_restart()

    restarted = RetryBudget(1, base_s=10)
    assert restarted.may_restart()
    assert restarted.next_delay(NOW, retry_after_s=None, limited=False) is None


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_window_that_is_halved_has_one_budget(retries: int) -> None:
    """A month that fails throughout costs two requests a halving, and what retries are left."""
    budget = RetryBudget(retries, base_s=10)
    requests = 0
    for _ in range(5):
        for _ in range(2):
            requests += 1
            if budget.next_delay(NOW, retry_after_s=None, limited=False) is None:
                break
        budget.note_halving()
    while budget.next_delay(NOW, retry_after_s=None, limited=False) is not None:
        requests += 1
    assert requests + 1 <= 6 + retries
