"""Several configured projects in one run: each in its own dataset, and none stops another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import dlt
import duckdb
import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from mixpanel_source import (
    ProjectSettings,
    backfill,
    cli,
    create_union_views,
    for_each_project,
    forget,
    open_pipeline,
    sync_projects,
)
from mixpanel_source.config.projects import project_names, read_project
from mixpanel_source.config.providers import load_config
from mixpanel_source.errors import CancelledError, ConfigError
from mixpanel_source.paths import data_directory
from mixpanel_source.progress import Progress
from tests.support.lab import load
from tests.support.projects import YESTERDAY, add_event, make_recent_project
from tests.support.settings import UNLIMITED, set_environment, settings_for, write_dlt_file

PROJECTS = "SOURCES__MIXPANEL__PROJECTS__"
IDS = {"shop": 1001, "blog": 1002, "app": 1003}


def numbered_project(number: int) -> Project:
    """A project with events of the last two days, all named after its number."""
    project = make_recent_project(2)
    project.project_id = number
    for day, events in project.events.items():
        renamed = [{**json.loads(event), "event": f"Event of {number}"} for event in events]
        project.events[day] = [json.dumps(event).encode() for event in renamed]
    return project


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with three projects, which a settings file and the environment name."""
    first, *others = [numbered_project(number) for number in IDS.values()]
    with Sandbox(first, others=others, **UNLIMITED) as sandbox:
        shared = settings_for(sandbox)
        del shared["project_id"]
        set_environment(monkeypatch, shared)
        lines = [f"[sources.mixpanel.projects.{name}]\nproject_id = {IDS[name]}" for name in IDS]
        lines += ['tables = "export"']
        write_dlt_file(Path.cwd(), "config.toml", "\n".join(lines))
        yield sandbox


def events_in(*datasets: str) -> dict[str, list[tuple[Any, ...]]]:
    """Dataset -> names of its events with their numbers."""
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        query = "SELECT event, count(*) FROM {}.export GROUP BY event"
        return {name: connection.execute(query.format(name)).fetchall() for name in datasets}


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with `--json` and return its exit code and what it printed."""
    capsys.readouterr()
    code = cli.main([*arguments, "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, result


def test_projects_are_loaded_one_after_the_other(
    served: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gets its own dataset and its own tables; the commands report a line for each."""
    assert cli.main(["sync", "--projects", "all"]) == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["shop", "blog", "app"]
    assert lines[0].startswith("shop: dataset mixpanel_shop, 11 rows, 3 requests, ")
    assert lines[0].endswith(", done")
    assert events_in("mixpanel_shop", "mixpanel_blog", "mixpanel_app") == {
        f"mixpanel_{name}": [(f"Event of {number}", 6)] for name, number in IDS.items()
    }
    # the settings of app name its tables
    assert lines[2].startswith("app: dataset mixpanel_app, 6 rows, 2 requests, ")
    assert len({*data_directory().glob("requests-*.json")}) == 3

    served.forget_requests()
    code, status = run_json(capsys, "status", "--projects", "all")
    assert (code, [*status]) == (cli.DONE, [*IDS])
    assert {name: status[name]["project_id"] for name in status} == IDS
    assert status["blog"]["tables"]["export"]["rows"] == 6
    code, plan = run_json(capsys, "plan", "--projects", "app,shop")
    assert (code, [*plan]) == (cli.DONE, ["app", "shop"])
    assert ([*plan["app"]["tables"]], plan["app"]["requests"]) == (["export"], 2)
    assert [*plan["shop"]["tables"]] == ["export", "engage"]
    assert served.requests == []
    code, checked = run_json(capsys, "check", "--projects", "APP", "--tables", "export,engage")
    assert (code, checked["app"]["engage"], checked["app"]["error"]) == (cli.DONE, None, None)
    code, compared = run_json(capsys, "reconcile", "--projects", "shop")
    assert code == compared["shop"]["exit_code"]


