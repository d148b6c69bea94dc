"""Files, in a directory or a bucket."""

from __future__ import annotations

from .base import Destination


class Files(Destination):
    """Parquet files, which are only added to."""

    refusal = None
