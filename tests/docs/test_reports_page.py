"""The page on reports is correct: its examples parse, and its columns exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import tomlkit

from mixpanel_source.catalog.tables import REPORT_TABLES
from mixpanel_source.config.report_parsing import KEYS, parse_reports
from mixpanel_source.config.reports import Report
from mixpanel_source.tables.reports.schemas import schema_of
from tests.support.lab import open_lab
from tests.support.projects import make_project

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
TYPES = {"string": "text", "int64": "bigint", "double": "double", "date32[day]": "date"}
JSON = {"properties", "row"}


def examples(text: str) -> list[Report]:
    """The reports that the examples in a text declare."""
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    read = [tomlkit.parse(block).unwrap()["sources"]["mixpanel"]["reports"] for block in blocks]
    return [report for declared in read for report in parse_reports("reports", declared)]


def sections() -> dict[str, str]:
    """Table -> the text of its section."""
    parts = re.split(r"^### `(\w+)`$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_table_has_its_example() -> None:
    """Each table has a section with a valid declaration, its requests and a link to its page."""
    assert tuple(sections()) == REPORT_TABLES
    for table, text in sections().items():
        (example,) = examples(text)
        assert example.table == table
        assert "\nRequests: one " in text
        assert f"{example.endpoint.source})" in text
    assert len({report.name for report in examples(PAGE)}) == len(REPORT_TABLES) + 1


def test_columns_are_those_of_the_tables() -> None:
    """Each table of columns lists them completely, with their types, in order."""
    listed: dict[str, list[tuple[str, str]]] = {}
    for name, rows in re.findall(
        r"^\| column of `?(\w+)`? \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE
    ):
        listed[name] = re.findall(r"^\| `(\w+)` \| (\w+) \|", rows, re.MULTILINE)
    assert set(listed) == {"numbers", "names", "activity", "jql"}
    for name, columns_listed in listed.items():
        table = {"numbers": "segmentation", "names": "event_names"}.get(name, name)
        columns = [
            (field.name, "json" if field.name in JSON else TYPES.get(str(field.type), "timestamp"))
            for field in schema_of(table)
        ]
        assert columns_listed == columns


def test_keys_are_those_of_a_declaration() -> None:
    """The table of keys is complete, and the example for the environment is valid."""
    assert tuple(re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \|$", PAGE, re.MULTILINE)[:5]) == KEYS
    (text,) = re.findall(r"SOURCES__MIXPANEL__REPORTS='(.*)'", PAGE)
    assert parse_reports("reports", text)[0].name == json.loads(text)[0]["name"]


def test_sql_of_the_page_runs() -> None:
    """The query over funnels returns rows."""
    (statement,) = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    project = make_project()
    project.funnels = [{"funnel_id": 1, "name": "F", "steps": ["Sign up", "Order"], "length": 1}]
    with open_lab(project) as lab:
        lab.sync("funnels")
        with lab.pipeline.sql_client() as client:
            rows = client.execute_sql(statement) or []
    assert [tuple(row)[2:] for row in rows[-2:]] == [(1, "Sign up", 1.0), (2, "Order", 1.0)]
