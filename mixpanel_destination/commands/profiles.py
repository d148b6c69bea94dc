"""Profiles as a project serves them, and whether those of a run are among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import orjson

from mixpanel_source import request
from mixpanel_source.api.clock import Clock
from mixpanel_source.decode.json_values import dump_json, read_json
from mixpanel_source.errors import ReplyError

from ..rows.updates import served_profile
from ..runs import ProjectRuns, Send
from .verification import DayCount, Difference, Verification

PAGES_MAX = 1_000_000


def profile_lines(
    settings: dict[str, Any], *, clock: Clock, max_wait_s: float, group: str | None = None
) -> Iterator[bytes]:
    """The profiles of a project, each as JSON.

    Args:
        settings: of `mixpanel_source`, for the project.
        clock: the time, and how to wait.
        max_wait_s: maximum seconds to wait for the quota.
        group: `data_group_id` of the groups to read; None for users.

    Raises:
        ReplyError: fewer profiles came than Mixpanel announced.
    """
    session: dict[str, str] = {}
    total, page_size, seen = 0, 0, 0
    for page in range(PAGES_MAX):
        params = {**session, "page": str(page), **({"data_group_id": group} if group else {})}
        with request(
            "POST", "/api/query/engage", params, clock=clock, max_wait_s=max_wait_s, **settings
        ) as response:
            reply = read_json(b"".join(response.chunks()), Counter())
        results = reply.get("results") if isinstance(reply, dict) else None
        if not isinstance(results, list):
            raise ReplyError("the reply is not a page of profiles.", subject="engage")
        if page == 0:
            total, page_size = int(reply.get("total", 0)), int(reply.get("page_size", 1000))
            session = {"session_id": str(reply.get("session_id"))}
        seen += len(results)
        yield from (dump_json(profile).encode() for profile in results)
        if len(results) < page_size or seen >= total:
            break
    if seen < total:
        raise ReplyError(f"{seen:,} of {total:,} profiles came. Run again.", subject="engage")


def compare_profiles(
    runs: ProjectRuns, send: Send, served: Iterable[bytes], *, deep: bool
) -> Verification:
    """Compare the profiles that a run has set with those that the project serves.

    Only updates that set properties are compared, and of each profile the last one; what else
    updates do depends on what the profile was before.

    Args:
        runs: of the project.
        send: the run.
        served: profiles, as JSON.
        deep: whether to compare contents, too.
    """
    expected, unchecked = _last_updates(runs, send)
    known = _known_ids(runs, send.kind)
    found = Verification(send, is_deep=deep, unchecked=unchecked)
    counts: Counter[str] = Counter()
    for line in served:
        profile = str(orjson.loads(line).get("$distinct_id"))
        update = expected.pop(profile, None)
        if update is None:
            kind = "known" if profile in known else "extra"
        else:
            content, names = update
            same = not deep or served_profile(line, orjson.loads(names)) == content
            kind = "equal" if same else "different"
        counts[kind] += 1
        if kind in ("extra", "different"):
            found.list(Difference(kind, "", "profile", profile))
    for profile in sorted(expected):
        found.list(Difference("missing", "", "profile", profile))
    equal, different = counts["equal"], counts["different"]
    found.days = [
        DayCount(
            day=send.kind,
            expected=equal + different + len(expected),
            found=equal + different,
            different=different,
            extra=counts["extra"],
        )
    ]
    return found


def _last_updates(runs: ProjectRuns, send: Send) -> tuple[dict[str, tuple[str, str]], int]:
    """Id -> content and names of the last update that sets; and how many do something else."""
    expected: dict[str, tuple[str, str]] = {}
    unchecked = 0
    # names of files begin with the number of their first row
    for path in sorted(runs.log(send.run).batches.glob("*.parquet")):
        rows = duckdb.execute(
            "SELECT insert_id, event, content, names FROM read_parquet(?) "
            "WHERE outcome = 'accepted'",
            [str(path)],
        ).fetchall()
        for profile, operations, content, names in rows:
            if operations == "$set":
                expected[profile] = (content, names)
            else:
                expected.pop(profile, None)
                unchecked += 1
    return expected, unchecked


def _known_ids(runs: ProjectRuns, kind: str) -> set[str]:
    """The profiles that any run has written."""
    files = [
        str(path)
        for send in runs.sends()
        if send.kind == kind
        for path in runs.log(send.run).batches.glob("*.parquet")
    ]
    if not files:
        return set()
    rows = duckdb.execute("SELECT DISTINCT insert_id FROM read_parquet(?)", [files]).fetchall()
    return {profile for (profile,) in rows}