def test_one_that_fails_stops_no_other(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong secret, a misspelt setting and a table that fails each leave the others alone."""
    monkeypatch.setenv(f"{PROJECTS}SHOP__SECRET", "wrong-secret")
    served.inject(Fault("500", table="engage", times=1))
    monkeypatch.setenv("SOURCES__MIXPANEL__RETRIES", "0")
    monkeypatch.setenv(f"{PROJECTS}APP__WHERE_", "x")
    # 1 comes before 2 in the order of exit codes
    code, result = run_json(capsys, "sync", "--projects", "all")
    ended = {name: result[name]["exit_code"] for name in result}
    assert ended == {"shop": cli.WRONG_USAGE, "blog": cli.FAILED, "app": cli.WRONG_USAGE}
    assert code == cli.FAILED
    assert result["blog"]["rows"] == {"export": 6}
    assert [*result["blog"]["failures"]] == ["engage"]
    assert (
        "there is no setting where_ (SOURCES__MIXPANEL__PROJECTS__APP__WHERE_)"
        in (result["app"]["error"])
    )
    assert "did you mean where?" in result["app"]["error"]
    assert cli.main(["sync", "--projects", "shop,app"]) == cli.WRONG_USAGE
    done = capsys.readouterr()
    assert "wrong-secret" not in done.out + done.err
    assert "error: shop: " in done.err
    assert done.out.splitlines()[0] == "shop: wrong settings or account"


def test_python_api(served: Sandbox) -> None:
    """`sync_projects` and any other function, with the settings of each project."""
    results = sync_projects(["blog", "blog"], ("export",), lookback_days=0)
    assert results.exit_code == 0
    assert [*results.projects] == ["blog"]
    loaded = results.projects["blog"].result
    assert loaded is not None
    assert loaded.rows == {"export": 6}

    def backfill_one(project: ProjectSettings) -> int:
        if project.name == "shop":
            raise RuntimeError("a value that is not shown")
        pipeline = open_pipeline(dataset=project.dataset, name=project.pipeline)
        day = max(served.project.events)
        done = backfill(f"{day},{day}", pipeline=pipeline, **project.settings)
        return done.rows.total()

    backfilled = for_each_project(backfill_one, "shop,blog")
    assert [(one.project, one.result) for one in backfilled.projects.values()] == [
        ("shop", None),
        ("blog", 3),
    ]
    error = backfilled.projects["shop"].error
    assert str(error).startswith("unexpected RuntimeError; this is a bug")
    assert "value that is not shown" not in str(error)
    assert backfilled.exit_code == 1


def test_cancelling_ends_all(served: Sandbox) -> None:
    """The project under way loads what it has; no other begins."""
    cancelled = Event()

    class CancelOnLoad(Progress):
        def package_loaded(self, table: str) -> None:  # noqa: ARG002 - as overridden
            cancelled.set()

    results = sync_projects("all", ("export",), cancelled=cancelled, progress=CancelOnLoad())
    assert results.exit_code == cli.INTERRUPTED
    assert [type(one.error) for one in results.projects.values()] == [
        type(None),
        CancelledError,
        CancelledError,
    ]
    assert {record.params["project_id"] for record in served.requests} == {"1001"}


@pytest.mark.slow
def test_ctrl_c_ends_all(served: Sandbox) -> None:
    """While the second project waits: the first stays loaded, the third does not begin."""
    served.inject(Fault("429", table="export", request=3, seconds=1800))
    command = [sys.executable, "-m", "mixpanel_source.cli", "sync", "--projects", "all"]
    with subprocess.Popen(
        [*command, "--tables", "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("Next try at" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == cli.INTERRUPTED, err
    assert [line.rpartition(", ")[2].rpartition(": ")[2] for line in out.splitlines()] == [
        "done",
        "cancelled",
        "cancelled",
    ]
    assert "What is loaded stays" in err
    assert events_in("mixpanel_shop") == {"mixpanel_shop": [("Event of 1001", 6)]}
    assert {record.params["project_id"] for record in served.requests} == {"1001", "1002"}


def test_options_of_one_project_are_refused(
    served: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """What names one dataset, pipeline or archive cannot hold for several projects."""
    for option in ("--dataset", "--pipeline", "--archive", "--from-archive"):
        assert cli.main(["sync", "--projects", "all", option, "x"]) == cli.WRONG_USAGE
        assert f"error: {option} is for one project" in capsys.readouterr().err
    assert served.requests == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "projects: none is configured"),
        ("[sources.mixpanel.projects]\nshop = 1", "shop must be a section with a line for each"),
        ("[sources.mixpanel.projects.all]\nregion = 'us'", "has the name 'all'"),
        ("[sources.mixpanel.projects.'shop-eu']\nregion = 'us'", "has the name 'shop-eu'"),
        ("[sources.mixpanel.projects.shop]\nregion = 'us'", "from shop: did you mean shop?"),
    ],
)
def test_names_are_checked(tmp_path: Path, text: str, message: str) -> None:
    """A project that does not exist, and names that cannot be, are refused with what is valid."""
    write_dlt_file(tmp_path, "config.toml", text)
    with pytest.raises(ConfigError) as refused:
        sync_projects("shopp")
    assert message in str(refused.value)


def test_settings_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and variables name projects; what a project sets, blank too, hides the shared value."""
    write_dlt_file(
        tmp_path,
        "config.toml",
        "[sources.mixpanel]\nwhere = 'x'\n"
        "[sources.mixpanel.projects.Shop]\nwhere = ''\ntables = 'engage, export'\n"
        "[sources.mixpanel.projects.blog]\ndataset = 'mixpanel-new'\npipeline = 'old'\n",
    )
    monkeypatch.setenv(f"{PROJECTS}NEW__DATASET", "Mixpanel_New")
    monkeypatch.setenv(f"{PROJECTS}SHOP__REGION", "eu")
    assert project_names() == ["Shop", "blog", "new"]
    shop = read_project("Shop")
    assert shop == ProjectSettings(
        "Shop",
        "mixpanel_Shop",
        "mixpanel_Shop",
        ("engage", "export"),
        {"where": "", "region": "eu"},
    )
    config = load_config({**shop.settings, "username": "u", "secret": "s", "project_id": 1})
    assert (config.where, config.base_url) == (None, "https://eu.mixpanel.com")
    for name, other in (("blog", "new"), ("new", "blog")):
        with pytest.raises(ConfigError, match=f"is also that of project {other}"):
            read_project(name)
    monkeypatch.setenv(f"{PROJECTS}NEW__DATASET", "7")
    assert read_project("blog").pipeline == "old"


def load_with_properties(pipeline: dlt.Pipeline, number: int, **properties: Any) -> None:
    """Load one event of a project that has these properties."""
    project = Project(project_id=number)
    add_event(project, YESTERDAY, 0, **properties)
    load(project, pipeline, "export")


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["duckdb", "postgres"])
def test_union_views(destination: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A view has the rows of all projects and follows new columns when it is created again."""
    if destination == "postgres":
        request.getfixturevalue("postgres")
    names = "".join(f"[sources.mixpanel.projects.{name}]\n" for name in ("a", "b", "unloaded"))
    write_dlt_file(tmp_path, "config.toml", names)
    with pytest.raises(ConfigError, match="Nothing is loaded for these projects yet"):
        create_union_views(destination=destination)
    pipelines = {
        name: open_pipeline(destination, dataset=f"mixpanel_{name}", name=f"mixpanel_{name}")
        for name in ("a", "b")
    }
    load_with_properties(pipelines["a"], 1001, price="dear")
    load_with_properties(pipelines["b"], 1002, price=7)
    assert "export" in create_union_views(destination=destination)
    query = "SELECT project, price FROM mixpanel_all.export ORDER BY project"
    assert select(pipelines["a"], query) == [("a", "dear"), ("b", "7")]
    for column in ("color", "a_first"):
        select(pipelines["b"], f"ALTER TABLE mixpanel_b.export ADD COLUMN {column} text")
    select(pipelines["b"], "UPDATE mixpanel_b.export SET color = 'red', a_first = '1'")
    create_union_views(destination=destination)
    query = "SELECT project, color, a_first FROM mixpanel_all.export ORDER BY project"
    assert select(pipelines["a"], query) == [("a", None, None), ("b", "red", "1")]
    with pytest.raises(ConfigError, match="which is the dataset of a project"):
        create_union_views(destination=destination, schema="mixpanel_a")


def select(pipeline: dlt.Pipeline, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with pipeline.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(query) or ()]


@pytest.mark.usefixtures("served")
def test_person_is_forgotten_by_the_mask_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids in the dataset are hashes, with a key that only this project has."""
    monkeypatch.setenv(f"{PROJECTS}SHOP__MASK", '{"distinct_id": "hash"}')
    monkeypatch.setenv(f"{PROJECTS}SHOP__MASK_KEY", "a key of sixteen characters or more")
    assert sync_projects("shop").exit_code == cli.DONE
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        query = "SELECT distinct_id FROM mixpanel_shop.export"
        assert {"u0", "u1"}.isdisjoint(*zip(*connection.execute(query).fetchall(), strict=True))
    forgotten = forget("u0", dataset="mixpanel_shop", name="mixpanel_shop")
    assert forgotten.rows["export"] > 0
