"""Metrics of runs, in the text format of Prometheus.

Pure. A file holds the newest run of each project and job; a run replaces its own samples and leaves
the others.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

PREFIX: Final = "mixpanel_source_"

HELP: Final[Mapping[str, str]] = {
    "rows": "Rows that the last run loaded.",
    "bytes": "Uncompressed bytes of what the last run loaded.",
    "values_repaired": "Values that the destination could not hold as they were, in the last run.",
    "rows_rejected": "Rows of another shape than expected, in the last run.",
    "table_failed": "Whether the last run could not load the table, or a part of it.",
    "lag_days": "Complete days that are not loaded yet.",
    "synced_through_timestamp_seconds": "Begin of the newest day that a sync has loaded.",
    "requests": "Requests that the last run made, failed and unmetered ones included.",
    "quota_left": "Requests that the hourly quota still allowed at the end of the last run.",
    "exit_code": "Exit code of the last run.",
    "run_seconds": "Seconds that the last run took.",
    "last_run_timestamp_seconds": "End of the last run.",
    "last_success_timestamp_seconds": "End of the last run with exit code 0.",
}
"""Name of a metric, without the prefix -> its description. All are gauges."""
_KEPT: Final = ("last_success_timestamp_seconds", "synced_through_timestamp_seconds")
"""What a run that does not know them leaves as they were."""

_SAMPLE = re.compile(rf"{PREFIX}(?P<name>\w+)\{{(?P<labels>.*)\}} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


class Sample(NamedTuple):
    """A value with its labels."""

    name: str
    """Of the metric, without the prefix."""
    value: float
    labels: tuple[tuple[str, str], ...]
    """Label and value; `project` and `job` first."""

    def label(self, name: str) -> str:
        """The value of a label; empty if it has none."""
        return dict(self.labels).get(name, "")

    @property
    def run(self) -> tuple[str, str]:
        """Project and job."""
        return self.label("project"), self.label("job")


def merge(before: Iterable[Sample], run: Iterable[Sample]) -> list[Sample]:
    """The samples after a run: those of the run, and those before it of other projects and jobs.

    Args:
        before: of the runs before.
        run: of one run, all with the same project and job.
    """
    run = [*run]
    own = {sample.run for sample in run}
    names = {sample.name for sample in run}
    kept = [
        sample
        for sample in before
        # before its settings were complete, a run could not name its project
        if (sample.run not in own and sample.label("project"))
        or (sample.run in own and sample.name in _KEPT and sample.name not in names)
    ]
    return [*kept, *run]


def render(samples: Iterable[Sample]) -> str:
    """The samples as a file, grouped by metric."""
    lines: list[str] = []
    ordered = sorted(samples, key=lambda sample: sample.labels)
    for name, text in HELP.items():
        of_metric = [sample for sample in ordered if sample.name == name]
        if of_metric:
            lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} gauge"]
            lines += [
                f"{PREFIX}{name}{{{_labels(sample)}}} {sample.value!r}" for sample in of_metric
            ]
    return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> Iterator[Sample]:
    """Yields the samples of a file that `render` wrote; anything else in it is left out."""
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is None or match["name"] not in HELP:
            continue
        labels = tuple((name, _unescape(value)) for name, value in _LABEL.findall(match["labels"]))
        try:
            yield Sample(match["name"], float(match["value"]), labels)
        except ValueError:
            continue


def _labels(sample: Sample) -> str:
    return ",".join(
        f'{name}="{"".join(_ESCAPES.get(char, char) for char in value)}"'
        for name, value in sample.labels
    )


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)
