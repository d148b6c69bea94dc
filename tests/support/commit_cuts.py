"""Cuts the connection to PostgreSQL at each COMMIT of a load, and compares the tables.

A client whose connection is lost at a COMMIT cannot know whether the transaction was committed.
`test_commit_cuts` does this at some COMMITs, `python -m tests.support.commit_cuts` at all of them,
for all kinds of tables.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mixpanel_sandbox import Project
from mixpanel_source import forget, open_pipeline
from mixpanel_source.errors import MixpanelError
from mixpanel_source.tables.load_log import LOADS_KEY
from tests.support.lab import Lab, open_lab
from tests.support.postgres import PostgresServer
from tests.support.projects import YESTERDAY, add_event, make_project

COMMIT = re.compile(rb"Q\0\0..COMMIT", re.DOTALL)
"""The message of a simple query that commits; libpq sends it in one piece."""


class CommitProxy:
    """Forwards connections, and cuts one of them at the n-th COMMIT of all.

    Args:
        upstream: Address of the server.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut_at = 0
        self._is_lost = False
        self._of = re.compile(b"")
        self.commits = 0
        """COMMITs seen since `cut_at`."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Port on loopback."""
        port: int = self._listener.getsockname()[1]
        return port

    def cut_at(self, number: int, *, is_lost: bool = False, of: str = "") -> None:
        """Cut the connection that sends the n-th COMMIT from now on; 0 cuts none.

        Args:
            number: n, from 1.
            is_lost: Whether the COMMIT itself is lost; otherwise its reply is, and the transaction
                is committed.
            of: Count only connections that have sent what this pattern matches.
        """
        with self._lock:
            self._cut_at, self._is_lost, self.commits = number, is_lost, 0
            self._of = re.compile(of.encode(), re.DOTALL)

    @property
    def has_cut(self) -> bool:
        """Whether the n-th COMMIT came."""
        return 0 < self._cut_at <= self.commits

    def close(self) -> None:
        """Close all connections."""
        self._listener.close()
        for connection in self._sockets:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                self._sockets += [client, server]
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Forward a connection until one side closes it or it is cut."""
        is_cut = threading.Event()
        arguments = (server, client, is_cut)
        threading.Thread(target=self._forward_replies, args=arguments, daemon=True).start()
        counts = False
        with suppress(OSError):
            while data := client.recv(65_536):
                counts = counts or self._of.search(data) is not None
                if counts and COMMIT.search(data) and self._count():
                    is_cut.set()
                    if self._is_lost:
                        break
                server.sendall(data)
        if not is_cut.is_set() or self._is_lost:
            _close(client, server)

    def _forward_replies(
        self, server: socket.socket, client: socket.socket, is_cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if is_cut.is_set():
                    break
                client.sendall(data)
        _close(client, server)

    def _count(self) -> bool:
        """Count a COMMIT; returns whether to cut."""
        with self._lock:
            self.commits += 1
            return self.commits == self._cut_at


def _close(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextmanager
def open_proxy(url: str) -> Iterator[tuple[CommitProxy, str]]:
    """Open a proxy to the server of a URL; yields it, and the URL through it."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = CommitProxy((parts.hostname, parts.port))
    try:
        yield proxy, url.replace(f":{parts.port}", f":{proxy.port}")
    finally:
        proxy.close()


TABLES: dict[str, tuple[str, ...]] = {
    "export": ("_mixpanel_columns",),
    "engage": ("_mixpanel_columns",),
    "cohort_members": (),
    "groups": (),
    "cohorts": (),
    "annotations": ("annotation_tags",),
    "funnels": ("funnel_steps",),
    "segmentation": (),
}
"""Table -> the tables loaded with it; each kind of table and of replacement is here."""
GROUP = "77"
SETTINGS = {
    "data_group_ids": GROUP,
    "reports": json.dumps(
        [
            {
                "name": "Orders",
                "table": "segmentation",
                "params": {"event": "Order", "on": 'properties["plan"]'},
                "since": str(YESTERDAY),
            }
        ]
    ),
}
VARYING = {"_dlt_load_id", "_dlt_id", "_dlt_valid_from", "_dlt_valid_to", "fetched_at"}


def change(project: Project, number: int) -> None:
    """Change everything that is loaded: something is new, something else is gone."""
    add_event(project, YESTERDAY, 100 + number, plan=f"plan {number}")
    project.profiles[:] = project.profiles[-3:]
    project.add_profile(f"new{number}", {"plan": number})
    project.cohort_members[1] = [*project.cohort_members.get(1, ())[-2:], f"new{number}"]
    group = {"$distinct_id": f"g{number}", "$properties": {"$name": "Acme"}}
    project.groups[GROUP] = [*project.groups.get(GROUP, ())[-2:], json.dumps(group).encode()]
    project.cohorts[1:] = [{"id": 100 + number, "project_id": project.project_id, "name": "New"}]
    project.annotation_tags[:] = [{"id": number, "name": "tag", "project_id": 1}]
    project.annotations[:] = [
        {"id": number, "date": f"{YESTERDAY} 00:00:00", "description": "", "user": {}, "tags": []}
    ]
    project.funnels[:] = [
        {"funnel_id": number, "name": "Buy", "steps": ["Sign up", "Order"], "length": 2}
    ]


