"""Names of pipelines, datasets and DuckDB files: all work alike, or are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import dlt
import duckdb
import pytest

from mixpanel_sandbox import Project
from mixpanel_source import cli, create_views, open_pipeline, status
from mixpanel_source.destinations.registry import destination_of, target_of
from mixpanel_source.errors import ConfigError
from tests.support.lab import Lab
from tests.support.settings import set_environment

FILE_VARIABLE = "DESTINATION__DUCKDB__CREDENTIALS"


@pytest.fixture
def project() -> Project:
    """Two days of a few events, and a profile."""
    project = Project()
    for number in range(4):
        at = 1_790_000_000 + number * 40_000
        project.add_event("Seen", {"time": at, "distinct_id": "a", "$insert_id": f"id-{number}"})
    project.add_profile("a", {"plan": "free"})
    return project


@pytest.fixture
def small_lab(lab: Lab, project: Project, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The lab, on the day after the last event, with its settings in the environment."""
    lab.overrides |= {"anchor_date": min(project.events), "lookback_days": 1}
    lab.clock.now = 1_790_300_000.0
    set_environment(monkeypatch, lab.settings)
    return lab


def assert_loads_once(lab: Lab, *, dataset: str = "mixpanel", name: str = "mixpanel") -> None:
    """Two syncs load each event once, and `status` knows them."""
    for _ in range(2):
        lab.pipeline = open_pipeline(dataset=dataset, name=name)
        assert lab.sync().failures == {}
    assert len(lab.rows("export")) == 4
    if destination_of(lab.pipeline).view_obstacle is None:
        create_views(lab.pipeline)
    else:
        with pytest.raises(ConfigError, match="Rename the file"):
            create_views(lab.pipeline)
    found = status(dataset=dataset, name=name, clock=lab.clock, **lab.settings)
    assert {table.table: table.rows for table in found.tables} == {"export": 4, "engage": 1}
    assert found.outcome == "done"


@pytest.mark.parametrize(
    ("file", "dataset"),
    [
        pytest.param("Mixpanel.v2.duckdb", "mixpanel", marks=pytest.mark.slow),
        ("my_data.duckdb", "my-data"),
        pytest.param("mixpanel_staging.duckdb", "Mixpanel", marks=pytest.mark.slow),
        pytest.param('my data\'s "ü-1".duckdb', "x" * 120, marks=pytest.mark.slow),
        pytest.param("main.duckdb", "main_db", marks=pytest.mark.slow),
        pytest.param("export.duckdb", "main", marks=pytest.mark.slow),
        pytest.param("temp.duckdb", "temp", marks=pytest.mark.slow),
    ],
)
def test_names_of_files_and_datasets(
    small_lab: Lab, monkeypatch: pytest.MonkeyPatch, file: str, dataset: str
) -> None:
    """A DuckDB file and a dataset may have any name, also one that DuckDB uses itself."""
    monkeypatch.setenv(FILE_VARIABLE, str(Path(file).absolute()))
    assert_loads_once(small_lab, dataset=dataset)


@pytest.mark.slow
def test_renamed_file_is_known(
    small_lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was renamed, there and back, is not loaded again, and keeps its dataset."""
    assert_loads_once(small_lab)
    for source, target in (("mixpanel", "warehouse"), ("warehouse", "mixpanel")):
        Path(f"{source}.duckdb").rename(f"{target}.duckdb")
        monkeypatch.setenv(FILE_VARIABLE, f"{target}.duckdb")
        small_lab.pipeline = open_pipeline()
        assert small_lab.pipeline.dataset_name == "main"
        assert small_lab.sync().failures == {}
        assert len(small_lab.exported) <= 1
        assert cli.main(["status"]) == cli.DONE
        assert "export: 4 rows" in capsys.readouterr().out


@pytest.mark.slow
def test_file_given_the_name_of_its_dataset_is_known(
    small_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset whose file was given its name stays in its schema, and loads on."""
    monkeypatch.setenv(FILE_VARIABLE, "warehouse.duckdb")
    small_lab.pipeline = open_pipeline()
    assert small_lab.sync().failures == {}
    Path("warehouse.duckdb").rename("mixpanel.duckdb")
    monkeypatch.setenv(FILE_VARIABLE, "mixpanel.duckdb")
    assert_loads_once(small_lab)
    assert small_lab.pipeline.dataset_name == "mixpanel"


def test_datasets_of_one_file_stay_apart(small_lab: Lab) -> None:
    """A second dataset does not take the schema `main` of the first for its own."""
    assert small_lab.sync("engage").failures == {}
    assert open_pipeline(dataset="other").dataset_name == "other"


@pytest.mark.parametrize(
    "name",
    [
        "mixpanel-eu",
        pytest.param("1-données_日本", marks=pytest.mark.slow),
        pytest.param("x" * 64, marks=pytest.mark.slow),
    ],
)
def test_names_of_pipelines(small_lab: Lab, name: str) -> None:
    """A pipeline's name may have hyphens, digits and letters of any script."""
    assert_loads_once(small_lab, name=name)


def test_wrong_name_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is refused, saying which are valid, before any file is made."""
    for command in ("sync", "status"):
        assert cli.main([command, "--pipeline=a/b"]) == cli.WRONG_USAGE
        assert "letters, digits, underscores and hyphens" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["home"]


def test_two_folders_have_files_of_their_own(
    small_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pipelines of one name that load elsewhere share neither lock, spool nor last run."""
    assert small_lab.sync("engage").failures == {}
    first = target_of(small_lab.pipeline)
    for variable in ("DLT_LOCAL_DIR", "DLT_PROJECT_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    monkeypatch.setenv(FILE_VARIABLE, "mixpanel.duckdb")
    second = open_pipeline()
    assert target_of(second).directory != first.directory
    assert second.working_dir != small_lab.pipeline.working_dir
    assert status(**small_lab.settings).last_run is None
    # the same file, by another name
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "mixpanel.duckdb")
    for path in ("../mixpanel.duckdb", str(tmp_path / "mixpanel.duckdb"), "../link.duckdb"):
        monkeypatch.setenv(FILE_VARIABLE, str(Path.cwd() / path))
        assert target_of(open_pipeline()) == first


@pytest.mark.parametrize(
    ("name", "dataset", "reason"),
    [("mixpanel-eu", "mixpanel", r"open_pipeline\(name='mixpanel-eu'\)"), ("a", "x", "rename")],
)
def test_pipelines_of_scripts(small_lab: Lab, name: str, dataset: str, reason: str) -> None:
    """What dlt cannot load is refused with the way out."""
    destination = dlt.destinations.duckdb("x.duckdb")
    small_lab.pipeline = dlt.pipeline(name, destination=destination, dataset_name=dataset)
    with pytest.raises(ConfigError, match=reason):
        small_lab.sync("engage")
    assert small_lab.sandbox.requests == []


def test_database_in_memory(small_lab: Lab) -> None:
    """A script can load into a database that it has open in memory."""
    with duckdb.connect() as connection:
        small_lab.pipeline = dlt.pipeline(
            "memory", destination=dlt.destinations.duckdb(connection), dataset_name="mixpanel"
        )
        assert small_lab.sync("engage").failures == {}
        assert connection.execute("SELECT count(*) FROM mixpanel.engage").fetchall() == [(1,)]
