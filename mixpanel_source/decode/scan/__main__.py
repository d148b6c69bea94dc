"""`python -m mixpanel_source.decode.scan` compiles the scanner, so that no job has to.

Useful in the build of a container image.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from filelock import FileLock

from ...errors import ConfigError
from ..blocks import ReadBlock
from ..decoded import Selection
from ..decoder import BlockDecoder
from ..index.identity import EventIdentifier, ProfileIdentifier, RowIdentifier
from ..value_types import EVENT, PROFILE, RowKind
from .cache_directory import COMPLETE, cache_directory

_VALUES = rb'"a":"\u0041","b":[1],"c":1.5,"d":null,"e":true,"f":2'
"""A value of each kind: some functions are for one kind only."""
_EVENT = b'{"event":"A","properties":{"time":1,"distinct_id":"b","$insert_id":"c",%s}}\n' % _VALUES
_PROFILE = b'{"$distinct_id":"a","$properties":{%s}}\n' % _VALUES
_LOCK_S = 120.0
"""Maximum wait for another process that compiles."""


def compile_scanner() -> None:
    """Compile all functions of the scanner, unless the cache has them already.

    Raises:
        ConfigError: numba is not installed.
    """
    if find_spec("numba") is None:
        raise ConfigError(
            "There is nothing to compile without numba. Install it: pip install "
            "'mixpanel-source[fast]'."
        )
    directory = cache_directory()
    if directory is None or (directory / COMPLETE).exists():
        return
    with FileLock(directory / "lock", timeout=_LOCK_S):
        if (directory / COMPLETE).exists():
            return
        _use(_EVENT, EVENT, EventIdentifier())
        _use(_PROFILE, PROFILE, ProfileIdentifier())
        (directory / COMPLETE).touch()


def _use(lines: bytes, kind: RowKind, identifier: RowIdentifier) -> None:
    """Call all that is compiled, which compiles it."""
    # not if there is nothing to compile
    from .line_digests import line_digests  # noqa: PLC0415
    from .tape import scan  # noqa: PLC0415

    tape = scan(lines, kind)
    identifier.of_tape(tape)
    line_digests(tape)
    block = ReadBlock(len(tape.lines), len(lines), tape, [])
    BlockDecoder(kind, Selection(raw=True, digest=True)).decode(block, start=0)


def main() -> int:
    """Compile, and return the exit code."""
    try:
        compile_scanner()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a program
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
