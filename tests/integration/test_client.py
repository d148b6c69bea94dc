"""The client: never too fast, never twice at once, and patient with what passes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, USERNAME, Fault, Sandbox
from mixpanel_source import constants
from mixpanel_source.api.client import Client
from mixpanel_source.api.reply import Reply
from mixpanel_source.api.request import Request
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.catalog.lookup import find_endpoint
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PausedError,
    PlanError,
    RateLimitedError,
    RequestError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from mixpanel_source.windows import Window
from tests.support.clock import NOON, Clock
from tests.support.lab import Lab, open_lab
from tests.support.projects import make_project

DAY = date(2026, 11, 20)
EXPORT = Request(
    endpoint("export"),
    "export",
    window=Window(DAY, DAY),
    params={"from_date": str(DAY), "to_date": str(DAY)},
)
COHORTS = Request(endpoint("cohorts"), "cohorts")
ENGAGE = Request(endpoint("engage"), "engage", detail="page 0", form={})


def make_client(url: str, directory: Path, clock: Clock | None = None, **given: Any) -> Client:
    """A client with the defaults that users have, under a clock of its own if given."""
    values = {
        "username": USERNAME,
        "secret": SECRET,
        "project_id": 1234567,
        "base_url": url,
        "export_base_url": url,
    }
    make = partial(Client, build_config({**values, **given}), directory=directory)
    return make(clock=clock) if clock else make()


@pytest.fixture
def client(lab: Lab, tmp_path: Path) -> Client:
    """A client of the lab's sandbox under the lab's clock."""
    return make_client(lab.sandbox.url, tmp_path, lab.clock)


def test_one_request_a_second_and_one_at_a_time(tmp_path: Path) -> None:
    """As seen by the server, requests start a second apart, and each after the one before."""
    with Sandbox(make_project()) as sandbox:
        client = make_client(sandbox.url, tmp_path)
        sandbox.inject(Fault("stall", request=2, seconds=0.3))
        for request in (EXPORT, COHORTS, EXPORT, ENGAGE):
            client.send(request, Reply.body)
        for before, after in pairwise(sandbox.requests):
            assert before.ended is not None
            assert after.started >= before.ended
            assert after.started - before.started >= 1.0
        assert [record.status for record in sandbox.requests] == [200] * 4


def test_retries_are_paced_too(lab: Lab, tmp_path: Path) -> None:
    """A retry that would come sooner waits for its second as well."""
    client = make_client(lab.sandbox.url, tmp_path, lab.clock, retry_base_seconds=0)
    lab.sandbox.inject(Fault("500", times=2))
    client.send(EXPORT, Reply.body)
    assert lab.clock.sleeps == [1, 1]


PASSING = ["500", "502_empty", "503", "504", "timeout", "closed", "reset", "unterminated"]


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_five_times_more(lab: Lab, client: Client, fault: str) -> None:
    """Tried again after 10 s, 20 s, ... 160 s, the reply is whole; a sixth failure is the end."""
    lab.sandbox.inject(Fault(fault, times=5))
    body = client.send(EXPORT, Reply.body)
    assert body.count(b"\n") == 3
    assert lab.clock.sleeps == [10, 20, 40, 80, 160]
    lab.clock.advance(seconds=10)
    lab.sandbox.inject(Fault(fault, times=6))
    with pytest.raises(UnavailableError, match=r"^export 2026-11-20: ") as caught:
        client.send(EXPORT, Reply.body)
    assert isinstance(caught.value, ServerError | TruncatedError)
    assert len(lab.sandbox.requests) == 12


def test_gzip_without_an_end_is_tried_again(lab: Lab, client: Client) -> None:
    """A transfer that ended well is not enough where the stream in it did not."""
    lab.sandbox.inject(Fault("open_gzip"))
    assert client.send(EXPORT, Reply.body).count(b"\n") == 3
    assert lab.clock.sleeps[0] == 10


def test_no_answer_in_time_is_tried_again(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that takes longer than the time-out, before or in the body, is asked again."""
    monkeypatch.setattr(constants, "READ_TIMEOUT_SECONDS", 0.1)
    lab.sandbox.inject(Fault("slow", seconds=0.3), Fault("stall", seconds=0.3))
    assert client.send(EXPORT, Reply.body)
    assert lab.clock.sleeps == [10, 20]


def test_refused_connection_is_tried_again(tmp_path: Path) -> None:
    """Where nobody listens, the tries end with advice on the address; nothing is counted."""
    clock = Clock()
    client = make_client("http://127.0.0.1:9", tmp_path, clock, requests_per_hour=1)
    with pytest.raises(ServerError, match=r"Check the network, region and export_base_url"):
        client.send(EXPORT, Reply.body)
    assert clock.sleeps == [10, 20, 40, 80, 160]


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault("429", seconds=37), [37]),
        (Fault("429", seconds=300), [300]),
        (Fault("429_headers", seconds=41), [41]),
        (Fault("429_bare", times=3), [10, 20, 40]),
    ],
    ids=["Retry-After", "longer than the retries", "RateLimit", "bare"],
)
def test_quota_refusal_is_waited_out(
    lab: Lab, client: Client, fault: Fault, waits: list[float]
) -> None:
    """After a 429 the wait is as long as was asked, else as after any failure."""
    lab.sandbox.inject(fault)
    assert client.send(EXPORT, Reply.body)
    assert lab.clock.sleeps == waits


