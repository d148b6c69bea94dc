"""Other tools that read from Mixpanel, each in its own virtual environment.

Mixpanel's hosts are hard-coded in them, so they use the server as their HTTPS proxy. All get the
complete date range and run with their defaults unless a comment says otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_config_var
from typing import Any

import orjson

from .contenders import DUCKDB_FILE, Contender, Plan, Setup, base_env, count_duckdb

VERSIONS = {
    # later wheels lack the program and download it on the first run
    "ingestr": "1.1.0",
    "mixpanel-utils": "2.2.7",
    "tap-mixpanel": "1.8.0",
    "airbyte-source-mixpanel": "4.0.2",
}
SECRET = "bench"  # noqa: S105 - the server ignores credentials


def install(tools: Path, *, package: str) -> None:
    """Create a virtual environment with a package, unless it exists.

    Raises:
        subprocess.CalledProcessError: The installation failed.
    """
    directory = tools / package
    done = directory / f"installed-{VERSIONS[package]}"
    if done.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
    python = str(directory / "bin" / "python")
    requirement = f"{package}=={VERSIONS[package]}"
    subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
    done.touch()


def plan_ingestr(setup: Setup) -> Plan:
    """Plan `ingestr ingest` to DuckDB, which by default merges by `insert_id`.

    It would download DuckDB's driver. Instead it gets the one in the Python package, which needs
    Python as a shared library.
    """
    file = setup.directory / DUCKDB_FILE
    drivers = setup.directory / ".config" / "adbc" / "drivers"
    drivers.mkdir(parents=True)
    (drivers / "duckdb.toml").write_text(
        f"manifest_version = 1\n[Driver]\nentrypoint = 'duckdb_adbc_init'\n"
        f"shared = '{_library_of('_duckdb')}'\n"
    )
    first, last = setup.manifest.range.split(",")
    options = {
        "source-uri": f"mixpanel://?username=bench&password={SECRET}&project_id=1&server=us",
        "source-table": "events",
        "dest-uri": f"duckdb:///{file}",
        "dest-table": "mixpanel.events",
        "interval-start": first,
        "interval-end": last,
        "progress": "log",
    }
    command: list[str | Path] = [_program(setup, "ingestr", "ingestr"), "ingest", "--yes"]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    python = Path(get_config_var("LIBDIR"), get_config_var("LDLIBRARY"))
    env = {**_env(setup), "DISABLE_TELEMETRY": "true", "LD_PRELOAD": str(python)}
    return Plan(command, partial(count_duckdb, file, "mixpanel.events"), env)


def plan_utils(setup: Setup) -> Plan:
    """Plan `export_events` of mixpanel-utils, with a file per day to limit memory."""
    first, last = setup.manifest.range.split(",")
    script = (
        "from mixpanel_utils import MixpanelUtils\n"
        f"api = MixpanelUtils({SECRET!r}, service_account_username='bench', project_id=1)\n"
        f"api.export_events('events.json', {{'from_date': {first!r}, 'to_date': {last!r}}},"
        " add_gzip_header=True, request_per_day=True)\n"
    )
    command: list[str | Path] = [_program(setup, "mixpanel-utils", "python"), "-c", script]
    return Plan(command, partial(_count_json_files, setup.directory), _env(setup))


def plan_tap(setup: Setup) -> Plan:
    """Plan `tap-mixpanel` with the stream `export`; its discovery is not measured."""
    first, last = setup.manifest.range.split(",")
    config = _write(
        setup.directory / "config.json",
        {
            "api_secret": SECRET,
            "start_date": f"{first}T00:00:00Z",
            "end_date": f"{last}T23:59:59Z",
            "project_timezone": "UTC",
            "attribution_window": "0",
            "date_window_size": "30",
            "user_agent": "bench",
            "select_properties_by_default": "true",
        },
    )
    program = _program(setup, "tap-mixpanel", "tap-mixpanel")
    discover: list[str | Path] = [program, "--config", config, "--discover"]
    discovered = subprocess.check_output(
        discover, env=_env(setup), cwd=setup.directory, stderr=subprocess.DEVNULL
    )
    streams = json.loads(discovered)["streams"]
    streams = [stream for stream in streams if stream["tap_stream_id"] == "export"]
    for entry in streams[0]["metadata"]:
        entry["metadata"]["selected"] = True
    catalog = _write(setup.directory / "catalog.json", {"streams": streams})
    output = setup.directory / "messages.jsonl"
    command: list[str | Path] = [program, "--config", config, "--catalog", catalog]
    return Plan(command, partial(_count_records, output), _env(setup), output=output)


def plan_airbyte(setup: Setup) -> Plan:
    """Plan `source-mixpanel read` of the stream `export`."""
    first, last = setup.manifest.range.split(",")
    config = _write(
        setup.directory / "config.json",
        {
            "credentials": {"username": "bench", "secret": SECRET, "project_id": 1},
            "start_date": f"{first}T00:00:00Z",
            "end_date": f"{last}T00:00:00Z",
            "project_timezone": "UTC",
            "region": "US",
            # disables its quota, like ours
            "reqs_per_hour_limit": 0,
        },
    )
    catalog = _write(
        setup.directory / "catalog.json",
        {
            "streams": [
                {
                    "stream": {
                        "name": "export",
                        "json_schema": {},
                        "supported_sync_modes": ["full_refresh", "incremental"],
                    },
                    "sync_mode": "full_refresh",
                    "destination_sync_mode": "append",
                }
            ]
        },
    )
    output = setup.directory / "messages.jsonl"
    program = _program(setup, "airbyte-source-mixpanel", "source-mixpanel")
    command: list[str | Path] = [program, "read", "--config", config, "--catalog", catalog]
    # it only trusts the certificates of certifi, regardless of the environment
    trust = f"import certifi\ncertifi.where = lambda: {str(setup.authority)!r}\n"
    (setup.directory / "sitecustomize.py").write_text(trust)
    env = {**_env(setup), "PYTHONPATH": str(setup.directory)}
    return Plan(command, partial(_count_records, output), env, output=output)


def _env(setup: Setup) -> dict[str, str]:
    authority = str(setup.authority)
    env = {
        **base_env(setup),
        "HTTPS_PROXY": setup.url,
        "SSL_CERT_FILE": authority,
        "REQUESTS_CA_BUNDLE": authority,
    }
    # their environment must not import our packages
    del env["PYTHONPATH"]
    return env


def _library_of(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"module {module} not found")
    return spec.origin


def _program(setup: Setup, package: str, name: str) -> Path:
    return setup.tools / package / "bin" / name


def _write(path: Path, value: dict[str, Any]) -> Path:
    path.write_text(json.dumps(value))
    return path


def _count_json_files(directory: Path) -> int:
    return sum(len(orjson.loads(path.read_bytes())) for path in directory.glob("events*.json"))


def _count_records(messages: Path) -> int:
    with messages.open("rb") as file:
        return sum(b'"RECORD"' in line[:200] for line in file)


PEERS = tuple(
    replace(
        peer,
        description=f"{peer.description} ({VERSIONS[peer.name]})",
        install=partial(install, package=peer.name),
    )
    for peer in (
        Contender(
            "ingestr",
            "HTTP -> DuckDB table, merged by insert_id",
            plan_ingestr,
            omits="the response is held in memory and not verified, invalid lines are skipped, "
            "deleted events remain",
            max_events=1_000_000,
        ),
        Contender(
            "mixpanel-utils",
            "HTTP -> a JSON file per day",
            plan_utils,
            omits="nothing is loaded, no state, duplicates kept",
            max_events=1_000_000,
            deduplicates=False,
        ),
        Contender(
            "tap-mixpanel",
            "HTTP -> Singer messages",
            plan_tap,
            omits="nothing is loaded (that is the job of a target), duplicates kept",
            max_events=1_000_000,
            deduplicates=False,
        ),
        Contender(
            "airbyte-source-mixpanel",
            "HTTP -> Airbyte messages",
            plan_airbyte,
            omits="nothing is loaded (that is the job of a destination), duplicates kept, "
            "every value a string",
            max_events=50_000,
            deduplicates=False,
        ),
    )
)
