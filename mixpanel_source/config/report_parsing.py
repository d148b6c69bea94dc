"""Parses the setting `reports`: checks each declaration against the endpoint of its table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NoReturn

from ..catalog.endpoint import Endpoint
from ..catalog.tables import REPORT_TABLES
from ..errors import ConfigError
from .lists import JSON_STARTS, ListTextError, parse_list
from .parsers import Parser, nearest_hint, number_from, parse_day, type_of
from .report_params import (
    CHOICES,
    COUNTS_BACK,
    EXCLUSIVE_UNIT,
    LISTS,
    NUMBERS,
    OBJECTS,
    RESERVED,
    SCRIPT,
    SCRIPT_FILE,
)
from .reports import DAYS_MAX, TRAILING_DAYS, Report, endpoint_of

KEYS: Final = ("name", "table", "params", "since", "days")
"""Keys of a declaration."""
_LARGEST_NUMBER = 10**18


def _reports(value: object) -> tuple[Report, ...]:
    # through JSON, so that lists and tables of any kind become plain ones
    text = value if isinstance(value, str) else json.dumps(value, default=_day_text)
    declarations = json.loads(text)
    if not isinstance(declarations, list) or not all(isinstance(d, dict) for d in declarations):
        raise TypeError
    reports: dict[str, Report] = {}
    for number, declaration in enumerate(declarations, 1):
        report = _Declaration(number, declaration).parse()
        if report.name in reports:
            raise ConfigError(
                f"reports {report.name}: two reports have this name; each needs its own."
            )
        reports[report.name] = report
    return tuple(reports.values())


parse_reports = Parser(
    _reports,
    "a list of tables",
    "Sequence[Mapping[str, Any]] | str",
    hint=", [[sources.mixpanel.reports]] in config.toml, or JSON text of a list of objects",
    show=type_of,
)
"""Declarations of reports; an error names the report, the key and what is valid."""


def _day_text(value: object) -> str:
    """A date of a TOML file, which JSON has no form for."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


class _Declaration:
    """The declaration of a single report."""

    def __init__(self, number: int, values: Mapping[str, Any]) -> None:
        self._values = values
        self._label = f"reports number {number}"
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            self._refuse("name is missing: any text, for the column report")
        self._name = name.strip()
        self._label = f"reports {self._name}"

    def parse(self) -> Report:
        self._check_known("key", self._values, KEYS)
        table = self._values.get("table")
        if not isinstance(table, str) or table not in REPORT_TABLES:
            self._refuse_choice("table", table, REPORT_TABLES)
        since, days = self._parse_days(table)
        return Report(self._name, table, self._parse_params(table), since, days)

    def _parse_days(self, table: str) -> tuple[date | None, int]:
        values = self._values
        for key in ("since", "days"):
            if key in values and not endpoint_of(table).incremental:
                self._refuse(f"{key} must be left out: {table} is not requested by days")
        since = values.get("since")
        days = values.get("days", TRAILING_DAYS)
        return (
            None if since is None else parse_day(f"{self._label}: since", since),
            number_from(int, 1, DAYS_MAX)(f"{self._label}: days", days),
        )

    def _parse_params(self, table: str) -> tuple[tuple[str, str], ...]:
        given = self._values.get("params", {})
        if not isinstance(given, dict):
            self._refuse("params must be a table, such as { event = 'Signed up' }")
        endpoint = endpoint_of(table)
        self._check_param_names(table, endpoint, given)
        params = {key: self._parse_param(table, key, value) for key, value in given.items()}
        required = [key for key in endpoint.required if key not in (*_reserved(table), SCRIPT)]
        if missing := [key for key in required if key not in params]:
            self._refuse(f"params must have {', '.join(missing)}, which {table} needs")
        if table == "jql" and (SCRIPT in params) == (SCRIPT_FILE in params):
            self._refuse(f"params must have one of {SCRIPT} and {SCRIPT_FILE}")
        if table in EXCLUSIVE_UNIT and "unit" in params and "interval" in params:
            self._refuse("params must have unit or interval, and not both")
        return tuple(sorted(params.items()))

    def _check_param_names(self, table: str, endpoint: Endpoint, names: Iterable[str]) -> None:
        reserved = _reserved(table)
        for name in names:
            if name in reserved:
                self._refuse(f"params must not have {name}: it follows from the other settings")
        known = [name for name in endpoint.params if name not in reserved]
        self._check_known("parameter", names, [*known, *([SCRIPT_FILE] if table == "jql" else [])])

    def _parse_param(self, table: str, key: str, value: object) -> str:
        if value is None or (isinstance(value, str) and not value.strip()):
            self._refuse(f"params: {key} is blank")
        valid = CHOICES.get(table, {}).get(key)
        if valid is not None and value not in valid:
            self._refuse_choice(f"params: {key}", value, valid)
        if key in NUMBERS:
            parse_number = number_from(int, 1, _LARGEST_NUMBER)
            value = parse_number(f"{self._label}: params: {key}", value)
        if LISTS.get(table) == key:
            value = self._parse_list(key, value)
        if key in OBJECTS:
            value = self._parse_object(key, value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _parse_object(self, key: str, value: object) -> object:
        """An object, given as a table or as its JSON text."""
        try:
            found = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            found = None
        if not isinstance(found, dict) or not found:
            self._refuse(f"params: {key} must be a table, or JSON text of an object")
        return found

    def _parse_list(self, key: str, value: object) -> object:
        """A list, as it was given; a single value is a list of one."""
        if not isinstance(value, str) or not value.strip().startswith(JSON_STARTS):
            return value if isinstance(value, list) else [value]
        try:
            items = parse_list(value)
        except ListTextError as error:
            self._refuse(f"params: {key} {error}")
        # text of a list stays as it is: the definition of a report must not change
        return items if value.strip().startswith('"') else value

    def _check_known(self, kind: str, names: Iterable[str], known: Sequence[str]) -> None:
        for name in names:
            if name not in known:
                self._refuse(f"there is no {kind} {name}{_choices(name, known)}")

    def _refuse_choice(self, key: str, value: object, valid: Sequence[str]) -> NoReturn:
        state = "missing" if value is None else repr(value)
        self._refuse(f"{key} is {state}{_choices(value, valid)}")

    def _refuse(self, reason: str) -> NoReturn:
        raise ConfigError(f"{self._label}: {reason}.")


def _reserved(table: str) -> tuple[str, ...]:
    """The parameters of a table that follow from other settings."""
    return (*RESERVED, "interval") if table in COUNTS_BACK else RESERVED


def _choices(value: object, valid: Sequence[str]) -> str:
    hint = nearest_hint([value], valid) if isinstance(value, str) else ""
    return f"{f':{hint} It' if hint else '; it'} must be one of {', '.join(valid)}"
