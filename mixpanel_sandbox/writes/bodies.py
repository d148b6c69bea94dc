"""Decodes the bodies of writing requests."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qs

from ..messages import ApiError, Request, api_error

_GZIP_WBITS = 31
_GAP = re.compile(r"[\s,]*")


class Row(NamedTuple):
    """An object of a batch."""

    text: str
    """As it was sent."""
    value: Any

    @property
    def size(self) -> int:
        """Bytes of its JSON."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


class BodyError(ValueError):
    """The body is not what the endpoint accepts."""


def read_bytes(request: Request, *, max_bytes: int) -> bytes:
    """Return the decompressed body.

    Raises:
        ApiError: 413, it is larger than `max_bytes`; 400, it is not gzip although it should be.
    """
    body = request.body
    if request.content_encoding == "gzip":
        try:
            body = zlib.decompressobj(_GZIP_WBITS).decompress(body, max_bytes + 1)
        except zlib.error:
            raise api_error(400, "invalid gzip body", request) from None
    if len(body) > max_bytes:
        raise too_large(request, max_bytes)
    return body


def too_large(request: Request, max_bytes: int) -> ApiError:
    """Return the refusal of a body that is too large.

    Source: https://docs.mixpanel.com/docs/troubleshooting/errors/413
    """
    return api_error(413, f"request exceeds max limit of {max_bytes} bytes", request)


def split_rows(body: bytes, content_type: str) -> list[Row]:
    """Return the objects of a JSON array, of lines of JSON, or the only object.

    Raises:
        BodyError: The body is not valid UTF-8 or JSON.
    """
    try:
        text = body.decode()
        if content_type == "application/x-ndjson":
            return [_read_row(line, 0)[0] for line in text.split("\n") if line.strip()]
        start = len(text) - len(text.lstrip())
        if text[start : start + 1] != "[":
            return [Row(text, _DECODER.decode(text))]
        return list(_split_array(text, start + 1))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise BodyError("invalid JSON") from None


def read_form(request: Request) -> bytes:
    """Return the JSON of a body that may be a form with `data`, as JSON or in base64.

    Raises:
        BodyError: The body is compressed, or a form without valid `data`.
    """
    if request.content_encoding:
        raise BodyError("error decoding request: compressed bodies are not supported")
    body = request.body
    if request.content_type != "application/x-www-form-urlencoded" and not body.startswith(
        b"data="
    ):
        return body
    data = parse_qs(body.decode(errors="replace")).get("data", [""])[0].strip()
    if data.startswith(("{", "[")):
        return data.encode()
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise BodyError("data, missing or invalid") from None


def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request to the app API.

    Raises:
        ApiError: 400, the body is not a JSON object.
    """
    try:
        value = json.loads(request.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise api_error(400, "the body must be a JSON object", request)
    return value


def _split_array(text: str, position: int) -> Iterator[Row]:
    while True:
        position = _skip_gap(text, position)
        if text[position : position + 1] == "]":
            return
        row, position = _read_row(text, position)
        yield row


def _read_row(text: str, position: int) -> tuple[Row, int]:
    start = _skip_gap(text, position)
    value, end = _DECODER.raw_decode(text, start)
    return Row(text[start:end], value), end


def _skip_gap(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


# NaN and Infinity are no JSON
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
