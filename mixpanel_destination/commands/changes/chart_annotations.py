"""Adds, edits and deletes annotations.

They have no key of their own, so that one sent twice is there twice: what is there is read first.

Source: https://developer.mixpanel.com/reference/create-annotation
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from mixpanel_source.errors import ConfigError

from ...api.client import Client
from ...endpoints import APP, endpoint
from ...errors import UncertainError
from .base import Outcome, Plan, Work, count, read_list, read_text, send_to, some, to_json

_DATE_LENGTH = len("2026-11-20")
_SECONDS_LENGTH = len("2026-11-20 12:00:00")


class Annotation(NamedTuple):
    """An annotation that is to be added."""

    date: str
    """As `YYYY-MM-DD HH:mm:ss`, in the project's timezone."""
    description: str
    tags: tuple[str, ...] = ()
    """Names of tags."""


def add(annotations: Sequence[Annotation]) -> Work:
    """Add annotations, except for those with the date and description of one that is there.

    Raises:
        ConfigError: there are none.
    """
    unique = list(dict.fromkeys(annotations))
    if not unique:
        raise ConfigError("no annotations are given: name one, or give a file with --from.")

    def plan(client: Client) -> Plan:
        known = _read(client, unique)
        new = [wanted for wanted in unique if _key(wanted) not in known]
        tags = _read_tags(client) if any(wanted.tags for wanted in new) else {}
        missing = sorted({tag for wanted in new for tag in wanted.tags} - tags.keys())
        skipped = len(unique) - len(new)
        lines = [f"Add {count(len(new), 'annotation')}; {skipped:,} already there"]
        if missing:
            lines.append(f"Create the tags {some(missing)}")
        send = (lambda: _add(client, new, tags, missing, skipped)) if new else None
        facts = {"added": 0, "skipped": skipped, "tags": 0}
        return Plan(lines=lines, send=send, facts=facts)

    return Work(label="annotations add", plan=plan)


def edit(number: int, *, description: str | None, tags: Sequence[str] | None) -> Work:
    """Change the description or the tags of an annotation.

    Raises:
        ConfigError: neither is given.
    """
    if description is None and tags is None:
        raise ConfigError("nothing to change: give --description or --tag.")

    def plan(client: Client) -> Plan:
        stored = _find(client, number)
        body: dict[str, Any] = {} if description is None else {"description": description}
        if tags is not None:
            known = _read_tags(client)
            unknown = [tag for tag in tags if tag not in known]
            if unknown:
                raise ConfigError(f"there is no tag {some(unknown)}; there are: {some([*known])}.")
            body["tags"] = [known[tag] for tag in tags]

        def send() -> Outcome:
            place = {"annotation_id": number}
            text = to_json(body)
            one = endpoint("patch-annotation")
            send_to(client, one, label="annotations edit", body=text, values=place)
            return Outcome(text=f"annotation {number} changed", facts={"id": number})

        return Plan(lines=[f"Change annotation {_describe(stored)}"], send=send)

    return Work(label="annotations edit", plan=plan)


def delete(number: int) -> Work:
    """Delete an annotation."""

    def plan(client: Client) -> Plan:
        stored = _find(client, number)

        def send() -> Outcome:
            one = endpoint("delete-annotation")
            send_to(client, one, label="annotations delete", values={"annotation_id": number})
            return Outcome(text=f"annotation {number} deleted", facts={"id": number})

        return Plan(lines=[f"Delete annotation {_describe(stored)}"], send=send)

    return Work(label="annotations delete", destroys=f"annotation {number}", plan=plan)


def read_annotations(source: str) -> list[Annotation]:
    """The annotations of a file of JSON lines: `date`, `description`, `tags`.

    Raises:
        ConfigError: a line is none.
    """
    found = []
    for number, line in enumerate(read_text(source).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{source}, line {number}"
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise ConfigError(f"{where}: it is not JSON.") from None
        if not isinstance(value, dict) or value.keys() - {"date", "description", "tags"}:
            raise ConfigError(f"{where}: it must have date, description and perhaps tags only.")
        tags = value.get("tags", [])
        if not isinstance(tags, list):
            raise ConfigError(f"{where}: tags must be a list of names.")
        found.append(parse(value.get("date"), value.get("description"), tags, where=f"{where}: "))
    return found


def parse(
    date: object, description: object, tags: Iterable[object] = (), *, where: str = ""
) -> Annotation:
    """An annotation from what a user gave.

    Raises:
        ConfigError: the date or the description is missing or invalid.
    """
    try:
        moment = datetime.fromisoformat(date) if isinstance(date, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise ConfigError(
            f"{where}date is {date!r}; it must be YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, without an "
            "offset."
        )
    if not isinstance(description, str) or not description.strip():
        raise ConfigError(f"{where}description is missing.")
    return Annotation(f"{moment:%Y-%m-%d %H:%M:%S}", description, tuple(map(str, tags)))


def _key(annotation: Annotation) -> tuple[str, str]:
    return annotation.date, annotation.description


def _read(client: Client, wanted: Sequence[Annotation]) -> set[tuple[str, str]]:
    """The dates and descriptions of what is there, on the days that are wanted."""
    days = sorted(annotation.date[:_DATE_LENGTH] for annotation in wanted)
    path = f"{APP}/annotations"
    found = read_list(client, path, label="annotations", fromDate=days[0], toDate=days[-1])
    return {
        (
            str(stored.get("date"))[:_SECONDS_LENGTH].replace("T", " "),
            str(stored.get("description")),
        )
        for stored in _results(found)
    }


def _read_tags(client: Client) -> dict[str, int]:
    found = read_list(client, f"{APP}/annotations/tags", label="annotation tags")
    # the specification has the bare list, other lists of this API come in an envelope
    return {tag["name"]: tag["id"] for tag in _results(found) if {"id", "name"} <= tag.keys()}


def _results(found: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    listed = found.get("results") if isinstance(found, dict) else found
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _find(client: Client, number: int) -> Mapping[str, Any]:
    found = read_list(client, f"{APP}/annotations/{number}", label=f"annotation {number}")
    stored = found.get("results") if isinstance(found, dict) else None
    return stored if isinstance(stored, dict) else {"id": number}


def _describe(stored: Mapping[str, Any]) -> str:
    return f"{stored.get('id')} of {stored.get('date')}: {stored.get('description')}"


def _add(
    client: Client,
    new: Sequence[Annotation],
    tags: Mapping[str, int],
    missing: Sequence[str],
    skipped: int,
) -> Outcome:
    numbers = dict(tags)
    for name in missing:
        one = endpoint("create-annotation-tag")
        created = send_to(client, one, label="annotation tag", body=to_json({"name": name})).json()
        results = created.get("results", created) if isinstance(created, dict) else {}
        numbers[name] = results["id"]
    for wanted in new:
        _add_one(client, wanted, numbers)
    facts = {"added": len(new), "skipped": skipped, "tags": len(missing)}
    return Outcome(text=f"{count(len(new), 'annotation')} added, {skipped:,} skipped", facts=facts)


def _add_one(client: Client, wanted: Annotation, tags: Mapping[str, int]) -> None:
    body: dict[str, Any] = {"date": wanted.date, "description": wanted.description}
    if wanted.tags:
        body["tags"] = [tags[name] for name in wanted.tags]
    known = endpoint("create-annotation")
    while True:
        try:
            send_to(client, known, label="annotations add", body=to_json(body))
        except UncertainError:
            # it may be there although the answer was lost
            if _key(wanted) not in _read(client, [wanted]):
                continue
        return
