"""The projects configured in `[sources.mixpanel.projects.NAME]`, for runs over several of them.

A project has any of the settings, and three names of its own. What it does not set is that of
`[sources.mixpanel]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from .. import constants
from ..errors import ConfigError
from .build import check_names
from .dlt_settings import check_dlt_settings, settings_providers
from .model import SETTING_NAMES
from .parsers import is_given, names_of, nearest_hint, parse_text
from .providers import SECTIONS, look_up, read_section
from .settings_errors import ENVIRONMENT

ALL: Final = "all"
OWN_SETTINGS: Final = ("dataset", "pipeline", "tables")
"""Settings that only a project has; elsewhere they are arguments."""
MAX_LENGTH: Final = 40

_NAMES: Final = (*SETTING_NAMES, *OWN_SETTINGS)
_VALID_NAME: Final = re.compile(rf"(?!.*__)[A-Za-z0-9]\w{{0,{MAX_LENGTH - 1}}}(?<!_)", re.ASCII)
_SECTION: Final = "[sources.mixpanel.projects.NAME]"


@dataclass(frozen=True)
class ProjectSettings:
    """A configured project, and where it is loaded to."""

    name: str
    dataset: str
    pipeline: str
    tables: Sequence[str] | None = None
    """Names of the tables to load; None if the project does not say."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the project sets, as given; arguments for `sync` and the other functions."""


def project_names() -> list[str]:
    """The names of all configured projects: those of files in their order, then those of variables.

    Raises:
        ConfigError: a settings file is malformed, or a name is not valid.
    """
    names: dict[str, str] = {}
    for name in (*_names_in_files(), *_names_in_variables()):
        _check_name(name)
        known = names.setdefault(name.casefold(), name)
        # variables have no case
        if known != name and name != name.lower():
            raise ConfigError(f"the projects {known} and {name} differ in case only. Rename one.")
    return [*names.values()]


def select_projects(selection: str | Sequence[str]) -> list[str]:
    """The names of the selected projects, each once.

    Args:
        selection: names of projects, or text of a list of them; `all` for all that are configured.

    Raises:
        ConfigError: a name is unknown, or there is none; lists the configured names.
    """
    check_dlt_settings()
    configured = project_names()
    if not configured:
        raise ConfigError(
            f"projects: none is configured. Add {_SECTION} to .dlt/config.toml, or set "
            "SOURCES__MIXPANEL__PROJECTS__NAME__PROJECT_ID in the environment."
        )
    wanted = names_of("project names")("projects", selection)
    known = {name.casefold(): name for name in configured}
    unknown = [name for name in wanted if name.casefold() not in known and name != ALL]
    if unknown or not wanted:
        raise ConfigError(
            f"projects is {', '.join(wanted) or 'empty'}; it must be {ALL}, or comma-separated "
            f"names from {', '.join(configured)}"
            f"{nearest_hint(unknown, known).replace(' did', ': did') or '.'}"
        )
    if ALL in wanted:
        return configured
    return [*dict.fromkeys(known[name.casefold()] for name in wanted)]


def project_of(pipeline: str) -> ProjectSettings | None:
    """The configured project that a pipeline of this name loads; None if there is none."""
    with suppress(ConfigError):  # reported where projects are read
        for name in project_names():
            if _own(name, "pipeline") == pipeline:
                return _project(name)
    return None


def default_dataset(name: str) -> str:
    """The dataset of a project for which none is configured."""
    return f"{constants.DATASET_NAME}_{name}"


def read_project(name: str) -> ProjectSettings:
    """A configured project.

    Args:
        name: out of `project_names`.

    Raises:
        ConfigError: a setting is unknown or malformed, or another project has the same dataset.
    """
    places = _configured(name)
    check_names(places, places=places, valid=_NAMES)
    project = _project(name)
    if same := [*_others_with(project.dataset, name)]:
        raise ConfigError(
            f"the dataset {project.dataset} is also that of project {', '.join(same)}. A dataset "
            f"holds one project: set dataset in {_SECTION.replace('NAME', name)} to another."
        )
    return project


def _others_with(dataset: str, name: str) -> Iterator[str]:
    """Yields the other projects with the same dataset."""
    for other in project_names():
        with suppress(ConfigError):  # reported when that project is read
            if other != name and _comparable(_own(other, "dataset")) == _comparable(dataset):
                yield other


def _project(name: str) -> ProjectSettings:
    given = {setting: value for setting in _NAMES if (value := _look_up(name, setting)) is not None}
    tables = given.get("tables")
    return ProjectSettings(
        name,
        dataset=_own(name, "dataset"),
        pipeline=_own(name, "pipeline"),
        tables=names_of("table names")("tables", tables) if is_given(tables) else None,
        settings={key: value for key, value in given.items() if key not in OWN_SETTINGS},
    )


def _own(name: str, setting: str) -> str:
    """Dataset or pipeline of a project."""
    given = _look_up(name, setting)
    if is_given(given):
        return parse_text(setting, given)
    return default_dataset(name) if setting == "dataset" else f"{constants.PIPELINE_NAME}_{name}"


def _look_up(name: str, setting: str) -> Any:  # noqa: ANN401 - a provider holds values of any type
    return look_up(setting, [(*section, "projects", name) for section in SECTIONS])


def _names_in_files() -> Iterator[str]:
    for place, projects in _sections():
        for name, values in projects.items():
            if not isinstance(values, dict):
                raise ConfigError(
                    f"{place}: {name} must be a section with a line for each setting, as in "
                    f"{_SECTION}."
                )
            yield name


def _sections() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each place with sections of projects, and what is in it."""
    for section in SECTIONS:
        path = (*section, "projects")
        for provider in settings_providers():
            if provider.name != ENVIRONMENT:
                place = f"[{'.'.join(path)}] of {provider.name}"
                yield place, read_section(provider, path, place)


def _names_in_variables() -> Iterator[str]:
    yield from sorted({name for name, _, _ in _variables()})


def _variables() -> Iterator[tuple[str, str, str]]:
    """Yields project, setting and name of each variable of the environment, in lower case."""
    for section in SECTIONS:
        prefix = "__".join((*section, "projects", "")).upper()
        for variable in os.environ:
            project, _, setting = variable.removeprefix(prefix).lower().partition("__")
            # deeper names are dlt's own settings
            if variable.startswith(prefix) and setting and "__" not in setting:
                yield project, setting, variable


def _configured(name: str) -> dict[str, str]:
    """Every name that a project sets, valid or not -> the place where it is configured."""
    places = {
        setting: variable
        for project, setting, variable in _variables()
        if project == name.casefold()
    }
    for place, projects in _sections():
        values = projects.get(name, {})
        its_place = place.replace("projects]", f"projects.{name}]")
        places |= {key: its_place for key in values if not isinstance(values[key], dict)}
    return places


def _check_name(name: str) -> None:
    if not _VALID_NAME.fullmatch(name) or name.casefold() == ALL:
        raise ConfigError(
            f"{_SECTION} has the name {name!r}; it must be 1 to {MAX_LENGTH} letters a to z, "
            f"digits and single underscores between them, such as shop_eu, and not {ALL}."
        )


def _comparable(dataset: str) -> str:
    return re.sub(r"\W", "_", dataset.casefold())
