"""What it means that there was no reply, or only a part of one.

Some causes lie in this machine's network or settings and stay however often a request is repeated:
these are a `ConfigError`. All others are an `UnavailableError`, which is retried.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from ..errors import (
    ConfigError,
    MixpanelError,
    ReplyError,
    RequestError,
    ServerError,
    TruncatedError,
)
from .request import Request

E = TypeVar("E", bound=BaseException)

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BROKEN = (
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.SSLError,
)


def never_arrived(error: requests.RequestException) -> bool:
    """Whether nothing was sent to Mixpanel, so that it cannot have counted the request."""
    if _find(error, urllib3.exceptions.ProxyError):
        return True
    if _find(error, urllib3.exceptions.SSLError):
        # a connection that ends without notice may end at any time, all others while it is opened
        return not _find(error, ssl.SSLEOFError)
    connecting = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    unsent = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
    return isinstance(error, unsent) or any(_find(error, kind) for kind in connecting)


def check_certificates() -> None:
    """Check that the file of certificates that the environment names exists.

    Raises:
        ConfigError: it does not; every request would fail.
    """
    name = _bundle()
    if name and not Path(os.environ[name]).exists():
        raise _unusable_bundle()


@contextmanager
def mapped_errors(request: Request, host: str) -> Iterator[None]:
    """Turn errors of the HTTP library, and of readers of the reply, into ours.

    Args:
        request: that is being sent or read.
        host: base address of the host it is sent to.

    Raises:
        ConfigError: a retry would fail in the same way.
        ServerError: there was no reply, or none in time.
        TruncatedError: the reply is incomplete.
        RequestError: the reply is not what was requested.
    """
    subject = request.label
    try:
        yield
    except (RequestError, ServerError, TruncatedError) as error:
        if error.subject:
            raise
        # from a reader of the reply, which does not know the request
        reason = f"{error.reason.rstrip('.')}."
        if isinstance(error, ReplyError):
            reason += " `mixpanel-source request` shows it. Check for a newer mixpanel-source."
        raise type(error)(reason, subject=subject) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _map(error, request, host) from error


def _map(error: Exception, request: Request, host: str) -> MixpanelError:
    subject, setting = request.label, request.host_setting
    name = urlsplit(host).hostname
    lasting = _lasting_cause(error, host, setting)
    if lasting:
        return ConfigError(lasting, subject=subject)
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return ServerError(f"{name} did not answer in time.", subject=subject)
    if _find(error, urllib3.exceptions.ProxyError):
        return ServerError(
            f"the proxy for {name} cannot be reached. Check it, and {_proxy_variable(host)}.",
            subject=subject,
        )
    if _find(error, urllib3.exceptions.InvalidHeader):
        return TruncatedError("the reply contradicts itself on where it ends.", subject=subject)
    if isinstance(error, _BROKEN):
        return TruncatedError("the connection broke before the end.", subject=subject)
    failed = _find(error, ssl.SSLError)
    tls = f" (TLS: {failed.reason})" if failed else ""
    plain = f" If {name} expects TLS, {setting} must begin with https." if _is_plain(host) else ""
    return ServerError(
        f"no connection to the {request.endpoint.host} host {name}{tls}. Check the network, region "
        f"and {setting}.{plain}",
        subject=subject,
    )


def _lasting_cause(error: Exception, host: str, setting: str) -> str | None:
    """What has to be changed before a retry can help; None if nothing has."""
    name = urlsplit(host).hostname
    if refused := _proxy_status(error):
        advice = {
            "407": f"Add the proxy's user and password to {_proxy_variable(host)}.",
        }.get(refused[:3], f"The proxy must allow {name}, or NO_PROXY must contain it.")
        return f"the proxy refused the connection to {name} ({refused}). {advice}"
    if unknown := _find(error, socket.gaierror):
        return _unknown_host(unknown, error, host, setting)
    if certificate := _find(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {name} is not trusted: {certificate.verify_message}. If a proxy "
            "or firewall of your network issues certificates, set REQUESTS_CA_BUNDLE to a file "
            f"with the certificate of its authority. Otherwise check {setting} and the clock."
        )
    if failed := _find(error, ssl.SSLError):
        return _tls_failure(failed, host, setting)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return f"no request can be sent to {name}. Check {setting} and {_proxy_variable(host)}."
    return None


def _tls_failure(error: ssl.SSLError, host: str, setting: str) -> str | None:
    name = urlsplit(host).hostname
    # OpenSSL names the library that failed: any but this one was reading the certificates
    if _bundle() and error.library != "SSL":
        return _unusable_bundle().reason
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return (
            f"{name} does not answer with TLS. If it is a proxy or a sandbox without TLS, "
            f"{setting} must begin with http; otherwise check {_proxy_variable(host)}."
        )
    return None


def _unknown_host(
    unknown: socket.gaierror, error: Exception, host: str, setting: str
) -> str | None:
    # while the network is down, the name server cannot be asked: that may pass
    if unknown.errno == socket.EAI_AGAIN:
        return None
    if _find(error, urllib3.exceptions.ProxyError):
        return f"the host name of the proxy is unknown. Check {_proxy_variable(host)}."
    return f"the host name {urlsplit(host).hostname} is unknown. Check region and {setting}."


def _unusable_bundle() -> ConfigError:
    variable = _bundle() or _BUNDLES[0]
    return ConfigError(
        f"{variable} is {os.environ.get(variable)}, which is not a file of certificates. Set it to "
        "a file in PEM format, or remove it."
    )


def _proxy_status(error: Exception) -> str | None:
    """Status and reason with which a proxy refused to connect: `407 Proxy ...`."""
    if not _find(error, urllib3.exceptions.ProxyError):
        return None
    failures = (str(cause) for cause in _causes(error) if type(cause) is OSError)
    found = (re.search(r"Tunnel connection failed: (\d{3}[ \w-]*)", text) for text in failures)
    return next((match[1].strip() for match in found if match), None)


def _is_plain(host: str) -> bool:
    return host.startswith("http:")


def _proxy_variable(host: str) -> str:
    return "HTTP_PROXY" if _is_plain(host) else "HTTPS_PROXY"


def _bundle() -> str | None:
    return next((name for name in _BUNDLES if os.environ.get(name)), None)


def _find(error: BaseException, kind: type[E]) -> E | None:
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps: in `reason`, in its arguments or as its cause."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        wrapped = (getattr(cause, "reason", None), *cause.args, cause.__cause__)
        waiting += [inner for inner in wrapped if isinstance(inner, BaseException)]
