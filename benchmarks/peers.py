"""Other tools that read Mixpanel, each in an environment of its own.

They have Mixpanel's hosts built in, so they reach the server as their HTTPS proxy. All of them are
given the whole range of days and their defaults, but where a comment says otherwise.
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

from .contenders import DUCKDB_FILE, Contender, Plan, Site, base_env, count_duckdb

VERSIONS = {
    # the last wheel that was seen to carry the program; later ones download it when first run
    "ingestr": "1.1.0",
    "mixpanel-utils": "2.2.7",
    "tap-mixpanel": "1.8.0",
    "airbyte-source-mixpanel": "4.0.2",
}
SECRET = "bench"  # noqa: S105 - the server does not look at it


def install(tools: Path, *, package: str) -> None:
    """Make a virtual environment with `package`, unless it is there.

    Raises:
        subprocess.CalledProcessError: it does not install.
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


def plan_ingestr(site: Site) -> Plan:
    """`ingestr ingest` to DuckDB; it merges by `insert_id` of its own accord.

    It would download DuckDB's driver; the one in the Python package does as well, given a Python
    that is a shared library.
    """
    file = site.directory / DUCKDB_FILE
    drivers = site.directory / ".config" / "adbc" / "drivers"
    drivers.mkdir(parents=True)
    (drivers / "duckdb.toml").write_text(
        f"manifest_version = 1\n[Driver]\nentrypoint = 'duckdb_adbc_init'\n"
        f"shared = '{_library_of('_duckdb')}'\n"
    )
    first, last = site.manifest.range.split(",")
    options = {
        "source-uri": f"mixpanel://?username=bench&password={SECRET}&project_id=1&server=us",
        "source-table": "events",
        "dest-uri": f"duckdb:///{file}",
        "dest-table": "mixpanel.events",
        "interval-start": first,
        "interval-end": last,
        "progress": "log",
    }
    command: list[str | Path] = [_program(site, "ingestr", "ingestr"), "ingest", "--yes"]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    python = Path(get_config_var("LIBDIR"), get_config_var("LDLIBRARY"))
    env = {**_env(site), "DISABLE_TELEMETRY": "true", "LD_PRELOAD": str(python)}
    return Plan(command, partial(count_duckdb, file, "mixpanel.events"), env)


def plan_utils(site: Site) -> Plan:
    """`export_events` of mixpanel-utils, a file a day: a single one would not fit into memory."""
    first, last = site.manifest.range.split(",")
    script = (
        "from mixpanel_utils import MixpanelUtils\n"
        f"api = MixpanelUtils({SECRET!r}, service_account_username='bench', project_id=1)\n"
        f"api.export_events('events.json', {{'from_date': {first!r}, 'to_date': {last!r}}},"
        " add_gzip_header=True, request_per_day=True)\n"
    )
    command: list[str | Path] = [_program(site, "mixpanel-utils", "python"), "-c", script]
    return Plan(command, partial(_count_json_files, site.directory), _env(site))


def plan_tap(site: Site) -> Plan:
    """`tap-mixpanel` with the stream `export`; finding out what there is, is not measured."""
    first, last = site.manifest.range.split(",")
    config = _write(
        site.directory / "config.json",
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
    program = _program(site, "tap-mixpanel", "tap-mixpanel")
    discover: list[str | Path] = [program, "--config", config, "--discover"]
    told = subprocess.check_output(
        discover, env=_env(site), cwd=site.directory, stderr=subprocess.DEVNULL
    )
    found = json.loads(told)
    streams = [stream for stream in found["streams"] if stream["tap_stream_id"] == "export"]
    for part in streams[0]["metadata"]:
        part["metadata"]["selected"] = True
    catalog = _write(site.directory / "catalog.json", {"streams": streams})
    output = site.directory / "messages.jsonl"
    command: list[str | Path] = [program, "--config", config, "--catalog", catalog]
    return Plan(command, partial(_count_records, output), _env(site), output=output)


def plan_airbyte(site: Site) -> Plan:
    """`source-mixpanel read` of the stream `export`."""
    first, last = site.manifest.range.split(",")
    config = _write(
        site.directory / "config.json",
        {
            "credentials": {"username": "bench", "secret": SECRET, "project_id": 1},
            "start_date": f"{first}T00:00:00Z",
            "end_date": f"{last}T00:00:00Z",
            "project_timezone": "UTC",
            "region": "US",
            # its quota, off as far as it goes, as ours is
            "reqs_per_hour_limit": 0,
        },
    )
    catalog = _write(
        site.directory / "catalog.json",
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
    output = site.directory / "messages.jsonl"
    program = _program(site, "airbyte-source-mixpanel", "source-mixpanel")
    command: list[str | Path] = [program, "read", "--config", config, "--catalog", catalog]
    # it trusts what certifi brings, whatever the environment says
    trust = f"import certifi\ncertifi.where = lambda: {str(site.authority)!r}\n"
    (site.directory / "sitecustomize.py").write_text(trust)
    env = {**_env(site), "PYTHONPATH": str(site.directory)}
    return Plan(command, partial(_count_records, output), env, output=output)


def _env(site: Site) -> dict[str, str]:
    authority = str(site.authority)
    env = {
        **base_env(site),
        "HTTPS_PROXY": site.url,
        "SSL_CERT_FILE": authority,
        "REQUESTS_CA_BUNDLE": authority,
    }
    # theirs is not to find our packages
    del env["PYTHONPATH"]
    return env


def _library_of(module: str) -> str:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise LookupError(f"there is no module {module}")
    return found.origin


def _program(site: Site, package: str, name: str) -> Path:
    return site.tools / package / "bin" / name


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
        does=f"{peer.does} ({VERSIONS[peer.name]})",
        install=partial(install, package=peer.name),
    )
    for peer in (
        Contender(
            "ingestr",
            "HTTP -> DuckDB table, merged by insert_id",
            plan_ingestr,
            less="the reply is held in memory and not verified, lines that do not parse are "
            "skipped, events that are gone stay",
            max_events=1_000_000,
        ),
        Contender(
            "mixpanel-utils",
            "HTTP -> a JSON file a day",
            plan_utils,
            less="nothing is loaded, no state, nothing dropped that is there twice",
            max_events=1_000_000,
            unique=False,
        ),
        Contender(
            "tap-mixpanel",
            "HTTP -> Singer messages",
            plan_tap,
            less="nothing is loaded (that is a target's work), nothing dropped that is there twice",
            max_events=1_000_000,
            unique=False,
        ),
        Contender(
            "airbyte-source-mixpanel",
            "HTTP -> Airbyte messages",
            plan_airbyte,
            less="nothing is loaded (that is a destination's work), nothing dropped that is there "
            "twice, every value a text",
            max_events=50_000,
            unique=False,
        ),
    )
)
