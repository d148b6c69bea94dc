"""The answer of /track, /engage and /groups: status 200 whatever happened."""

from __future__ import annotations

from ..messages import Request, Response, json_response


def give_verdict(request: Request, error: str | None = None) -> Response:
    """Return `1` or `0`, or with `verbose` an object with the error."""
    if request.params.get("verbose", "0") not in {"", "0"}:
        return json_response({"error": error, "status": int(error is None)})
    return Response(blocks=(b"1" if error is None else b"0",), content_type="text/plain")
