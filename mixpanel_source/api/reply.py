"""A reply of Mixpanel whose body is still to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .. import constants
from ..decode.framing import inflate
from ..decode.json_values import Repairs, read_json
from ..errors import RequestError, TruncatedError

if TYPE_CHECKING:
    import requests  # noqa: TID251 - for the type alone

CHUNK_BYTES = 256 * 1024


class Reply:
    """A reply of status 200 whose body is still to be read."""

    def __init__(
        self,
        response: requests.Response,
        *,
        started_at: float,
        tries: int,
        on_chunk: Callable[[int], object] = bool,
    ) -> None:
        """Wrap a streamed response.

        Args:
            response: of the HTTP library, opened with `stream=True`.
            started_at: when the request was sent, seconds since the epoch.
            tries: number of this try, from 1.
            on_chunk: called with the size of each chunk; may raise to stop reading.
        """
        self._response = response
        self._on_chunk = on_chunk
        self.started_at = started_at
        self.tries = tries
        self.gzipped = "gzip" in response.headers.get("Content-Encoding", "").lower()
        self.size = 0
        """Bytes of the body, decompressed; known once `body` or `json` has read it."""
        self.repairs: Repairs = Counter()
        """Values that `json` changed because no database can store them."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it travels, compressed if `gzipped`.

        Raises:
            TruncatedError: nothing tells the end of the body from a broken connection.
        """
        raw = self._response.raw
        headers = self._response.headers
        framed = "Content-Length" in headers or getattr(raw, "chunked", False)
        for chunk in raw.stream(CHUNK_BYTES, decode_content=False):
            self._on_chunk(len(chunk))
            yield chunk
        if not framed and not self.gzipped:
            raise TruncatedError("the reply does not say where it ends")

    def inflated(self) -> Iterator[bytes]:
        """The body, decompressed."""
        return inflate(self.chunks()) if self.gzipped else self.chunks()

    def body(self) -> bytes:
        """The whole body, decompressed.

        Raises:
            RequestError: it has more than `constants.MAX_BODY_BYTES`.
        """
        self.size, pieces = 0, []
        for piece in self.inflated():
            self.size += len(piece)
            if self.size > constants.MAX_BODY_BYTES:
                raise RequestError(
                    f"the reply has more than {constants.MAX_BODY_BYTES:,} bytes, which do not fit "
                    "in memory. Request less at once: fewer days, or a smaller engage_page_size."
                )
            pieces.append(piece)
        return b"".join(pieces)

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON, with values repaired that no database can store.

        Raises:
            TruncatedError: it is not JSON, such as a page that a proxy sent instead.
        """
        return read_json(self.body(), self.repairs)
