"""A network in the way: each cause has its own message, and is retried only where that may help."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from mixpanel_sandbox import SECRET, USERNAME
from mixpanel_source.api.client import Client
from mixpanel_source.api.reply import Reply
from mixpanel_source.api.request import Request
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import ConfigError, MixpanelError, ServerError
from tests.support.clock import Clock

COHORTS = Request(endpoint("cohorts"), "cohorts")


class Answer(BaseHTTPRequestHandler):
    """Answers every request with an empty list; as a proxy, with a refusal."""

    def do_POST(self) -> None:
        """Answer a request."""
        self._answer(200)

    def do_CONNECT(self) -> None:
        """Refuse to connect."""
        self._answer(int(getattr(self.server, "refusal", 200)))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served(certificate: trustme.LeafCert | None = None, *, refusal: int = 0) -> Iterator[int]:
    """A server, with TLS if there is a certificate; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.refusal = refusal  # type: ignore[attr-defined]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that nobody trusts."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file with the authority's certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def send(url: str, directory: Path, **given: Any) -> tuple[MixpanelError | None, Client, Clock]:
    """Send a request; returns the error, the client that sent it, and its clock."""
    values = {"username": USERNAME, "secret": SECRET, "project_id": 1234567, "base_url": url}
    clock = Clock()
    client = Client(build_config({**values, **given}), clock=clock, directory=directory)
    try:
        client.send(COHORTS, Reply.body)
    except MixpanelError as error:
        return error, client, clock
    return None, client, clock


def assert_refused(url: str, directory: Path, *words: str) -> None:
    """The request is tried once, is not counted, and the message has these words."""
    error, client, clock = send(url, directory)
    assert isinstance(error, ConfigError), error
    for word in ("cohorts: ", *words):
        assert word in str(error)
    assert clock.sleeps == []
    assert client.requests_left()["query"] == 60


def test_certificate_of_an_unknown_authority(
    tmp_path: Path, authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the certificate and the variable that helps; with it the request works."""
    with served(authority.issue_cert("localhost")) as port:
        url = f"https://localhost:{port}"
        assert_refused(url, tmp_path, "certificate of localhost", "REQUESTS_CA_BUNDLE", "base_url")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert send(url, tmp_path)[0] is None


def test_certificate_of_another_host(
    tmp_path: Path, authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that the certificate is for another host."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with served(authority.issue_cert("other.example")) as port:
        assert_refused(f"https://localhost:{port}", tmp_path, "Hostname mismatch", "base_url")


@pytest.mark.parametrize("content", [None, "", "junk", "-----BEGIN CERTIFICATE-----\n=\n"])
def test_unusable_bundle(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """A file of certificates that does not exist, or holds none, is named with its variable."""
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with served(authority.issue_cert("localhost")) as port:
        error, client, clock = send(f"https://localhost:{port}", tmp_path)
    assert isinstance(error, ConfigError)
    assert f"REQUESTS_CA_BUNDLE is {path}, which is not a file of certificates" in str(error)
    assert clock.sleeps == []
    assert client.requests_left()["query"] == 60


def test_tls_to_a_host_without_it(tmp_path: Path) -> None:
    """The message says which setting begins with https by mistake."""
    with served() as port:
        words = ("does not answer with TLS", "base_url must begin with http")
        assert_refused(f"https://localhost:{port}", tmp_path, *words)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_unknown_host(tmp_path: Path, scheme: str) -> None:
    """A host name that does not exist is named."""
    words = ("host name nowhere.invalid is unknown", "region and base_url")
    assert_refused(f"{scheme}://nowhere.invalid", tmp_path, *words)


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (407, "Add the proxy's user and password to HTTPS_PROXY"),
        (403, "must allow localhost, or NO_PROXY"),
    ],
)
def test_proxy_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int, advice: str
) -> None:
    """The message says that it was the proxy, with its status."""
    with served(refusal=refusal) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden@127.0.0.1:{port}")
        assert_refused(
            "https://localhost:9",
            tmp_path,
            f"proxy refused the connection to localhost ({refusal}",
            advice,
        )


def test_unknown_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy whose name does not exist is told from a Mixpanel that does not."""
    monkeypatch.setenv("HTTPS_PROXY", "http://nowhere.invalid:8080")
    assert_refused("https://localhost:9", tmp_path, "host name of the proxy", "HTTPS_PROXY")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "::::"])
def test_proxy_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """An address of a proxy that cannot be used is refused, with its variable."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert_refused("https://localhost:9", tmp_path, "HTTPS_PROXY")


@pytest.mark.parametrize("proxy", [False, True])
def test_what_may_pass_is_retried_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, proxy: bool
) -> None:
    """A host or a proxy that is down may be up again: it is retried, at no cost to the quota."""
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    error, client, clock = send("https://localhost:1", tmp_path, retries=2)
    assert isinstance(error, ServerError)
    assert ("HTTPS_PROXY" if proxy else "base_url") in str(error)
    assert clock.sleeps == [10, 20]
    assert client.requests_left()["query"] == 60
