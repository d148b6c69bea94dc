"""Runs a command once, or with `--projects` for one project after another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CancelledError, ConfigError, MixpanelError
from .exit_codes import DONE, FAILED, INTERRUPTED, LATER, UNCHANGED, WRONG_USAGE
from .options import is_given
from .output import Cell, Column, complain, print_answer, print_table, print_traceback

if TYPE_CHECKING:
    from ..config.projects import ProjectSettings
    from ..jobs.projects import ProjectResult, ProjectResults

T = TypeVar("T")
AsJson = Callable[[T], dict[str, Any]]

OUTCOMES = {
    DONE: "done",
    FAILED: "failed",
    WRONG_USAGE: "wrong settings or account",
    UNCHANGED: "nothing changed",
    LATER: "stopped for now",
    INTERRUPTED: "cancelled",
}
"""Exit code of a project -> what is printed for it."""
_OF_ONE_PROJECT = ("dataset", "pipeline", "archive", "from_archive")
"""Options that hold for one project only."""


def run_reading(
    options: argparse.Namespace,
    read: Callable[[ProjectSettings], T],
    *,
    as_json: AsJson[T],
    show: Callable[[T], None],
    exit_code: Callable[[T], int] = lambda _: DONE,
) -> int:
    """Read and print something, for one project or for each of `--projects`.

    Args:
        options: of the command.
        read: reads it, for a project.
        as_json: the result for `--json`.
        show: prints the result as text.
        exit_code: of a result.
    """
    if options.projects is None:
        result = read(target_of(options))
        if options.json:
            print(json.dumps(as_json(result)))
        else:
            show(result)
        return exit_code(result)

    from ..jobs.projects import for_each_project

    def show_one(ended: ProjectResult[T]) -> None:
        print_error(ended, options)
        if ended.result is not None and not options.json:
            print(f"{ended.project}:")
            show(ended.result)

    check_options(options)
    results = for_each_project(read, options.projects, exit_code=exit_code, on_end=show_one)
    return print_results(results, options, as_json=as_json)


def target_of(options: argparse.Namespace) -> ProjectSettings:
    """The project of a command without `--projects`: it has no settings of its own."""
    from ..config.projects import ProjectSettings

    return ProjectSettings(
        "", getattr(options, "dataset", ""), getattr(options, "pipeline", ""), settings={}
    )


def tables_of(options: argparse.Namespace, project: ProjectSettings) -> Sequence[str]:
    """The tables of a project: those of `--tables`, of its settings, or the default ones."""
    given: Sequence[str] = options.tables
    return given if is_given(options, "tables") else project.tables or given


def check_options(options: argparse.Namespace) -> None:
    """Refuse options that hold for one project only.

    Raises:
        ConfigError: one is given with `--projects`.
    """
    for name in _OF_ONE_PROJECT:
        if is_given(options, name):
            setting = f"set {name} in [sources.mixpanel.projects.NAME]"
            advice = "run each project by itself" if name == "from_archive" else setting
            raise ConfigError(
                f"--{name.replace('_', '-')} is for one project and cannot be given with "
                f"--projects. Leave it out; {advice} instead."
            )


def print_error(ended: ProjectResult[Any], options: argparse.Namespace) -> None:
    """Print why a project could not be read or loaded at all."""
    error = ended.error
    if error is None:
        return
    if options.debug:
        print_traceback(error)
        print_answer(error)
    if not isinstance(error, CancelledError):
        complain(f"error: {ended.project}: {error}", error=type(error).__name__)


def print_results(
    results: ProjectResults[T],
    options: argparse.Namespace,
    *,
    as_json: AsJson[T],
    columns: Sequence[Column] = (),
    cells: Callable[[T], Sequence[Cell]] = lambda _: (),
) -> int:
    """Print a line for each project, or with `--json` an object of them, and return the exit code.

    Args:
        results: of all projects.
        options: of the command.
        as_json: a result for `--json`.
        columns: of the line, besides the name and how it ended.
        cells: of these columns, for a result.
    """
    ended = [*results.projects.values()]
    if options.json:
        print(json.dumps({one.project: _json_of(one, as_json) for one in ended}))
        return results.exit_code
    rows = [
        [
            one.project,
            *(cells(one.result) if one.result is not None else [None] * len(columns)),
            OUTCOMES[one.exit_code],
        ]
        for one in ended
    ]
    print_table([Column("project"), *columns, Column("result", wraps=True)], rows)
    return results.exit_code


def _json_of(ended: ProjectResult[T], as_json: AsJson[T]) -> dict[str, Any]:
    error: MixpanelError | None = ended.error
    return {
        "exit_code": ended.exit_code,
        "error": error and str(error),
        **({} if ended.result is None else as_json(ended.result)),
    }
