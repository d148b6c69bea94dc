"""Man pages and shell completion know every command and every option."""

from __future__ import annotations

import subprocess
from argparse import SUPPRESS
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from hatch_build import PROGRAMS, ManPages, man_page
from mixpanel_source.cli.completion import SHELLS


def iter_names(parser: Any) -> Iterator[str]:
    """All commands, with their subcommands, and all long options."""
    for action in parser._actions:
        if action.help == SUPPRESS:
            continue
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action.choices, dict):
            yield from action.choices
            for command in action.choices.values():
                yield from iter_names(command)


def names_of(program: str) -> set[str]:
    """The names that a page or a script has to have."""
    parser = import_module(f"{program.replace('-', '_')}.cli").build_parser()
    return {*iter_names(parser)}


@pytest.mark.parametrize("program", PROGRAMS)
def test_man_page_is_complete(program: str) -> None:
    """Each command and each option of the program is in its page."""
    page = man_page(program, version="1.2.3").replace(r"\-", "-")
    names = names_of(program) - {"--help"}
    assert len(names) > 30
    assert [name for name in names if name not in page] == []
    assert PROGRAMS[program] in page
    assert "1.2.3" in page


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_completion_knows_the_commands(
    program: str, shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script is printed that names the commands."""
    cli = import_module(f"{program.replace('-', '_')}.cli")
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert program in script
    (commands,) = (a.choices for a in cli.build_parser()._actions if isinstance(a.choices, dict))
    assert [name for name in commands if name not in script] == []


def test_bash_completes(capsys: pytest.CaptureFixture[str]) -> None:
    """Bash runs the script, and completes a command, an option and the values of an option."""
    import_module("mixpanel_source.cli").main(["completion", "bash"])
    tries = "mixpanel-source stat|mixpanel-source sync --fr|mixpanel-source sync --progress l"
    script = (
        capsys.readouterr().out
        + f"""
IFS='|' read -r -a lines <<< '{tries}'
for line in "${{lines[@]}}"; do
    read -r -a COMP_WORDS <<< "$line"
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _shtab_mixpanel_source mixpanel-source "${{COMP_WORDS[-1]}}"
    echo "${{COMPREPLY[@]}}"
done
"""
    )
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["status", "--from-archive", "log"]


def test_editable_installation_has_none() -> None:
    """Only the build of a real wheel generates pages."""
    assert ManPages.PLUGIN_NAME == "custom"
    data: dict[str, Any] = {"shared_data": {}}
    ManPages.initialize(None, "editable", data)  # type: ignore[arg-type]
    assert data["shared_data"] == {}
