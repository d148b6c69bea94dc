"""Lists given as text: on a command line, in the environment or in a file.

Pure. Text that begins like JSON is read as JSON, so that an item may contain a comma; other text
has commas between the items.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

JSON_STARTS = ("[", "{", '"')


class ListTextError(ValueError):
    """Text that begins like JSON is not a JSON list; says how to write one."""


def parse_list(text: str) -> Sequence[Any]:
    """The items of a list given as text.

    Args:
        text: a JSON list, a JSON string, which is a list of one, or text with commas between the
            items, each of which is stripped.

    Raises:
        ListTextError: it begins like JSON, but is not valid JSON, or is a JSON object.
    """
    text = text.strip()
    if not text.startswith(JSON_STARTS):
        return [item.strip() for item in text.split(",")]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ListTextError(
            f"begins with {text[0]}, as JSON does, but is not valid JSON; write the list as JSON, "
            'with names in double quotes, such as ["a", "b, c"]'
        ) from None
    if isinstance(value, dict):
        raise ListTextError('is a JSON object; write a list, such as ["a", "b, c"]')
    return value if isinstance(value, list) else [value]
