"""What is wrong with a settings file: the file, the line, the key and what to do.

Values are never shown: they may be secrets.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ..errors import ConfigError

_ENCODINGS = {
    codecs.BOM_UTF8: "begins with a byte-order mark",
    codecs.BOM_UTF16_LE: "is in UTF-16",
    codecs.BOM_UTF16_BE: "is in UTF-16",
}
_KEY = re.compile(r"\s*(?P<key>[\w.\"'-]+)\s*=\s*(?P<value>.*)")
_DUPLICATE = re.compile(r'Key "(?P<key>.*)" already exists')
_QUOTES = "\u2018-\u201f\u2039\u203a\u00ab\u00bb"
_PROBLEMS = (
    (r"$|#", "has no value"),
    (f".*[{_QUOTES}]", 'has typographic quotes; write straight ones: {key} = "..."'),
    (
        r'"[^#]*\\',
        "has a backslash, which is special in double quotes; write single quotes: {key} = '...'",
    ),
    (r"[\"']", 'must end with the quote it begins with: {key} = "..."'),
    (r"(true|false)\s*(#|$)", "must be true or false, in lower case"),
    (
        r"[-+\d\[{]",
        'is not a valid number, date, list or table; text must be in quotes: {key} = "..."',
    ),
    ("", 'must be in quotes: {key} = "..."'),
)
"""Pattern of a value -> what is wrong with it; the first that matches counts."""


def check_toml(path: str) -> None:
    """Check that a settings file, if it exists, is valid TOML.

    Raises:
        ConfigError: it cannot be read, is not UTF-8 or is not valid TOML.
    """
    if (content := read_settings(path)) is not None:
        _check_content(os.path.normpath(path), content)


def read_settings(path: str) -> bytes | None:
    """The content of a settings file; None if it does not exist.

    Raises:
        ConfigError: it is a directory or cannot be read, which dlt takes for a file that is absent.
    """
    file = Path(path)
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        reason = "is a directory; it must be a file"
    except NotADirectoryError:
        reason = f"cannot be read: {file.parent} must be a directory"
    except PermissionError:
        reason = "cannot be read: permission denied"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise ConfigError(f"{os.path.normpath(path)} {reason}.")


def _check_content(name: str, content: bytes) -> None:
    for mark, problem in _ENCODINGS.items():
        if content.startswith(mark):
            raise ConfigError(f"{name} {problem}. Save it as UTF-8, without a byte-order mark.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}, line {number}: there is a character that is not in UTF-8. Save the file as "
            "UTF-8."
        ) from None
    try:
        tomlkit.parse(text).unwrap()
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}{_describe(text.splitlines(), error)}.") from None


def _describe(lines: list[str], error: Exception) -> str:
    """The line and its mistake."""
    number: int | None = getattr(error, "line", None)
    if duplicate := _DUPLICATE.search(str(error)):
        return _describe_duplicate(lines, duplicate["key"], number or len(lines))
    if number is None:
        return " is not valid TOML"
    line = lines[number - 1] if number <= len(lines) else ""
    return f", line {number}: {_describe_line(line)}"


def _describe_duplicate(lines: list[str], key: str, number: int) -> str:
    # of a section the parser gives the line after its end
    pattern = re.compile(rf"\s*(\[+.*\b{re.escape(key)}\b|[\"']?{re.escape(key)}[\"']?\s*[.=])")
    while number > 1 and not pattern.match((lines[number - 1 : number] or [""])[0]):
        number -= 1
    return f", line {number}: {key} is there twice; remove one, or merge the two"


def _describe_line(line: str) -> str:
    setting = _KEY.match(line)
    if setting is None:
        if line.lstrip().startswith("["):
            return "a section must be in brackets, such as [sources.mixpanel]"
        return 'a line must be of the form key = "value"'
    key, value = setting["key"], setting["value"]
    return f"{key} {_describe_value(key, value)}"


def _describe_value(key: str, value: str) -> str:
    problems = (
        problem for pattern, problem in _PROBLEMS if re.match(pattern, value, re.IGNORECASE)
    )
    return next(problems).format(key=key)
