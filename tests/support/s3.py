"""A local S3 server, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from tests.support.clock import wait_until

PREFIXES = (
    "DESTINATION__DELTA",
    "DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE",
    "DESTINATION__ICEBERG",
    "DESTINATION__PARQUET",
)
"""Of the environment variables with the place of a lake."""
KEY = "test"


@contextmanager
def run_server() -> Iterator[str]:
    """Run a server; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: _answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def make_bucket(server: str, name: str) -> Mapping[str, str]:
    """Create a bucket; returns the environment variables with which each lake finds it."""
    # only where the tests on S3 run
    import s3fs  # noqa: PLC0415

    filesystem: Any = s3fs.S3FileSystem(key=KEY, secret=KEY, endpoint_url=server)
    filesystem.mkdir(name)
    settings = {
        "BUCKET_URL": f"s3://{name}/base",
        "CREDENTIALS__AWS_ACCESS_KEY_ID": KEY,
        "CREDENTIALS__AWS_SECRET_ACCESS_KEY": KEY,
        "CREDENTIALS__REGION_NAME": "us-east-1",
        "CREDENTIALS__ENDPOINT_URL": server,
    }
    return {
        f"{prefix}__{setting}": value for prefix in PREFIXES for setting, value in settings.items()
    }


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
