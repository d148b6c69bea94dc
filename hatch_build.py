"""Generates the man pages when the wheel is built, from the parsers of the programs.

They are installed as `share/man/man1/PROGRAM.1`, where `man` looks if the program is on the path.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAMS = {
    "mixpanel-source": "load Mixpanel into a database",
    "mixpanel-destination": "write to a Mixpanel project",
}
"""Program -> what it does, in the line that `man -k` searches."""


def man_page(program: str, *, version: str) -> str:
    """The man page of a program, in roff.

    Args:
        program: a name of `PROGRAMS`.
        version: of the package.
    """
    # only the build of a wheel needs it
    from argparse_manpage.manpage import Manpage  # noqa: PLC0415

    parser = import_module(f"{program.replace('-', '_')}.cli.app").build_parser()
    parser.man_short_description = PROGRAMS[program]
    data = {"manual_title": "mixpanel-source", "project_name": program, "version": version}
    return str(Manpage(parser, _data=data))


class ManPages(BuildHookInterface[Any]):
    """Adds the man pages to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate them; a wheel of an editable installation has none."""
        if version == "editable":
            return
        # the parsers import nothing that is not in the standard library
        sys.path.insert(0, self.root)
        directory = Path(mkdtemp())
        for program in PROGRAMS:
            page = directory / f"{program}.1"
            page.write_text(man_page(program, version=self.metadata.version), encoding="utf-8")
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
