"""Mixpanel's OpenAPI specifications, which are stored in `tests/openapi/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parents[1] / "openapi"


@cache
def load_specification(name: str) -> dict[str, Any]:
    """Return the specification `name`, such as `query`; callers must not change it."""
    text = (DIRECTORY / f"{name}.openapi.yaml").read_text(encoding="utf-8")
    specification: dict[str, Any] = yaml.safe_load(text)
    return specification
