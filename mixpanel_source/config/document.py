"""Writes the settings into the files that list them; run it after a change to `Config`.

    python -m mixpanel_source.config.document

It rewrites the tables in the README, the files in `.dlt`, the signature and the docstring of
`mixpanel_source()`, and `Settings`; the rest of these files is left alone. It needs a checkout of
the repository.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from .declaration import File, Setting
from .model import SETTINGS

ROOT: Final = Path(__file__).parents[2]
LINE_LENGTH: Final = 100
POSITIONAL: Final = 3
"""The first settings, which `mixpanel_source()` also takes by position: account and project."""


class Part(NamedTuple):
    """The part of a file that lists the settings."""

    path: str
    """Of the file, relative to the root of the repository."""
    begin: str
    """Text that comes before the part, once in the file."""
    end: str
    """Text that comes after the part; empty for the end of the file."""
    render: Callable[[], str]


def updated(path: str) -> str:
    """The text of a file, with the parts that list the settings written anew.

    Args:
        path: relative to the root of the repository, out of `PARTS`.

    Raises:
        ValueError: the text that marks the begin or the end of a part is missing.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    for part in PARTS:
        if part.path == path:
            before, begin, rest = text.partition(part.begin)
            end = rest.find(part.end) if part.end else len(rest)
            if not begin or end < 0:
                raise ValueError(f"{path}: nothing between {part.begin!r} and {part.end!r}")
            text = before + begin + part.render() + rest[end:]
    return text


def toml_of(value: object) -> str:
    """A value as TOML.

    Args:
        value: text, a flag, a number, or a list or dict of these with text as keys.
    """
    if isinstance(value, dict):
        members = (f"{_key(name)} = {toml_of(item)}" for name, item in value.items())
        return f"{{ {', '.join(members)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_of, value))}]"
    if isinstance(value, str) and '"' in value:
        return f"'{value}'"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else json.dumps(name)


def default_of(setting: Setting) -> str:
    """Describes the default of a setting, with code in backticks."""
    if setting.required:
        return "required"
    if setting.default_text:
        return setting.default_text
    if setting.default is None or setting.default == ():
        return "none"
    text = setting.default if isinstance(setting.default, str) else toml_of(setting.default)
    return f"`{text}`"


def _sentence(setting: Setting) -> str:
    default = default_of(setting)
    return (
        f"{setting.meaning} ({setting.parser.values}; "
        f"{default if setting.required else f'default: {default}'})."
    )


def _wrap(text: str, *, first_indent: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        LINE_LENGTH,
        initial_indent=first_indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _readme_tables() -> str:
    lines: list[str] = []
    for setting in SETTINGS:
        if setting.heading:
            lines += ["", f"**{setting.heading}**", ""]
            lines += ["| setting | values | default | meaning |", "|---|---|---|---|"]
        meaning = re.sub(r"docs/\w+\.md", r"[\g<0>](\g<0>)", setting.meaning)
        cells = (setting.parser.values, default_of(setting), meaning)
        lines.append(f"| `{setting.name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def _toml_settings(file: File) -> str:
    """The settings that a file shows, each below its description; optional ones as comments."""
    blocks = []
    for setting in SETTINGS:
        if setting.file == file:
            sentence = _sentence(setting).replace("`", "")
            lines = _wrap(sentence, first_indent="# ", indent="# ")
            comment = "" if setting.required else "# "
            lines.append(f"{comment}{setting.name} = {toml_of(setting.example)}\n")
            blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _signature() -> str:
    lines = [f"    {one.name}: {one.parser.accepts} | None = None,\n" for one in SETTINGS]
    return "".join([*lines[:POSITIONAL], "    *,\n", *lines[POSITIONAL:]])


def _argument_docs() -> str:
    lines: list[str] = []
    for setting in SETTINGS:
        text = f"{setting.name}: {_sentence(setting)}"
        lines += _wrap(text, first_indent=" " * 8, indent=" " * 12)
    return "\n".join([*lines, ""])


def _typed_dict_items() -> str:
    return "".join(f"    {one.name}: {one.parser.accepts} | None\n" for one in SETTINGS)


PARTS: Final = (
    Part("README.md", "<!-- settings: begin -->\n", "<!-- settings: end -->", _readme_tables),
    Part(
        ".dlt/config.toml",
        "[sources.mixpanel]\n",
        "",
        partial(_toml_settings, "config.toml"),
    ),
    Part(
        ".dlt/secrets.toml.example",
        "[sources.mixpanel]\n",
        "\n# where to load",
        partial(_toml_settings, "secrets.toml"),
    ),
    Part(
        "mixpanel_source/jobs/source.py",
        "def mixpanel_source(\n",
        ") -> ",
        _signature,
    ),
    Part("mixpanel_source/jobs/source.py", "    Args:\n", "\n    Raises:", _argument_docs),
    Part(
        "mixpanel_source/config/settings.py",
        '`python -m mixpanel_source.config.document`.\n    """\n\n',
        "",
        _typed_dict_items,
    ),
)
"""Every place that lists the settings."""


def main() -> None:
    """Write each part anew."""
    for path in dict.fromkeys(part.path for part in PARTS):
        (ROOT / path).write_text(updated(path), encoding="utf-8")


if __name__ == "__main__":
    main()
