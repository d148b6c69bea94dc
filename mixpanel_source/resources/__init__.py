"""The tables, one module each, and what they share."""

from __future__ import annotations

from .cohorts import cohorts_resource
from .engage import engage_resource
from .export import export_resource

RESOURCES = (export_resource, engage_resource, cohorts_resource)

__all__ = ["RESOURCES"]
