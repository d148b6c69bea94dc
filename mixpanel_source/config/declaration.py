"""How a setting is declared: its parser, its default and its documentation, in one place.

`model.Config` declares each setting as a field. Everything else that lists the settings is written
from there by `python -m mixpanel_source.config.document`.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Literal, TypeVar, cast

from .parsers import Parser

T = TypeVar("T")
File = Literal["config.toml", "secrets.toml"]

_KEY = "setting"
_NO_DEFAULT: Any = MISSING


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything that is known about a setting."""

    name: str
    parser: Parser[object]
    meaning: str
    """A sentence without its full stop; code stands in backticks."""
    default: object
    """What `Config` holds if nothing is given; `MISSING` if that has to be computed."""
    default_text: str
    """Describes the default in the documentation."""
    example: object
    """A value as a TOML file has it."""
    heading: str
    """Title of the group of settings that starts here; empty within a group."""
    file: File | None
    """The file in `.dlt` that shows the setting; None if it makes no sense in a file."""

    @property
    def required(self) -> bool:
        """Whether a run needs the setting."""
        return self.default is MISSING and not self.default_text


def setting(
    parser: Parser[T],
    meaning: str,
    *,
    default: T = _NO_DEFAULT,
    default_text: str = "",
    example: object = None,
    heading: str = "",
    file: File | None = "config.toml",
) -> T:
    """Declare a setting, as a field of a dataclass.

    The arguments are those of `Setting`. Type checkers see the type that `parser` returns, so a
    parser or a default that does not fit the field is an error of types.

    Args:
        parser: parses and checks what is given.
        meaning: a sentence without its full stop.
        default: parsed value if nothing is given; without it and `default_text`, the setting is
            required.
        default_text: describes the default where its value does not speak for itself.
        example: a value as a TOML file has it; the default if not given.
        heading: title of the group of settings that starts here.
        file: the file in `.dlt` that shows the setting.
    """
    documentation = {
        "parser": parser,
        "meaning": meaning,
        "default_text": default_text,
        "example": default if example is None else example,
        "heading": heading,
        "file": file,
    }
    return field(default=default, metadata={_KEY: documentation})


def setting_of(declared: Field[Any]) -> Setting:
    """The setting that a field declares."""
    documentation = cast("dict[str, Any]", declared.metadata[_KEY])
    return Setting(name=declared.name, default=declared.default, **documentation)
