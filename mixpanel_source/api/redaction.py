"""What of a reply may be shown or stored: the only way for its text into a message, log or file.

Pure. Servers and proxies repeat what they were sent, so credentials are found in every form in
which they travel; control characters, which terminals obey, are escaped.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from ..config.model import Config
from ..errors import one_line

MASK = "..."
MAX_QUOTED_CHARACTERS = 200
"""Maximum characters of a refusal in a message."""
_MIN_CORE = 8
"""Characters of base64 that are unlikely to be there by chance."""
_TOKEN = re.compile(r"[A-Za-z0-9+/_=-]{8,}")
_HEADER = re.compile(r"(authorization\W{1,5}(?:basic|bearer)\s+)[^\s\"',;<]+", re.IGNORECASE)
_PROPERTY = re.compile(r"""\[\s*(["'])(?:\\.|(?!\1).)*\1\s*\]""")
_LITERAL = re.compile(r"""(["'])((?:\\.|(?!\1).){4,})\1""")
"""A property, and a text that it is compared with, in a filter."""
_TERMINAL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)", re.DOTALL)
"""A sequence that a terminal obeys."""
_QUOTATIONS = (
    # an address may hold a project, a filter, anything
    (re.compile(r"https?://\S+"), ""),
    # a row, or values
    (re.compile(r"\{.*\}|\{.*", re.DOTALL), MASK),
    (re.compile(r"\[[^\]]*[\"'{,](.*\]|.*)", re.DOTALL), MASK),
    # a text, but no apostrophe
    (re.compile(r"\"[^\"]*(\"|$)|“[^”]*(”|$)|`[^`]*`"), MASK),
    (re.compile(r"(?<!\w)'[^']*'(?!\w)"), MASK),
    (re.compile(r"[^\s<>()]+@[\w-]+(\.[\w-]+)+"), MASK),
    (re.compile(r"(\b\$?(?:distinct|user|device|insert)_ids?\b\s*[:= ]\s*)(?=\S*\d)\S+"), r"\1..."),
)
"""What may quote a row or the value of a property -> what is left of it."""


class Redactor:
    """Masks the credentials and filters of one project in texts that come from outside."""

    def __init__(self, config: Config) -> None:
        """Collect what must not be shown."""
        forms = {form for form in _credential_forms(config) if form}
        self._forms = _any_of(forms)
        self._cores = _any_of({*_base64_cores(config.secret)})
        self._bytes = sorted(_forms_in_json(config), key=len, reverse=True)
        self._filters = _any_of(_filter_forms(config))

    def whole(self, text: str) -> str:
        """All of a text without credentials; line breaks stay, other control characters do not."""
        return "\n".join(map(one_line, self._mask(text).splitlines()))

    def words(self, text: str, *, hidden: Iterable[str] = ()) -> str:
        """A text as a message may quote it: on one line, short, without values.

        Args:
            text: from a reply.
            hidden: values to mask in addition to credentials and filters.
        """
        masked = _replace(_any_of({*hidden}), self._mask(_TERMINAL.sub("", text)))
        masked = _replace(self._filters, masked).replace('\\"', '"')
        for pattern, left in _QUOTATIONS:
            masked = pattern.sub(left, masked)
        line = one_line(" ".join(masked.split()))
        line = re.sub(r"\.\.\.([\s,;:]*\.\.\.)+", MASK, line)
        return (
            line
            if len(line) <= MAX_QUOTED_CHARACTERS
            else f"{line[: MAX_QUOTED_CHARACTERS - 1].rstrip()}…"
        )

    def body(self, body: bytes) -> bytes:
        """The body of a reply without the secret; what is not echoed is not changed."""
        for form in self._bytes:
            if form in body:
                body = body.replace(form, MASK.encode())
        return body

    def stream(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """As `body`, for a body in chunks of any size."""
        overlap = max(map(len, self._bytes), default=1) - 1
        held = b""
        for chunk in chunks:
            held = self.body(held + chunk)
            yield held[: max(0, len(held) - overlap)]
            held = held[max(0, len(held) - overlap) :]
        yield held

    def _mask(self, text: str) -> str:
        text = _HEADER.sub(rf"\1{MASK}", _replace(self._forms, text))
        if self._cores is None:
            return text
        has_core = self._cores.search
        return _TOKEN.sub(lambda token: MASK if has_core(token[0]) else token[0], text)


def _credential_forms(config: Config) -> Iterator[str]:
    pair = f"{config.username}:{config.secret}"
    for text in (pair, config.secret, config.username):
        yield text
        yield from (quote(text, safe=""), quote(text), quote_plus(text), html.escape(text))
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        yield from (_base64(text).rstrip("="), urlsafe_b64encode(text.encode()).decode())
        # the header as it is read by servers that take it for latin-1
        yield text.encode().decode("latin-1")


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _base64_cores(secret: str) -> Iterator[str]:
    """What base64 makes of the secret wherever it stands in a longer text.

    Three bytes become four characters, so this depends on the number of bytes before it, modulo
    three. Characters that depend on the neighbours are left out.
    """
    raw = secret.encode()
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw)
        core = encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6].decode()
        if len(core) >= _MIN_CORE:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _forms_in_json(config: Config) -> set[bytes]:
    pair = f"{config.username}:{config.secret}"
    texts = {config.secret, pair, quote(config.secret, safe=""), _base64(pair)}
    forms = {json.dumps(text)[1:-1] for text in texts} | {*_base64_cores(config.secret)}
    forms |= {json.dumps(text, ensure_ascii=False)[1:-1] for text in texts}
    # a shorter one is in values by chance
    return {form.encode() for form in forms if len(form) >= _MIN_CORE}


def _filter_forms(config: Config) -> set[str]:
    filters = [
        *(config.where, config.engage_where, config.engage_behaviors),
        *(value for report in config.reports for value in report.filters),
    ]
    texts = {text for text in filters if text}
    literals = {found[2] for text in texts for found in _LITERAL.finditer(_PROPERTY.sub("", text))}
    escaped = {json.dumps(text)[1:-1] for text in texts} | {quote(text, safe="") for text in texts}
    return texts | literals | escaped


def _any_of(texts: set[str]) -> re.Pattern[str] | None:
    """Matches any of the texts, the longest first, in upper or lower case."""
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _replace(pattern: re.Pattern[str] | None, text: str) -> str:
    return text if pattern is None else pattern.sub(MASK, text)
