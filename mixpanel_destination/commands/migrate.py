"""Moves a project: reads the source, writes the target in the order that Mixpanel needs.

The order: Lexicon, identity events, events, profiles, groups, annotations. Each step is an import
or a change of its own, so that an interrupted migration continues where it was.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from mixpanel_source.api.clock import Clock
from mixpanel_source.config.model import Config
from mixpanel_source.errors import ConfigError

from ..api.client import Client
from ..rows.identity import Linker, is_identity
from ..runs import ProjectRuns, Send
from ..settings import Settings
from .changes import chart_annotations, lexicon
from .changes.base import Work
from .importing import Confirm, Importer, ImportOptions, ImportResult
from .source_project import SourceProject, write_entries

logger = logging.getLogger("mixpanel_destination")

STEPS = ("lexicon", "identity", "events", "profiles", "groups", "annotations")
IDENTITY = ("resend", "link", "skip")


@dataclass(frozen=True)
class MigrationOptions:
    """What is moved, and how."""

    first: date
    last: date
    steps: tuple[str, ...] = STEPS
    groups: Mapping[str, str] = field(default_factory=dict)
    """Group key -> `data_group_id` of it in the source."""
    identity: str = "resend"
    """What becomes of identity events: resend, link (for simplified management) or skip."""
    user_id_pattern: str = ""
    window_days: int = 7
    keep_arrival: bool = False
    dry_run: bool = False
    refused_share_max: float = 0.01


@dataclass
class Step:
    """A step that was taken."""

    name: str
    sends: list[Send] = field(default_factory=list)
    note: str = ""


@dataclass
class MigrationResult:
    """What a migration did."""

    steps: list[Step] = field(default_factory=list)

    @property
    def sends(self) -> list[Send]:
        """The runs of all steps."""
        return [send for step in self.steps for send in step.sends]


Approve = Callable[[Work, Client], str]
"""Shows a change, asks, carries it out and returns what it came to."""


class Migration:
    """Moves one project into another."""

    def __init__(
        self,
        settings: Settings,
        config: Config,
        options: MigrationOptions,
        *,
        clock: Clock = time,
        cancelled: threading.Event | None = None,
        on_progress: Callable[[int], None] | None = None,
        max_wait_s: float,
    ) -> None:
        """Prepare; nothing is requested.

        Args:
            settings: of the target.
            config: settings of the source.
            options: what is moved.
            clock: the time, and how to wait.
            cancelled: once set, the migration stops.
            on_progress: see `Importer`.
            max_wait_s: maximum seconds to wait for the source's quota.

        Raises:
            ConfigError: the projects are the same, or options contradict each other.
        """
        _check(settings, config, options)
        self._settings = settings
        self._options = options
        self._clock = clock
        self._cancelled = cancelled or threading.Event()
        self._on_progress = on_progress
        self._timezone = config.project_timezone or ""
        directory = ProjectRuns(settings.project_id).directory / f"from-{config.project_id}"
        self._source = SourceProject(config, directory, clock, max_wait_s)
        self._name = f"project {config.project_id}"

    def run(self, confirm: Confirm, approve: Approve) -> MigrationResult:
        """Take all steps.

        Raises:
            MixpanelError: a step failed; the same command continues.
        """
        options = self._options
        result = MigrationResult()
        if {"identity", "events"} & {*options.steps}:
            self._source.fetch(options.first, options.last, window_days=options.window_days)
        for name in STEPS:
            if name in options.steps:
                result.steps += self._take(name, confirm, approve)
        if not options.dry_run and self._source.directory.exists():
            self._source.forget()
        return result

    def _take(self, name: str, confirm: Confirm, approve: Approve) -> Iterator[Step]:
        if name == "lexicon":
            yield self._change(name, self._lexicon(), approve)
        elif name == "annotations":
            yield self._change(name, self._annotations(), approve)
        elif name == "identity":
            yield self._identity(confirm)
        elif name == "events":
            events = (line for line in self._source.events() if not is_identity(line))
            yield self._import(name, "events", events, confirm)
        elif name == "profiles":
            yield self._import(name, "profiles", self._source.profiles(), confirm)
        else:
            for key, group in self._options.groups.items():
                lines = self._source.profiles(group)
                yield self._import(f"groups {key}", "groups", lines, confirm, group_key=key)

    def _identity(self, confirm: Confirm) -> Step:
        if self._options.identity == "skip":
            return Step("identity", note="skipped")
        verbs = (line for line in self._source.events() if is_identity(line))
        if self._options.identity == "resend":
            return self._import("identity", "events", verbs, confirm)
        linker = Linker(re.compile(self._options.user_id_pattern))
        linked = (made for line in verbs if (made := linker.link(line)) is not None)
        step = self._import("identity", "events", linked, confirm)
        if linker.ambiguous:
            step.note += (
                f" {linker.ambiguous:,} identity events are ambiguous: not exactly one id of each "
                "matches --user-id-pattern. They were not sent."
            )
        return step

    def _import(
        self,
        name: str,
        kind: str,
        lines: Iterable[bytes],
        confirm: Confirm,
        *,
        group_key: str | None = None,
    ) -> Step:
        logger.info("%s:", name)
        options = ImportOptions(
            kind=kind,
            group_key=group_key,
            keep_arrival=self._options.keep_arrival,
            timezone=self._timezone,
            dry_run=self._options.dry_run,
            skip_sent=kind == "events",
            refused_share_max=self._options.refused_share_max,
        )
        importer = Importer(
            self._settings,
            options,
            clock=self._clock,
            cancelled=self._cancelled,
            on_progress=self._on_progress,
        )
        source = f"{self._name}, {name}"
        result: ImportResult = importer.run(lines, confirm, source=source)
        return Step(name, result.sends, result.note)

    def _lexicon(self) -> Work | None:
        entries = self._source.list_of("/api/app/projects/{project_id}/schemas")
        if not entries:
            return None
        path = ProjectRuns(self._settings.project_id).directory / "lexicon.json"
        write_entries(path, entries)
        try:
            return lexicon.push(str(path), truncate=False)
        finally:
            path.unlink()

    def _annotations(self) -> Work | None:
        found = self._source.list_of("/api/app/projects/{project_id}/annotations")
        annotations = [
            chart_annotations.Annotation(
                str(item.get("date", ""))[:19].replace("T", " "),
                str(item.get("description", "")),
                tuple(str(tag.get("name")) for tag in item.get("tags", ())),
            )
            for item in found
        ]
        return chart_annotations.add(annotations) if annotations else None

    def _change(self, name: str, work: Work | None, approve: Approve) -> Step:
        if work is None:
            return Step(name, note="The source has none.")
        client = Client(self._settings, clock=self._clock, cancelled=self._cancelled)
        return Step(name, note=approve(work, client))


def _check(settings: Settings, config: Config, options: MigrationOptions) -> None:
    if settings.project_id == config.project_id:
        raise ConfigError(
            f"sources.mixpanel and destination.{settings.name} are the same project, "
            f"{settings.project_id}. A migration needs two."
        )
    if options.identity == "link" and not options.user_id_pattern:
        raise ConfigError(
            "--user-id-pattern is missing: a regular expression that matches ids of users, and "
            "none of devices."
        )
    if settings.token is None and {"profiles", "groups"} & {*options.steps}:
        raise ConfigError(
            f"token is not set, which profiles need. Set it in [destination.{settings.name}] of "
            ".dlt/secrets.toml, or leave profiles and groups out of --steps."
        )
