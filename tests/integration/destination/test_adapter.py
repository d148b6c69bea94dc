"""The destination in a pipeline of the user."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from mixpanel_destination import mixpanel, mixpanel_adapter
from mixpanel_sandbox import Fault
from mixpanel_source.errors import ConfigError
from tests.support.writing import Writing, make_event


def test_values_of_rows_are_not_changed(writing: Writing) -> None:
    """Dlt types what it loads; what is adapted arrives as it was."""

    @dlt.resource
    def orders() -> Iterator[Any]:
        yield make_event(1, price=1, code="12", at="2026-01-01T00:00:00Z", nothing=None)
        yield [make_event(2, price=1.5, code=7), make_event(3, price=True)]
        yield pa.table({"event": ["A"], "distinct_id": ["u"], "time": [datetime.now(timezone.utc)]})

    pipeline = dlt.pipeline("orders", destination="mixpanel_destination.mixpanel")
    pipeline.run(mixpanel_adapter(orders(), kind="events"))
    stored = {row["properties"]["$insert_id"]: row["properties"] for row in writing.events()}
    assert len(stored) == 4
    assert {name: stored["id-1"][name] for name in ("price", "code", "at", "nothing")} == {
        "price": 1,
        "code": "12",
        "at": "2026-01-01T00:00:00Z",
        "nothing": None,
    }
    assert stored["id-2"]["price"] == 1.5
    assert stored["id-3"]["price"] is True


def test_interrupted_package_is_resumed(writing: Writing) -> None:
    """A failure leaves the package, and the next run of the pipeline sends the rest of it."""
    writing.sandbox.inject(Fault("401", table="import", request=2))
    rows = [make_event(n) for n in range(3000)]
    account = {"secret": writing.sandbox.secret, "token": writing.project.token}
    pipeline = dlt.pipeline("orders", destination=mixpanel(**account))
    with pytest.raises(PipelineStepFailed):
        pipeline.run(mixpanel_adapter(dlt.resource(rows, name="orders")))
    assert pipeline.has_pending_data
    assert writing.find_secrets() == []
    pipeline.run()
    assert len(writing.events()) == 3000
    assert (writing.last.state, writing.last.accepted) == ("done", 3000)
    assert writing.run("verify", "--deep") == 0


def test_nothing_is_given_up(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where dlt is configured to go on without failed jobs, the package stays."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    writing.sandbox.inject(Fault("401", table="import", request=2))
    rows = [make_event(n) for n in range(300)]
    pipeline = dlt.pipeline("orders", destination=mixpanel())
    with pytest.raises(PipelineStepFailed):
        pipeline.run(mixpanel_adapter(dlt.resource(rows, name="orders")))
    pipeline.run()
    assert len(writing.events()) == 300


def test_profiles(writing: Writing) -> None:
    """Rows of a table become profiles; settings may be passed."""
    rows = [{"distinct_id": f"u{n}", "plan": "pro", "none": None} for n in range(5)]
    pipeline = dlt.pipeline("people", destination=mixpanel(pace=100_000))
    pipeline.run(mixpanel_adapter(rows, kind="profiles"), table_name="people")
    assert len(writing.project.profiles) == 5
    assert b'"none"' not in writing.project.profiles[0]


def test_table_must_be_adapted(writing: Writing) -> None:
    """A table that was not prepared is refused."""
    pipeline = dlt.pipeline("orders", destination=mixpanel())
    with pytest.raises(PipelineStepFailed):
        pipeline.run([{"event": "A"}], table_name="orders")
    assert writing.posts == []


@pytest.mark.parametrize(
    "arguments", [{"kind": "people"}, {"kind": "profiles", "operation": "add"}, {"kind": "groups"}]
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    """Arguments are checked at once."""
    with pytest.raises(ConfigError):
        mixpanel_adapter([], **arguments)
