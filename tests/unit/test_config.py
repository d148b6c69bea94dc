"""Settings: valid values, defaults and error messages."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import date, datetime, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.config.build import build_config, check_names
from mixpanel_source.config.model import SETTING_NAMES, Config
from mixpanel_source.config.parsers import parse_day, parse_range
from mixpanel_source.config.reports import Report
from mixpanel_source.config.tables import select_tables
from mixpanel_source.errors import ConfigError
from mixpanel_source.windows import Window

SECRET = "hunter2-XyZ"
REQUIRED = {"username": "robot.1a2b.mp-service-account", "secret": SECRET, "project_id": 42}
REPORT = Report("R", "jql", (("script", "x"),))
JANUARY = Window(date(2026, 1, 1), date(2026, 1, 31))

VALID: list[tuple[str, Any, Any]] = [
    ("username", " robot ", "robot"),
    ("secret", f"{SECRET}\n", SECRET),
    ("project_id", 1, 1),
    ("project_id", " 3000001 ", 3_000_001),
    ("region", " EU ", "eu"),
    ("base_url", "https://eu.mixpanel.com/", "https://eu.mixpanel.com"),
    ("base_url", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("export_base_url", "https://proxy.example/mixpanel/", "https://proxy.example/mixpanel"),
    ("anchor_date", "2024-02-29", date(2024, 2, 29)),
    ("anchor_date", date(2024, 2, 29), date(2024, 2, 29)),
    ("anchor_date", datetime(2024, 2, 29, 23, tzinfo=timezone.utc), date(2024, 2, 29)),
    ("range", "2026-01-01,2026-01-31", JANUARY),
    ("range", " 2026-01-01 , 2026-01-31 ", JANUARY),
    ("range", ["2026-01-01", date(2026, 1, 31)], JANUARY),
    ("range", JANUARY, JANUARY),
    ("range", '["2026-01-01", "2026-01-31"]', JANUARY),
    ("range", "2026-01-01,2026-01-01", Window(date(2026, 1, 1), date(2026, 1, 1))),
    ("lookback_days", 0, 0),
    ("lookback_days", "366", 366),
    ("window_days", 366, 366),
    ("split_days_above", "5000000", 5_000_000),
    ("window_days", " Auto", None),
    ("workers", "auto", None),
    ("workers", 2, 2),
    ("include_today", True, True),
    ("accept_deletions", True, True),
    ("include_today", "TRUE", True),
    ("accept_deletions", "TRUE", True),
    ("include_today", " false ", False),
    ("accept_deletions", " false ", False),
    ("include_today", 1, True),
    ("accept_deletions", 1, True),
    ("include_today", "0", False),
    ("accept_deletions", "0", False),
    ("project_timezone", "US/Pacific", "US/Pacific"),
    ("quota_store", " /mnt/shared ", "/mnt/shared"),
    ("archive", " archive ", "archive"),
    ("metrics_file", " /var/lib/mixpanel.prom ", "/var/lib/mixpanel.prom"),
    ("on_failure_url", "https://hooks.example.com/T0/x?y=1", "https://hooks.example.com/T0/x?y=1"),
    ("on_failure_url", " http://localhost:80/x", "http://localhost:80/x"),
    ("on_failure_url", "http://[::1]/", "http://[::1]/"),
    ("archive", "s3://bucket/archive", "s3://bucket/archive"),
    ("quota_store", "postgresql://a:b@host/db", "postgresql://a:b@host/db"),
    ("events", "Sign up, Purchase", ("Sign up", "Purchase")),
    ("events", ["Sign up, free", " spaced "], ("Sign up, free", " spaced ")),
    ("events", ("A",), ("A",)),
    ("events", '["App Install"]', ("App Install",)),
    (
        "events",
        ' [ "Sign up, free" ,\n"日本", "[Auto] Click" ] ',
        ("Sign up, free", "日本", "[Auto] Click"),
    ),
    ("events", '"Sign up, free"', ("Sign up, free",)),
    ("events", r'["\u65e5\u672c", "a\"b"]', ("日本", 'a"b')),
    ("events", "[]", ()),
    ("events", "5, null, it's, (a)", ("5", "null", "it's", "(a)")),
    ("events", [], ()),
    ("where", ' properties["a"] == 1 ', 'properties["a"] == 1'),
    ("limit", "100000", 100_000),
    ("history", "lexicon, feature_flags, lexicon", ("lexicon", "feature_flags")),
    ("mask", '{"b": "hash", "a": "truncate:3"}', (("a", "truncate:3"), ("b", "hash"))),
    ("mask", {"$email": "drop"}, (("$email", "drop"),)),
    ("encrypt_spool", "true", True),
    ("mask_key", f" {'k' * 16} ", "k" * 16),
    ("properties", "json", "json"),
    ("properties", "both", "both"),
    ("max_columns", 10, 10),
    ("requests_per_second", "0.5", 0.5),
    ("requests_per_second", 3, 3.0),
    ("requests_per_hour", 0, 0),
    ("retries", "0", 0),
    ("retry_base_seconds", 0, 0.0),
    ("engage_page_size", 500, 500),
    ("ingestion_base_url", "http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ("workspace_id", "7", 7),
    ("engage_where", ' properties["plan"] == "pro"', 'properties["plan"] == "pro"'),
    ("engage_output_properties", "$name, plan", ("$name", "plan")),
    ("engage_output_properties", '["$name", "plan, old"]', ("$name", "plan, old")),
    ("engage_behaviors", '[{"name":"b"}]', '[{"name": "b"}]'),
    ("engage_behaviors", [{"name": "b"}], '[{"name": "b"}]'),
    ("engage_cohort", 1000, 1000),
    ("engage_full_days", "7", 7),
    ("cohort_ids", 1000, (1000,)),
    ("cohort_ids", "1000, 1001", (1000, 1001)),
    ("cohort_ids", '[1000, "1001"]', (1000, 1001)),
    ("cohort_ids", "[]", ()),
    ("data_group_ids", "[-1405123841946871899]", (-1405123841946871899,)),
    ("data_group_ids", ["-1405123841946871899", 7], (-1405123841946871899, 7)),
    ("reports", [], ()),
    ("reports", '[{"name": "R", "table": "jql", "params": {"script": "x"}}]', (REPORT,)),
    ("reports", [{"name": "R", "table": "jql", "params": {"script": "x"}}], (REPORT,)),
    ("catch_up_days", 730, 730),
]

INVALID: list[tuple[str, Any, str]] = [
    ("username", 5, "must be text"),
    ("history", "feature_flag", "did you mean feature_flags? the tables that can keep a history"),
    ("history", ["export"], "the tables that can keep a history are cohorts,"),
    ("history", 5, "a list of table names"),
    ("mask", "$email", "the rules are drop, hash"),
    ("mask", '["$email"]', "a table of properties and rules"),
    ("mask_key", "short", "text of 16 characters or more"),
    ("mask_key", 10**20, "text of 16 characters or more"),
    ("secret", 5_550_123, "must be text"),
    ("project_id", "my project", "a whole number of 1 or more"),
    ("project_id", 0, "a whole number of 1 or more"),
    ("project_id", -3, "a whole number of 1 or more"),
    ("project_id", True, "a whole number of 1 or more"),
    ("project_id", 1.5, "a whole number of 1 or more"),
    ("project_id", "1e3", "a whole number of 1 or more"),
    ("region", "uk", "us, eu, in"),
    ("region", 5, "us, eu, in"),
    ("base_url", "mixpanel.com", "http or https"),
    ("base_url", "ftp://mixpanel.com", "http or https"),
    ("base_url", "https://", "http or https"),
    ("base_url", f"https://robot:{SECRET}@mixpanel.com", "no user name"),
    ("base_url", "https://mixpanel.com?a=1", "no query"),
    ("export_base_url", "https://mixpanel.com/api?a=1", "no query"),
    ("export_base_url", "https://mixpanel.com#top", "no query"),
    ("export_base_url", "https://mix panel.com", "http or https"),
    ("anchor_date", "2023-02-29", "YYYY-MM-DD"),
    ("anchor_date", "20230201", "YYYY-MM-DD"),
    ("anchor_date", "01/02/2023", "YYYY-MM-DD"),
    ("anchor_date", "2023-02-01T00:00:00", "YYYY-MM-DD"),
    ("anchor_date", "٢٠٢٣-٠٢-٠١", "YYYY-MM-DD"),
    ("anchor_date", 20230201, "YYYY-MM-DD"),
    ("range", "2026-01-01", "two days first,last"),
    ("range", "2026-01-01,2026-01-02,2026-01-03", "two days first,last"),
    ("range", 2026, "two days first,last"),
    ("range", date(2026, 1, 1), "two days first,last"),
    ("range", [], "two days first,last"),
    ("range", "2026-01-31,2026-01-01", "2026-01-01,2026-01-31"),
    ("range", "2026-01-01,soon", "YYYY-MM-DD"),
    ("lookback_days", -1, "a whole number from 0 to 366"),
    ("lookback_days", 367, "a whole number from 0 to 366"),
    ("split_days_above", 0, "a whole number of 1 or more"),
    ("window_days", 0, "auto or a whole number from 1 to 366"),
    ("window_days", "wide", "auto or a whole number from 1 to 366"),
    ("workers", 0, "auto or a whole number from 1 to 64"),
    ("lookback_days", "auto", "be a whole number from 0 to 366"),
    ("include_today", "yes", "true or false"),
    ("accept_deletions", "yes", "true or false"),
    ("encrypt_spool", "AES", "true or false"),
    ("include_today", 2, "true or false"),
    ("accept_deletions", 2, "true or false"),
    ("project_timezone", "Berlin", "IANA time zone"),
    ("quota_store", "mysql://host/db", "a directory, or the address of a Postgres database"),
    ("archive", "s3://key:secret@bucket/archive", "without user name, password"),
    ("metrics_file", 5, "text, in quotes"),
    ("on_failure_url", "http://example.com/x", "of type str; it must be an https address"),
    ("on_failure_url", "http://localhost.example.com/", "an http address of this machine"),
    ("on_failure_url", "ftp://127.0.0.1", "an https address"),
    ("on_failure_url", "https://", "an https address"),
    ("on_failure_url", 7, "an https address"),
    ("quota_store", "postgresql://", "a directory, or the address of a Postgres database"),
    ("project_timezone", "Europe", "IANA time zone"),
    ("project_timezone", "../UTC", "IANA time zone"),
    ("project_timezone", "UTC\0", "IANA time zone"),
    ("project_timezone", 5, "IANA time zone"),
    ("events", 5, "event names"),
    ("events", [1], "event names"),
    ("events", "a,,b", "none of them blank"),
    ("events", "[App Install]", "begins with [, as JSON does, but is not valid JSON"),
    ("events", "['App Install']", "names in double quotes"),
    ("events", '["App Install"', "is not valid JSON"),
    ("events", "[“App Install”]", "is not valid JSON"),
    ("events", '"a", "b"', 'begins with ", as JSON does'),
    ("events", '{"event": "a"}', "is a JSON object"),
    ("events", '["a", 5]', "must be a list of event names"),
    ("events", '["a", " "]', "none of them blank"),
    ("events", '[["a"]]', "must be a list of event names"),
    ("events", "[" * 5_000, "is not valid JSON"),
    ("engage_output_properties", "[$name]", "is not valid JSON"),
    ("engage_output_properties", "[null]", "a list of property names"),
    ("range", "[2026-01-01,2026-01-31]", "is not valid JSON"),
    ("cohort_ids", "[1000,", "is not valid JSON"),
    ("cohort_ids", "[1000.5]", "must be whole numbers"),
    ("cohort_ids", "[true]", "must be whole numbers"),
    ("data_group_ids", "{}", "is a JSON object"),
    ("events", ",", "none of them blank"),
    ("events", ["a", " "], "none of them blank"),
    ("where", ["a"], "must be text"),
    ("limit", 0, "a whole number from 1 to 100,000"),
    ("limit", 100_001, "a whole number from 1 to 100,000"),
    ("properties", "csv", "columns, json, both"),
    ("properties", ["json"], "columns, json, both"),
    ("max_columns", 9, "a whole number from 10 to 10,000"),
    ("requests_per_second", 0, "a number from 0.001 to 1,000"),
    ("requests_per_second", "nan", "a number from 0.001 to 1,000"),
    ("requests_per_second", "inf", "a number from 0.001 to 1,000"),
    ("requests_per_hour", -1, "a whole number from 0 to 1,000,000"),
    ("requests_per_hour", "60.0", "a whole number from 0 to 1,000,000"),
    ("retries", 101, "a whole number from 0 to 100"),
    ("retry_base_seconds", -0.5, "a number from 0 to 3,600"),
    ("engage_page_size", 0, "a whole number from 1 to 1,000,000"),
    ("ingestion_base_url", "api.mixpanel.com", "http or https"),
    ("workspace_id", 0, "a whole number of 1 or more"),
    ("engage_where", 5, "must be text"),
    ("engage_output_properties", ["$name", 5], "a list of property names"),
    ("engage_behaviors", "window=30d", "must be JSON"),
    ("engage_behaviors", {1}, "must be JSON"),
    ("engage_cohort", "Payers", "a whole number of 1 or more"),
    ("engage_full_days", -1, "a whole number from 0 to 366"),
    ("cohort_ids", "Payers", "must be whole numbers"),
    ("cohort_ids", {"id": 5}, "must be whole numbers"),
    ("data_group_ids", "7,,8", "must be whole numbers"),
    ("reports", "Signups", "must be a list of tables"),
    ("reports", {"name": "R"}, "must be a list of tables"),
    ("reports", [{"table": "jql"}], "number 1: name is missing"),
    ("reports", [{"name": "R", "table": "jqls"}], "R: table is 'jqls': did you mean jql?"),
    ("reports", [{"name": "R", "table": "jql", "params": {"scripts": ""}}], "mean script?"),
    ("reports", [{"name": "R", "table": "frequency"}], "must have unit, addiction_unit"),
    ("catch_up_days", 0, "a whole number from 1 to 3,660"),
]


def build(**given: Any) -> Config:
    """A config with the required settings and those in `given`."""
    return build_config({**REQUIRED, **given})


@pytest.mark.parametrize(("name", "value", "parsed"), VALID, ids=repr)
def test_valid(name: str, value: Any, parsed: Any) -> None:
    """Text, as from the environment, and proper types, as from a call, give the same result."""
    found = getattr(build(**{name: value}), name)
    assert found == parsed
    assert type(found) is type(parsed)


@pytest.mark.parametrize(("name", "value", "words"), INVALID, ids=repr)
def test_invalid(name: str, value: Any, words: str) -> None:
    """The message names the setting and the valid values, and hides the secret."""
    with pytest.raises(ConfigError) as raised:
        build(**{name: value})
    message = str(raised.value)
    assert message.startswith(f"{name} ")
    assert words in message
    assert SECRET not in message
    if name == "secret":
        assert str(value) not in message


MESSAGES: list[tuple[str, Any, str]] = [
    ("lookback_days", 367, "lookback_days is 367; it must be a whole number from 0 to 366."),
    ("workers", "many", "workers is 'many'; it must be auto or a whole number from 1 to 64."),
    (
        "range",
        "2026-02-01,2026-01-01",
        "range is reversed: 2026-02-01 is after 2026-01-01. Give the earlier day first: "
        "2026-01-01,2026-02-01.",
    ),
    ("where", ["a@b.example"], "where is of type list of str; it must be text, in quotes."),
    (
        "engage_behaviors",
        '{"mail": "a@b.example"',
        "engage_behaviors is of type str; it must be JSON text, or lists and tables.",
    ),
    (
        "base_url",
        f"https://robot:{SECRET}@mixpanel.com?token={SECRET}",
        "base_url is 'https://...mixpanel.com?...'; it must be an http or https address such as "
        "https://mixpanel.com, with no user name, no query and no fragment.",
    ),
    (
        "base_url",
        f"mixpanel.com?token={SECRET}",
        "base_url is 'mixpanel.com?...'; it must be an http or https address such as "
        "https://mixpanel.com, with no user name, no query and no fragment.",
    ),
    (
        "events",
        "a,,b",
        "events is 'a,,b'; it must be a list of event names, JSON, or text with commas between "
        "them; none of them blank.",
    ),
    (
        "events",
        "[App Install]",
        "events is '[App Install]', which begins with [, as JSON does, but is not valid JSON; "
        'write the list as JSON, with names in double quotes, such as ["a", "b, c"].',
    ),
]


@pytest.mark.parametrize(("name", "value", "message"), MESSAGES, ids=repr)
def test_message(name: str, value: Any, message: str) -> None:
    """It holds the value that was given, except where that may be a secret or a property value."""
    with pytest.raises(ConfigError) as raised:
        build(**{name: value})
    assert str(raised.value) == message


def test_each_setting_is_in_the_tables() -> None:
    """No setting goes untested."""
    assert {name for name, *_ in VALID} == set(SETTING_NAMES)
    assert {name for name, *_ in INVALID} == set(SETTING_NAMES)


def hosts_of(config: Config) -> constants.Hosts:
    """The hosts that a configuration leads to."""
    return constants.Hosts(config.base_url, config.export_base_url, config.ingestion_base_url)


@pytest.mark.parametrize("nothing", [None, "", " ", "\n"])
@pytest.mark.parametrize("name", sorted(set(SETTING_NAMES) - set(REQUIRED)))
def test_default(name: str, nothing: str | None) -> None:
    """None and blank text mean the default."""
    assert build(**{name: nothing}) == build()


def test_defaults() -> None:
    """What a run does if only the account and the project are set."""
    config = build()
    assert hosts_of(config) == constants.REGIONS["us"]
    assert config.window_days == 1
    assert config.lookback_days == 5
    assert (config.requests_per_second, config.requests_per_hour) == (1, 60)
    assert config.properties == "columns"
    assert not config.include_today
    assert not config.local_time
    assert config.filters == {}


@pytest.mark.parametrize("given", [None, "", " \t", "absent"])
@pytest.mark.parametrize("name", REQUIRED)
def test_missing(name: str, given: str | None) -> None:
    """The message for a missing setting names the three places to set it."""
    values: dict[str, Any] = {**REQUIRED, name: given}
    if given == "absent":
        del values[name]
    with pytest.raises(ConfigError, match=f"^{name} is not set") as raised:
        build_config(values)
    for place in ("secrets.toml", f"SOURCES__MIXPANEL__{name.upper()}", "argument"):
        assert place in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("region", ["us", "eu", "in", " EU ", "In"])
def test_region(region: str) -> None:
    """A region decides all hosts."""
    config = build(region=region)
    assert hosts_of(config) == constants.REGIONS[region.strip().lower()]


def test_address_goes_before_region() -> None:
    """A host can be replaced; the others still follow from the region."""
    config = build(region="eu", base_url="http://localhost:1")
    assert config.base_url == "http://localhost:1"
    assert config.export_base_url == constants.REGIONS["eu"].export


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("projectid", "project_id"),
        ("user_name", "username"),
        ("api_secret", "secret"),
        ("Region", "region"),
        ("start_date", "anchor_date"),
        ("lookback_day", "lookback_days"),
        ("time_zone", "project_timezone"),
        ("export_url", "export_base_url"),
        ("request_per_hour", "requests_per_hour"),
        ("event", "events"),
        ("page_size", "engage_page_size"),
    ],
)
def test_misspelt_name(misspelt: str, meant: str) -> None:
    """An unknown setting is refused, with the nearest valid one."""
    with pytest.raises(ConfigError, match=f"no setting {misspelt}: did you mean {meant}") as raised:
        build(**{misspelt: SECRET})
    assert SECRET not in str(raised.value)


def test_name_like_no_other() -> None:
    """If no setting is similar, all are listed."""
    with pytest.raises(ConfigError) as raised:
        check_names({"qqq": 1})
    assert all(name in str(raised.value) for name in SETTING_NAMES)


def test_config_is_printed_without_the_secret() -> None:
    """Neither the secret nor a filter, which holds property values, is in its text."""
    config = build(where='properties["mail"] == "a@b.example"')
    assert SECRET not in f"{config} {config!r}"
    assert "a@b.example" not in f"{config!r}"


def test_anchor() -> None:
    """The first sync starts at the anchor date, or a year ago."""
    assert build().anchor(date(2026, 11, 21)) == date(2025, 11, 21)
    assert build(anchor_date="2024-05-01").anchor(date(2026, 11, 21)) == date(2024, 5, 1)


def test_filters() -> None:
    """Only the filters that are set, as JSON can hold them."""
    config = build(events="A,B", where="true", limit=5)
    assert config.filters == {"events": ["A", "B"], "where": "true", "limit": 5}


def test_local_time() -> None:
    """Only projects in another zone have local event times."""
    assert build(project_timezone="Europe/Berlin").local_time


@given(day=st.dates())
def test_any_day(day: date) -> None:
    """Every date can be given as YYYY-MM-DD."""
    assert parse_day("anchor_date", str(day)) == day


@given(first=st.dates(), last=st.dates())
def test_any_range(first: date, last: date) -> None:
    """Two days in order are a range; the message for reversed ones gives the right order."""
    if first <= last:
        assert parse_range("range", f"{first},{last}") == Window(first, last)
        return
    with pytest.raises(ConfigError, match=f"{last},{first}"):
        parse_range("range", f"{first},{last}")


odd_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from(SETTING_NAMES), value=odd_values)
def test_nothing_but_config_errors(name: str, value: Any) -> None:
    """Whatever a file or a call holds, it is accepted or refused with a ConfigError."""
    with suppress(ConfigError):
        build(**{name: value})


names = st.text(min_size=1).filter(str.strip)


@given(items=st.lists(names, min_size=1))
@pytest.mark.parametrize("setting", ["events", "engage_output_properties"])
def test_forms_of_a_list_of_names(setting: str, items: list[str]) -> None:
    """A list, a tuple and JSON give the same, whatever a name contains."""
    forms = (items, tuple(items), json.dumps(items), json.dumps(items, ensure_ascii=False))
    assert {getattr(build(**{setting: form}), setting) for form in forms} == {tuple(items)}


@given(items=st.lists(names.filter(lambda name: "," not in name), min_size=1))
def test_names_with_commas_between_them(items: list[str]) -> None:
    """Text with commas gives the same as a list, for names that do not begin like JSON."""
    text = ", ".join(items)
    assume(not text.strip().startswith(("[", "{", '"')))
    assert build(events=text).events == tuple(name.strip() for name in items)


@given(items=st.lists(st.integers(), min_size=1))
@pytest.mark.parametrize("setting", ["cohort_ids", "data_group_ids"])
def test_forms_of_a_list_of_ids(setting: str, items: list[int]) -> None:
    """A list of numbers or text, JSON and text with commas give the same."""
    texts = [*map(str, items)]
    forms = (items, texts, json.dumps(items), json.dumps(texts), ",".join(texts))
    assert {getattr(build(**{setting: form}), setting) for form in forms} == {tuple(items)}


@pytest.mark.parametrize(
    "tables", [["export", "engage"], ("export", "engage"), "export, engage", '["export","engage"]']
)
def test_tables(tables: Any) -> None:
    """Names of tables may be given as text too."""
    assert select_tables(tables, build()) == ("export", "engage")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "tables is empty"),
        ("exprot", "did you mean export?"),
        (["export", 5], "must be a list of table names"),
        ("[export]", "is not valid JSON"),
    ],
)
def test_wrong_tables(tables: Any, words: str) -> None:
    """What is no list of tables is refused."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        select_tables(tables, build())
