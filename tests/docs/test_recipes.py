"""The recipes are correct as far as they can be run here, and the error guide quotes the code."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from mixpanel_source import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text() for path in DOCS.glob("*.md")}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def literals() -> str:
    """All text in the code of the package, the parts that are filled in left out."""
    texts = []
    for path in (ROOT / "mixpanel_source").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                texts.append("\0".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_quoted_messages_exist() -> None:
    """Each message of the error guide is in the code."""
    messages = re.findall(r"^\| `([^`]+)` \|", PAGES["errors.md"], re.MULTILINE)
    assert len(messages) > 20
    text = literals()
    assert [message for message in messages if message not in text] == []


@pytest.mark.parametrize("page", ["recipes.md", "orchestration.md", "installing.md"])
def test_yaml_and_python_parse(page: str) -> None:
    """Each block is whole."""
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block)
    for block in blocks(page, "python"):
        compile(block, page, "exec")


def test_units_parse() -> None:
    """Each unit of systemd has sections and keys."""
    for block in blocks("orchestration.md", "ini"):
        parser = configparser.ConfigParser()
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(block)
        assert {*parser.sections()} <= {"Unit", "Service", "Timer", "Install"}


@pytest.mark.parametrize("page", ["orchestration.md", "installing.md", "dlt.md"])
def test_commands_exist(page: str) -> None:
    """The parser accepts each command of `mixpanel-source`, wherever on the page it is."""
    text = "".join(re.findall(r"^```\w+\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL))
    found = re.findall(r"(?:^|[\s/(])mixpanel-source (?=[a-z])([^|&\"\n)]+)", text)
    assert found or page == "dlt.md"
    for command in found:
        cli.build_parser().parse_args(shlex.split(command))


def test_cron_job_runs_as_the_user_of_the_image() -> None:
    """The volume belongs to the group of the image's user, and the paths are those of the image."""
    yamls = blocks("orchestration.md", "yaml")
    (job,) = (yaml.safe_load(block) for block in yamls if "CronJob" in block)
    pod: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"USER 10001:{pod['securityContext']['fsGroup']}" in dockerfile
    assert f"VOLUME {pod['containers'][0]['volumeMounts'][0]['mountPath']}\n" in dockerfile


def test_rights_for_a_reader_can_be_granted(postgres: str) -> None:
    """Postgres accepts the statements of the recipe for Metabase."""
    (statements,) = (block for block in blocks("recipes.md", "sql") if "CREATE ROLE" in block)
    with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA mixpanel")
        cursor.execute(statements)
        connection.rollback()
    connection.close()


def test_named_views_exist() -> None:
    """The recipes name views that there are."""
    section = PAGES["recipes.md"].partition("## Metabase")[2].partition("\n## ")[0]
    sentence = section.partition("are meant for it:")[2].partition(".")[0]
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGES["analysis.md"], re.MULTILINE))
    assert named <= listed
