"""SQL views for analysts, in a dialect that both DuckDB and Postgres accept.

Most are the `.sql` files in this directory. Others are generated: `funnel` from the given steps,
and those that need properties from the loaded columns. The views of `union` are over several
projects.
"""

from __future__ import annotations

from .build import build_views
from .create import create_views
from .properties import Property
from .union import create_union_views

__all__ = ["Property", "build_views", "create_union_views", "create_views"]
