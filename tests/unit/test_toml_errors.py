"""Mistakes in settings files: the message has the file, the line, the key, and no value."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.config.toml_errors import check_toml
from mixpanel_source.errors import ConfigError

SECRET = "hunter2-XyZ"
QUOTES = 'secret must be in quotes: secret = "..."'

MISTAKES: list[tuple[str, str]] = [
    (f"[sources.mixpanel]\nsecret = {SECRET}\n", f"line 2: {QUOTES}"),
    (f"[sources.mixpanel]\r\nsecret={SECRET} # mine\r\n", f"line 2: {QUOTES}"),
    (f"secret = @{SECRET}\n", f"line 1: {QUOTES}"),
    (f"secret = 2{SECRET}\n", 'text must be in quotes: secret = "..."'),
    (f'a = 1\nsecret = "{SECRET}\nb = 2\n', "line 2: secret must end with the quote it begins"),
    (f"secret = '{SECRET}'s'\n", "line 1: secret must end with the quote it begins"),
    (f'secret = "{SECRET}" {SECRET}\n', "line 1: secret must end with the quote"),
    (f"secret = \u201c{SECRET}\u201d\n", "has typographic quotes; write straight ones"),
    (f"secret = \u2018{SECRET}\u2019\n", "line 1: secret has typographic quotes"),
    (f"\n\nsecret = \u201e{SECRET}\u201c\n", "line 3: secret has typographic quotes"),
    (f'secret = "\u201d{SECRET}\n', "line 1: secret has typographic quotes"),
    (f'secret = "C:\\data\\{SECRET}"\n', "secret has a backslash, which is special in double"),
    (f'secret = "\\\\host\\share\\{SECRET}"\n', "write single quotes: secret = '...'"),
    (f'secret = "C:\\users\\{SECRET}"\n', "line 1: secret has a backslash"),
    ("secret =\n", "line 1: secret has no value"),
    ("secret = # later\n", "line 1: secret has no value"),
    ("include_today = True\n", "line 1: include_today must be true or false, in lower case"),
    ("workers = 04\n", "line 1: workers is not a valid number"),
    ("anchor_date = 2026-13-01\n", "line 1: anchor_date is not a valid number, date"),
    (f'events = ["{SECRET}" "b"]\n', "line 1: events is not a valid number, date, list"),
    (f'secret = "{SECRET}"\na = 1\nsecret = "{SECRET}"\n', "line 3: secret is there twice"),
    ("[load]\nworkers = 1\n[run]\n[load]\na = 1\n", "line 4: load is there twice; remove one, or"),
    ("[a]\nb = 1\n[a.b]\nc = 1\n", "line 3: b is there twice"),
    ("a.b = 1\na = 2\n", "line 2: a is there twice"),
    ("[sources.mixpanel\na = 1\n", "line 1: a section must be in brackets, such as [sources."),
    (f"secret: {SECRET}\n", 'line 1: a line must be of the form key = "value"'),
    (f"export SECRET={SECRET}\n", 'line 1: a line must be of the form key = "value"'),
    (f'{{"secret": "{SECRET}"}}\n', 'line 1: a line must be of the form key = "value"'),
    (f"{SECRET}\n", 'line 1: a line must be of the form key = "value"'),
]


def message_for(path: Path, content: str | bytes) -> str:
    """The message for a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as raised:
        check_toml(str(path))
    message = str(raised.value)
    assert message.startswith(f"{path}")
    assert message.endswith(".")
    assert SECRET not in message
    return message


@pytest.mark.parametrize(("content", "words"), MISTAKES, ids=repr)
def test_mistakes(tmp_path: Path, content: str, words: str) -> None:
    """Each is described with its line, its key and what to write."""
    assert words in message_for(tmp_path / "secrets.toml", content)


ENCODINGS: list[tuple[bytes, str]] = [
    (b"\xef\xbb\xbf[a]\nb = 1\n", "begins with a byte-order mark. Save it as UTF-8, without"),
    ("[a]\nb = 1\n".encode("utf-16"), "is in UTF-16. Save it as UTF-8"),
    ("[a]\nb = 1\n".encode("utf-16-be"), "line 1: "),
    ('[a]\nb = "Zürich"\n'.encode("latin-1"), "line 2: there is a character that is not in UTF-8"),
    ('a = 1\n\nb = "Łódź"\n'.encode("cp1250"), "line 3: there is a character that is not in"),
    ('# Größe\n[a]\nb = "x"\n'.encode("cp437"), "line 1: there is a character that is not in"),
    (b"a = 1\n\0\0\0", "line 2: "),
]


@pytest.mark.parametrize(("content", "words"), ENCODINGS, ids=repr)
def test_encodings(tmp_path: Path, content: bytes, words: str) -> None:
    """Files of other encodings are refused, with the line where that shows."""
    assert words in message_for(tmp_path / "config.toml", content)


def test_directory(tmp_path: Path) -> None:
    """A directory in place of the file is refused; dlt would take the file for absent."""
    with pytest.raises(ConfigError, match="is a directory; it must be a file"):
        check_toml(str(tmp_path))


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """So is a file in place of the folder of the settings."""
    (tmp_path / ".dlt").write_text("")
    with pytest.raises(ConfigError, match=r"\.dlt must be a directory"):
        check_toml(str(tmp_path / ".dlt" / "config.toml"))


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_endless_link(tmp_path: Path) -> None:
    """What the operating system refuses to open is named with its reason."""
    path = tmp_path / "config.toml"
    path.symlink_to(path)
    with pytest.raises(ConfigError, match="cannot be read: "):
        check_toml(str(path))


@pytest.mark.parametrize("content", ["", "# nothing\n", "[a]\nb = \"C:\\\\data\"\nc = 'C:\\d'\n"])
def test_valid(tmp_path: Path, content: str) -> None:
    """Valid files and absent ones pass."""
    path = tmp_path / "config.toml"
    check_toml(str(path))
    path.write_text(content)
    check_toml(str(path))


@given(content=st.binary() | st.text(alphabet="ab =\"'[]{}.,#\\\n1-").map(str.encode))
def test_any_content(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a file holds, it passes or is refused with a ConfigError."""
    path = tmp_path_factory.mktemp("settings") / "config.toml"
    path.write_bytes(content)
    with suppress(ConfigError):
        check_toml(str(path))