def test_quota_refusals_are_waited_out_to_the_hour(lab: Lab, client: Client) -> None:
    """A 429 that never says for how long is waited out until the hour has passed."""
    lab.sandbox.inject(Fault("429_bare", times=6))
    assert client.send(EXPORT, Reply.body)
    assert lab.clock.sleeps[:5] == [10, 20, 40, 80, 160]
    assert sum(lab.clock.sleeps) == 3600


def test_impatience_pauses(lab: Lab, client: Client) -> None:
    """A wait for the quota beyond one's patience ends at once, with the time to come back."""
    lab.sandbox.inject(Fault("429", seconds=1800))
    with pytest.raises(PausedError, match=r"at 12:30:00 UTC; run again then") as caught:
        client.send(EXPORT, Reply.body, patience_s=60)
    assert isinstance(caught.value.__cause__, RateLimitedError)
    assert lab.clock.sleeps == []


def test_no_patience_is_no_reason_to_break_the_pace(lab: Lab, client: Client) -> None:
    """The second between two requests is not a wait for the quota."""
    for _ in range(2):
        client.send(EXPORT, Reply.body, patience_s=0)
    assert lab.clock.sleeps == [1]


def test_sixty_requests_an_hour(tmp_path: Path) -> None:
    """Each host gets 60 metered requests an hour, whichever run makes them; then one waits."""
    with open_lab(make_project(), exports_per_hour=60, queries_per_hour=60) as lab:
        first, second = (make_client(lab.sandbox.url, tmp_path, lab.clock) for _ in range(2))
        for number in range(60):
            (first if number < 30 else second).send(EXPORT, Reply.body)
        second.send(COHORTS, Reply.body)
        assert lab.clock.now < NOON + 100
        third = make_client(lab.sandbox.url, tmp_path, lab.clock)
        with pytest.raises(PausedError, match=r"hourly quota"):
            third.send(EXPORT, Reply.body, patience_s=600)
        third.send(EXPORT, Reply.body)
        assert lab.clock.now == pytest.approx(NOON + 3600, abs=1)
        assert {record.status for record in lab.sandbox.requests} == {200}


def test_later_pages_of_profiles_are_not_counted(lab: Lab, client: Client) -> None:
    """Requests that Mixpanel does not meter use up no quota of ours."""
    page = Request(endpoint("projects"), detail="me")
    for _ in range(70):
        client.send(page, Reply.body)
    assert lab.clock.now < NOON + 100


FINAL: list[tuple[str, type[MixpanelError], str]] = [
    ("401", AuthError, "username and secret"),
    ("402", PlanError, "plan"),
    ("403", AccessError, "role in project_id 1234567"),
]


@pytest.mark.parametrize(("fault", "kind", "advice"), FINAL)
def test_refusals_are_final(
    lab: Lab, client: Client, fault: str, kind: type[MixpanelError], advice: str
) -> None:
    """What Mixpanel refuses it would refuse again: one request, and what to do about it."""
    lab.sandbox.inject(Fault(fault))
    with pytest.raises(kind, match=advice):
        client.send(EXPORT, Reply.body)
    assert len(lab.sandbox.requests) == 1
    assert lab.clock.sleeps == []


@pytest.mark.parametrize(
    ("request_made", "status"),
    [
        (Request(endpoint("export"), "export", params={"from_date": "x"}), 400),
        (Request(find_endpoint("GET", "/api/query/nothing"), detail="nothing"), 404),
    ],
)
def test_wrong_requests_are_final(
    lab: Lab, client: Client, request_made: Request, status: int
) -> None:
    """Nor is a request tried again that is wrong."""
    with pytest.raises(RequestError, match=f"status {status}"):
        client.send(request_made, Reply.body)
    assert len(lab.sandbox.requests) == 1
    assert lab.clock.sleeps == []


@contextmanager
def redirecting(to: str) -> Iterator[str]:
    """A host that sends everyone elsewhere."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_redirects_are_not_followed(lab: Lab, tmp_path: Path) -> None:
    """Nobody is told the secret, or believed, but the host that was set."""
    with redirecting(lab.sandbox.url) as url:
        client = make_client(url, tmp_path, lab.clock)
        with pytest.raises(RequestError, match="status 302"):
            client.send(EXPORT, Reply.body)
    assert lab.sandbox.requests == []
    assert lab.clock.sleeps == []


def test_bodies_are_asked_for_compressed(lab: Lab, client: Client) -> None:
    """A reply large enough to be compressed travels compressed, and is read the same."""
    lines = lab.project.events[next(iter(lab.project.events))]
    lab.project.events[next(reversed(lab.project.events))][:] = lines * 100
    body = client.send(EXPORT, Reply.body)
    assert body.count(b"\n") == 300
    assert lab.sandbox.requests[0].bytes_sent < len(body) / 5
