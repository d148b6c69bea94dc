"""A reply of Mixpanel whose body is still to be read."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from .. import constants
from ..decode.framing import inflate
from ..decode.json_values import Repairs, read_json
from ..errors import RequestError, ServerError, TruncatedError
from .refusal_text import (
    MAX_BYTES,
    Refusal,
    find_refusal,
    find_refusal_in_list,
    find_refusal_in_text,
)

if TYPE_CHECKING:
    import requests  # noqa: TID251 - for the type alone

CHUNK_BYTES = 256 * 1024


class RefusedError(Exception):
    """A reply with status 200 that is a refusal. Never leaves `api.client`, which explains it."""

    def __init__(self, refusal: Refusal) -> None:
        """Carry what the reply says."""
        super().__init__("the reply is a refusal")
        self.refusal = refusal


class Reply:
    """A reply of status 200 whose body is still to be read."""

    def __init__(
        self,
        response: requests.Response,
        *,
        started_at: float,
        tries: int,
        on_chunk: Callable[[int], object] = bool,
        mask: Callable[[bytes], bytes] = bytes,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Wrap a streamed response.

        Args:
            response: of the HTTP library, opened with `stream=True`.
            started_at: when the request was sent, seconds since the epoch.
            tries: number of this try, from 1.
            on_chunk: called with the size of each chunk; may raise to stop reading.
            mask: removes the credentials from a whole body.
            now: the current time, seconds since the epoch.
        """
        self._response = response
        self._on_chunk = on_chunk
        self._mask = mask
        self._now = now
        self.started_at = started_at
        self.tries = tries
        self.gzipped = "gzip" in response.headers.get("Content-Encoding", "").lower()
        self.size = 0
        """Bytes of the body, decompressed; known once `body` or `json` has read it."""
        self.repairs: Repairs = Counter()
        """Values that `json` changed because no database can store them."""
        self._head = b""
        """The body as it travels, as far as it is searched for a refusal."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it travels, compressed if `gzipped`.

        Raises:
            TruncatedError: nothing tells the end of the body from a broken connection.
            ServerError: it arrives too slowly.
            RequestError: it is larger than any that is expected.
        """
        pace = _Pace(self._now)
        # as much as there is: to wait for a whole chunk would hide how slowly it arrives
        while chunk := self._response.raw.read1(CHUNK_BYTES, decode_content=False):
            pace.note(len(chunk))
            self._on_chunk(len(chunk))
            if len(self._head) <= MAX_BYTES:
                self._head += chunk[: MAX_BYTES + 1]
            yield chunk
        if not self._is_framed() and not self.gzipped:
            raise TruncatedError("the reply does not say where it ends, so it may be cut off")

    def inflate(
        self, chunks: Iterable[bytes], *, max_bytes: int = constants.EXPORT_BYTES_MAX
    ) -> Iterator[bytes]:
        """The body from its chunks, decompressed if it is `gzipped`.

        Raises:
            TruncatedError: the stream is damaged, or its end is missing.
            RequestError: it has more than `max_bytes`.
        """
        size = 0
        is_framed = self._is_framed()
        for piece in inflate(chunks, only_one=not is_framed) if self.gzipped else chunks:
            size += len(piece)
            if size > max_bytes:
                raise RequestError(
                    f"the reply has more than {max_bytes:,} bytes, which do not fit in memory or "
                    "on the disk. Request less at once: fewer days, or a smaller engage_page_size."
                )
            yield piece

    def inflated(self) -> Iterator[bytes]:
        """The body, decompressed; see `chunks` and `inflate`."""
        return self.inflate(self.chunks())

    def body(self) -> bytes:
        """The whole body, decompressed, without the credentials if it repeats them.

        Raises:
            RequestError: it has more than `constants.MAX_BODY_BYTES`.
        """
        body = b"".join(self.inflate(self.chunks(), max_bytes=constants.MAX_BODY_BYTES))
        self.size = len(body)
        return self._mask(body)

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON, with values repaired that no database can store.

        Raises:
            TruncatedError: it is not JSON, such as a page that a proxy sent instead.
            RefusedError: it is a refusal.
        """
        value = read_json(self.body(), self.repairs)
        self.check_value(value)
        return value

    def check_value(self, value: object) -> None:
        """Check that a JSON object read from the body is no refusal.

        Raises:
            RefusedError: it is one.
        """
        if refusal := find_refusal(value):
            raise RefusedError(refusal)

    def check_rows(self, rows: object) -> None:
        """Check that a list of rows read from the body does not consist of a refusal.

        Raises:
            RefusedError: it does.
        """
        if refusal := find_refusal_in_list(rows):
            raise RefusedError(refusal)

    def check_text(self, *, is_unreadable: bool = False) -> None:
        """Check that the body, all of which was read, does not consist of a refusal.

        Args:
            is_unreadable: see `find_refusal_in_text`.

        Raises:
            RefusedError: it does.
        """
        text = self._head if len(self._head) <= MAX_BYTES else b""
        if self.gzipped:
            try:
                text = b"".join(islice(inflate([text]), 1))
            except TruncatedError:
                return
        if refusal := find_refusal_in_text(text, is_unreadable=is_unreadable):
            raise RefusedError(refusal)

    def _is_framed(self) -> bool:
        """Whether the HTTP library knew where the body ends, and so noticed whether it is cut."""
        if getattr(self._response.raw, "chunked", False):
            return True
        lengths = {*re.split(r"\s*,\s*", self._response.headers.get("Content-Length", ""))}
        # other texts are either ignored by the library or read as another number
        return len(lengths) == 1 and re.fullmatch("[0-9]+", lengths.pop()) is not None


class _Pace:
    """How fast a body arrives, and how much of it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began_at = self._period_at = now()
        self._in_period = self._received = 0

    def note(self, size: int) -> None:
        """Note a chunk.

        Raises:
            ServerError: chunks arrive too slowly.
            RequestError: there are more than any reply has.
        """
        now = self._now()
        self._in_period += size
        self._received += size
        if now - self._period_at >= constants.PACE_SECONDS:
            if self._in_period < constants.PACE_BYTES_MIN:
                self._refuse(f"{self._in_period:,} bytes in {now - self._period_at:,.0f} s")
            self._period_at, self._in_period = now, 0
        if now - self._began_at > constants.REPLY_SECONDS_MAX:
            self._refuse(f"after {now - self._began_at:,.0f} s it had not ended")

    def _refuse(self, facts: str) -> NoReturn:
        raise ServerError(f"the reply arrived too slowly ({facts}), so it was given up")
