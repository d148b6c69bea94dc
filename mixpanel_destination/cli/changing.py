"""Runs a command that makes a change: checks, shows, asks, sends, prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from mixpanel_source.cli.exit_codes import DONE, FAILED
from mixpanel_source.cli.output import complain
from mixpanel_source.cli.parser import Parser
from mixpanel_source.cli.signals import CancellableClock, run_cancellable
from mixpanel_source.cli.startup import fast_imports
from mixpanel_source.errors import ConfigError

from .options import add_project

if TYPE_CHECKING:
    from ..commands.changes.base import Outcome, Plan, Work
    from ..commands.target import Target
    from ..settings import Settings

WORD = "destroy"
"""What has to be typed before something is destroyed."""


def add_change_options(parser: Parser, *, destroys: bool = False) -> None:
    """Add the options of a change.

    Args:
        parser: of the command.
        destroys: whether it may destroy something.
    """
    add_project(parser)
    parser.add_argument("--dry-run", action="store_true", help="show, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    if destroys:
        parser.add_argument(
            "--yes-destroy",
            action="store_true",
            help="do it without asking, although something is destroyed for good",
        )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run_change(options: argparse.Namespace, prepare: Callable[[Settings], Work]) -> int:
    """Carry out a change.

    Args:
        options: of the command; see `add_change_options`.
        prepare: checks the arguments, without a request.
    """
    with fast_imports():
        from ..api.client import Client
        from ..commands.changes.base import Outcome
        from ..commands.target import check_project, find_target
        from ..settings import load_settings

    settings = load_settings()
    # a change copies nothing, so that it may well be made in the project that is read
    check_project(settings, options.project_id, same_project=True)
    work = prepare(settings)
    approval = Approval(options, work.destroys)
    approval.check_possible()

    def job(cancelled: Event) -> Outcome | None:
        client = Client(settings, clock=CancellableClock(cancelled), cancelled=cancelled)
        target = find_target(client)
        plan = work.plan(client)
        if plan.send is None:
            approval.show(target, plan)
            return Outcome(text="Nothing to do.", facts=plan.facts)
        return plan.send() if approval.ask(target, plan) else None

    outcome = run_cancellable(job, on_cancel=_announce_cancel)
    if outcome is None:
        return DONE if options.dry_run else FAILED
    _print(outcome, as_json=options.json)
    return outcome.exit_code


class Approval:
    """Asks on the terminal, twice where something is destroyed, unless it was given beforehand."""

    def __init__(self, options: argparse.Namespace, destroys: str) -> None:
        """Take the options of a command and what it destroys."""
        self._destroys = destroys
        self._is_dry = options.dry_run
        self._asks_twice = bool(destroys) and not getattr(options, "yes_destroy", False)
        self._asks = not options.yes and not getattr(options, "yes_destroy", False)

    def check_possible(self) -> None:
        """Check that there is somebody to ask.

        Raises:
            ConfigError: there is not.
        """
        if self._is_dry or sys.stdin.isatty():
            return
        if self._asks_twice:
            raise ConfigError(
                f"This destroys {self._destroys}, and there is no terminal to confirm on. Give "
                "--yes-destroy, or --dry-run."
            )
        if self._asks:
            raise ConfigError("There is no terminal to confirm on. Give --yes, or --dry-run.")

    def ask(self, target: Target, plan: Plan) -> bool:
        """Show what will be done; returns whether to do it."""
        self.show(target, plan)
        if self._is_dry:
            return False
        question = "Go ahead? Type the number of the project: "
        if self._asks and not self._is_typed(str(target.project_id), question):
            return False
        question = f"That cannot be undone. Type {WORD}: "
        return not self._asks_twice or self._is_typed(WORD, question)

    def show(self, target: Target, plan: Plan) -> None:
        """Show what will be done."""
        complain(f"In {target}:")
        for line in plan.lines:
            complain(f"  {line}")
        if self._destroys:
            complain(f"  This destroys {self._destroys}, for good.")

    @staticmethod
    def _is_typed(expected: str, question: str) -> bool:
        try:
            is_typed = input(question).strip() == expected
        except EOFError:
            is_typed = False
        if not is_typed:
            complain("Not confirmed. Nothing was changed.")
        return is_typed


def _announce_cancel() -> None:
    complain("Cancelling: waiting for the request under way. Press Ctrl-C again to end at once.")


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**outcome.facts, "refused": list(outcome.refused)}))
        return
    print(outcome.text)
    for line in outcome.refused:
        complain(f"refused: {line}")
