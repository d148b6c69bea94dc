"""The container image is built from files that exist, and the script of the action runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixpanel_source import cli

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())


def commands(text: str) -> list[list[str]]:
    """The arguments of each `mixpanel-source COMMAND` in a text, without variables."""
    found = re.findall(r"mixpanel-source ((?:[a-z-]+)(?: --[a-z-]+ [a-z]+)*)(?=[ ;]|$)", text)
    return [line.split() for line in found]


def test_image_copies_what_exists_and_nothing_else() -> None:
    """Each COPY is of a path that .dockerignore lets through, and it lets nothing else through."""
    copied = {
        path
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for path in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert copied == let_through
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_image_has_what_the_wheel_is_built_from() -> None:
    """All files that pyproject.toml names are copied."""
    project = (ROOT / "pyproject.toml").read_text()
    (packages,) = re.findall(r"^packages = \[(.+)\]$", project, re.MULTILINE)
    for name in [*re.findall(r'"(\w+)"', packages), "README.md", "LICENSE"]:
        assert f" {name}" in DOCKERFILE


def test_image_does_not_run_as_root() -> None:
    """The user is a number, so that Kubernetes can check that it is not root."""
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    assert DOCKERFILE.index("USER ") < DOCKERFILE.index("ENTRYPOINT ")


def test_commands_exist() -> None:
    """The parser accepts each command of the Dockerfile and of compose.yaml."""
    found = commands(DOCKERFILE) + commands((ROOT / "compose.yaml").read_text())
    assert ["sync", "--destination", "postgres"] in found
    assert any(command[0] == "status" for command in found)
    for command in found:
        cli.build_parser().parse_args(command)


def test_compose_waits_for_postgres_and_has_no_password() -> None:
    """Postgres is healthy before the first sync; its password comes from the environment."""
    service = COMPOSE["services"]["mixpanel"]
    assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
    passwords = [
        value
        for part in COMPOSE["services"].values()
        for name, value in part["environment"].items()
        if name.endswith("PASSWORD")
    ]
    assert len(passwords) == 2
    assert all(value.startswith("${POSTGRES_PASSWORD") for value in passwords)
    used = {name for part in COMPOSE["services"].values() for name in part["volumes"]}
    assert {name.split(":")[0] for name in used} == set(COMPOSE["volumes"])


@pytest.mark.skipif(os.name == "nt", reason="the action's script is for bash")
@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (75, 0), (1, 1)])
def test_action_runs(tmp_path: Path, code: int, ends_with: int) -> None:
    """The script hands on the arguments and the result; a pause is no failure."""
    (step,) = (step for step in ACTION["runs"]["steps"] if step.get("id") == "run")
    program = tmp_path / "mixpanel-source"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit({code})\n"
    )
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "COMMAND": "sync",
        "TARGET": "postgres",
        "ARGUMENTS": "--tables export,engage",
    }
    assert set(step["env"]) == {"COMMAND", "TARGET", "ARGUMENTS"}
    done = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env=environment,
        check=False,
    )
    assert done.returncode == ends_with
    output = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    arguments = ["sync", "--destination", "postgres", "--json", "--tables", "export,engage"]
    assert json.loads(output["result"]) == arguments
    assert output["exit-code"] == str(code)
    cli.build_parser().parse_args(arguments)


def test_release_builds_after_the_check_of_the_tag() -> None:
    """Nothing is published before CI has passed and the tag has its section of the changelog."""
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    jobs = release["jobs"]
    assert jobs["publish"]["needs"] == ["check", "build"]
    assert jobs["check"]["uses"] == "./.github/workflows/ci.yml"
    runs = [step.get("run", "") for step in jobs["build"]["steps"]]
    checked = next(number for number, run in enumerate(runs) if "docs.release" in run)
    assert checked < next(number for number, run in enumerate(runs) if "build --outdir" in run)
    rights = jobs["publish"]["permissions"]
    assert rights == {"attestations": "write", "id-token": "write"}
    assert release["permissions"] == {}
