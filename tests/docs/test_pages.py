"""The pages in docs/ are correct: their SQL runs, and they list the views that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
import yaml

from mixpanel_sandbox import made_up_project
from mixpanel_source.views import create_views
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, make_project

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.name: path.read_text() for path in sorted(DOCS.glob("*.md"))}
MAX_PICTURE_BYTES = 200_000

STAND_INS = """
    CREATE SCHEMA airbyte;
    CREATE SCHEMA fivetran;
    CREATE SCHEMA singer;
    CREATE TABLE airbyte.export AS SELECT event, time, insert_id FROM mixpanel.export;
    INSERT INTO airbyte.export SELECT * FROM airbyte.export;
    CREATE TABLE fivetran.event AS SELECT * FROM mixpanel.mixpanel_event;
    CREATE TABLE singer.export AS
        SELECT event, time, insert_id AS mp_reserved_insert_id FROM mixpanel.export
"""
"""Creates what the other tools would have loaded: the same events, under their names."""


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def statements(page: str) -> list[str]:
    """The SQL statements of a page, in order."""
    joined = "".join(blocks(page, "sql"))
    return [statement.strip() for statement in joined.split(";") if statement.strip()]


@pytest.fixture
def shop(any_pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """A few days of the generated shop with its views, in each of the destinations."""
    project = made_up_project(last_day=YESTERDAY, days=8)
    with open_lab(project, any_pipeline) as lab:
        lab.sync(anchor_date=min(project.events))
        create_views(lab.pipeline, funnel=("Product Viewed", "Order Completed"))
        yield lab


def execute(client: Any, statement: str) -> list[tuple[Any, ...]]:
    """The rows that a statement returns."""
    return [tuple(row) for row in client.execute_sql(statement) or ()]


def test_sql_of_the_pages_runs(shop: Lab) -> None:
    """Queries return rows, and comparisons find exactly the differences that exist."""
    with shop.pipeline.sql_client() as client:
        for statement in STAND_INS.split(";"):
            execute(client, statement)
        compared = 0
        pages = statements("analysis.md") + statements("moving.md")
        # the rest of the recipes' SQL is about users of Postgres, see test_recipes
        recipes = [text for text in statements("recipes.md") if text.startswith("SELECT")]
        assert len(recipes) == 1
        for statement in pages:
            rows = execute(client, statement)
            if "IS DISTINCT FROM" in statement:
                compared += 1
                assert rows == [], statement
            elif not statement.startswith("CREATE"):
                assert rows, statement
        assert compared == 3
        # nothing was read since the real yesterday, if the clock of the lab stands still
        execute(client, recipes[0])
        missing = execute(client, "SELECT min(insert_id) FROM mixpanel.export")[0][0]
        columns = {"airbyte.export": "insert_id", "fivetran.event": "insert_id"}
        columns["singer.export"] = "mp_reserved_insert_id"
        for table, column in columns.items():
            execute(client, f"DELETE FROM {table} WHERE {column} = '{missing}'")
        for statement in statements("moving.md"):
            if "IS DISTINCT FROM" in statement:
                assert len(execute(client, statement)) == 1, statement


def test_views_are_listed() -> None:
    """The table of views has each view and, in order, its columns."""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGES["analysis.md"], re.MULTILINE)
    listed = {view: re.findall(r"`(\w+)`", columns) for view, columns in rows}
    with open_lab(make_project()) as lab:
        lab.sync("export")
        created = create_views(lab.pipeline, funnel=("Product Viewed", "Order Completed"))
        assert sorted(listed) == sorted(created)
        with lab.pipeline.sql_client() as client:
            for view in set(created) - {"mixpanel_event"}:
                with client.execute_query(f"SELECT * FROM mixpanel.{view} LIMIT 0") as cursor:
                    assert listed[view] == [column[0] for column in cursor.description]


def test_pictures_and_links_exist() -> None:
    """Pictures and linked files are in the repository, and pictures are small."""
    pages = {**PAGES, "../README.md": (DOCS.parent / "README.md").read_text()}
    for page, text in pages.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            path = (DOCS / page).parent / target
            assert path.exists(), target
            assert path.suffix != ".png" or path.stat().st_size < MAX_PICTURE_BYTES, target


def test_dbt_settings_name_the_view() -> None:
    """The settings for the dbt package are YAML and name the view."""
    (block,) = blocks("moving.md", "yaml")
    assert yaml.safe_load(block)["vars"]["mixpanel_event_identifier"] == "mixpanel_event"


def test_workflow_checks_every_python() -> None:
    """The matrix has the versions that the package declares, and its make targets exist."""
    root = DOCS.parent
    jobs = yaml.safe_load((root / ".github/workflows/ci.yml").read_text())["jobs"]
    declared = re.findall(r"Python :: (3\.\d+)", (root / "pyproject.toml").read_text())
    assert jobs["check"]["strategy"]["matrix"]["python"] == declared
    steps = [step for job in jobs.values() for step in job["steps"]]
    made = {step["run"].split()[1] for step in steps if step.get("run", "").startswith("make ")}
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert made == {"check", "package", "test-newest"}
    assert made <= targets
