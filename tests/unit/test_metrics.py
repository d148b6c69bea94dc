"""The file of metrics, read by the parser of Prometheus' own client."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mixpanel_source.jobs.reporting.metrics import HELP, PREFIX, Sample, merge, parse, render


def sample(
    name: str, value: float, *, project: str = "shop", job: str = "sync", **more: str
) -> Sample:
    """A sample of a run."""
    return Sample(name, value, (("project", project), ("job", job), *more.items()))


HOSTILE = 'a "quoted"\\name\nin, two {lines} é'


def test_prometheus_reads_what_was_written() -> None:
    """Every sample arrives, whatever is in its labels, under a metric with type and description."""
    samples = [
        *(sample(name, number + 0.5) for number, name in enumerate(HELP)),
        sample("rows", 3, table=HOSTILE, project=HOSTILE),
    ]
    text = render(samples)
    families = [*text_string_to_metric_families(text)]
    assert [family.name for family in families] == [PREFIX + name for name in HELP]
    assert {family.type for family in families} == {"gauge"}
    assert [family.documentation for family in families] == [*HELP.values()]
    read = {
        Sample(one.name.removeprefix(PREFIX), one.value, tuple(one.labels.items()))
        for family in families
        for one in family.samples
    }
    assert read == {*samples} == {*parse(text)}


def test_merge_replaces_the_own_run() -> None:
    """Other projects and jobs stay, and so does what a failed run does not know."""
    before = [
        sample("rows", 1, table="export"),
        sample("last_success_timestamp_seconds", 10),
        sample("synced_through_timestamp_seconds", 9, table="export"),
        sample("rows", 2, job="backfill", table="export"),
        sample("rows", 3, project="blog", table="export"),
        sample("exit_code", 2, project=""),
    ]
    run = [sample("exit_code", 1), sample("synced_through_timestamp_seconds", 11, table="export")]
    assert merge(before, run) == [before[1], before[3], before[4], *run]


def test_damaged_file_is_no_obstacle() -> None:
    """What is not a sample of ours is left out."""
    good = sample("rows", 1, table="export")
    text = f"nonsense\n{PREFIX}rows{{\n{PREFIX}rows{{}} x\n{PREFIX}other{{}} 1\n{render([good])}"
    assert [*parse(text)] == [good]
