"""Views for analysts, beside the tables they read: SQL that DuckDB and Postgres both take.

Most are the `.sql` files in this directory; `funnel` is put together from the steps asked for, and
`mixpanel_event` from the properties that were loaded.
"""

from __future__ import annotations

from .build import build_views
from .create import create_views
from .properties import Property

__all__ = ["Property", "build_views", "create_views"]