def comparable(row: dict[str, Any]) -> str:
    """Return a row without varying columns; of a history, whether it is current."""
    kept = {name: value for name, value in sorted(row.items()) if name not in VARYING}
    if "_dlt_valid_to" in row:
        kept["is_current"] = row["_dlt_valid_to"] is None
    return str(kept)


class CutLab:
    """Loads a project twice: through connections that are cut, and undisturbed.

    Args:
        proxy: Between the pipelines and the server.
    """

    def __init__(self, proxy: CommitProxy, cut: Lab, clean: Lab) -> None:
        self.proxy = proxy
        self.cut = cut
        self._clean = clean
        self._changes = 0

    def sync(self, table: str, number: int = 0, *, is_lost: bool = False) -> tuple[bool, bool]:
        """Change the project and sync a table, with a cut at the n-th COMMIT; 0 cuts none.

        A sync that fails is run again, undisturbed. Then the tables are compared.

        Returns:
            Whether a connection was cut, and whether the first sync completed.
        """
        self._changes += 1
        change(self.cut.project, self._changes)
        self.proxy.cut_at(number, is_lost=is_lost)
        failures = self.cut.sync(table).failures
        assert self.proxy.has_cut or not failures, failures
        has_cut = self.proxy.has_cut
        self.proxy.cut_at(0)
        if failures:
            assert self.cut.sync(table).failures == {}
        assert self._clean.sync(table).failures == {}
        self._assert_same(table)
        return has_cut, not failures

    def _assert_same(self, table: str) -> None:
        for name in (table, *TABLES[table]):
            actual, expected = (
                Counter(map(comparable, lab.rows(name))) for lab in (self.cut, self._clean)
            )
            assert actual == expected, (name, actual - expected, expected - actual)
        loads = [tuple(row[name] for name in LOADS_KEY) for row in self.cut.rows("_mixpanel_loads")]
        assert len(loads) == len({*loads})

    def forget(self, person: str, number: int) -> bool:
        """Forget a person, with a cut at the n-th COMMIT; returns whether there was one."""
        self.proxy.cut_at(number)
        with suppress(MixpanelError):
            forget([person], destination="postgres", dataset="cut", name="cut")
        has_cut = self.proxy.has_cut
        self.proxy.cut_at(0)
        forget([person], destination="postgres", dataset="cut", name="cut")
        assert person not in {row["distinct_id"] for row in self.cut.rows("engage")}
        hashes = [row["id_hash"] for row in self.cut.rows("_mixpanel_forgotten")]
        assert len(hashes) == len({*hashes}) == number
        return has_cut


@contextmanager
def open_cut_lab(url: str) -> Iterator[CutLab]:
    """Open the labs for a server, whose proxied URL is put into the environment."""
    project = make_project(YESTERDAY, YESTERDAY)
    with open_proxy(url) as (proxy, proxied):
        os.environ["DESTINATION__POSTGRES__CREDENTIALS"] = proxied
        pipelines = [
            open_pipeline("postgres", dataset=name, name=name) for name in ("cut", "clean")
        ]
        with open_lab(project, pipelines[0]) as cut, open_lab(project, pipelines[1]) as clean:
            for lab in (cut, clean):
                lab.overrides = {**SETTINGS, "anchor_date": YESTERDAY}
            yield CutLab(proxy, cut, clean)


def main() -> None:
    """Cut at every COMMIT, for every table."""
    logging.disable(logging.CRITICAL)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DLT_DATA_DIR"] = os.environ["DLT_PROJECT_DIR"] = directory
        server = PostgresServer(Path(directory))
        try:
            with open_cut_lab(f"{server.start()}/postgres") as lab:
                for table in TABLES:
                    lab.sync(table)
                    for is_lost in (False, True):
                        completed = cut_everywhere(lab, table, is_lost=is_lost)
                        lost = "before" if is_lost else "after"
                        sys.stdout.write(
                            f"{table}: cut {lost} each of {len(completed)} COMMITs; "
                            f"{sum(completed)} syncs completed, all tables exact\n"
                        )
                        sys.stdout.flush()
                number = 1
                while lab.forget(f"new{number}", number):
                    number += 1
        finally:
            server.stop()


def cut_everywhere(lab: CutLab, table: str, *, is_lost: bool) -> list[bool]:
    """Cut at each COMMIT of a sync in turn; returns for each whether the sync completed."""
    completed: list[bool] = []
    while True:
        has_cut, is_complete = lab.sync(table, len(completed) + 1, is_lost=is_lost)
        if not has_cut:
            return completed
        completed.append(is_complete)


if __name__ == "__main__":
    main()
