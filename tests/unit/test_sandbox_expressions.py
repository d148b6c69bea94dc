"""Segmentation expressions of the sandbox."""

from __future__ import annotations

import pytest

from mixpanel_sandbox.endpoints.expression_values import ExpressionError
from mixpanel_sandbox.endpoints.expressions import compile_condition

ROW = {
    "plan": "pro",
    "plan name": 'say "hi"',
    "city": "München",
    "count": 3,
    "price": 9.5,
    "paid": True,
    "coupon": None,
    "tags": ["a", "b"],
    "time": 1_793_000_000,
    "$last_seen": "2026-11-03T10:00:00",
}


@pytest.mark.parametrize(
    "expression",
    [
        'properties["plan"] == "pro"',
        "properties['plan'] == 'pro'",
        'user["plan"] != "free"',
        r'properties["plan name"] == "say \"hi\""',
        'properties["city"] == "München"',
        'properties["count"] == 3.0',
        'properties["count"] > -1 and properties["count"] <= 3',
        'properties["price"] >= 9.5 and properties["price"] < 1e1',
        'properties["paid"]',
        'properties["paid"] == true',
        'properties["coupon"] == null',
        'properties["missing"] == undefined',
        'properties["missing"] != "x"',
        'not properties["missing"]',
        'not properties["plan"] == "free"',
        'defined(properties["plan"]) and not defined(properties["missing"])',
        '"ro" in properties["plan"]',
        'properties["plan"] in ["free", "pro"]',
        '"b" in properties["tags"]',
        'properties["plan"] == "free" or properties["count"] == 3',
        '(properties["plan"] == "free" or properties["count"] == 3) and properties["paid"]',
        'properties["$time"] >= datetime(1793000000)',
        'event["$time"] < datetime("2026-12-01T00:00:00")',
        'properties["$last_seen"] >= datetime("2026-11-03T10:00:00")',
        'properties["$last_seen"] >= "2026-11-01T00:00:00"',
        'properties["count"] + 2 * properties["price"] == 22',
        '-properties["count"] - 1 == -4',
        'properties["count"] % 2 == 1 and properties["price"] / 2 == 4.75',
        'properties["plan"] + "!" == "pro!"',
        '-properties["plan"] == undefined and 1 / 0 == undefined and 1e308 * 10 > 1',
        'number("12.5") == 12.5 and number(true) == 1 and number("abc") == undefined',
        'number(properties["coupon"]) == undefined and number(properties["tags"]) == undefined',
        'string(properties["count"]) == "3" and string(properties["paid"]) == "true"',
        'string(properties["missing"]) == undefined',
        'boolean(properties["count"]) and not boolean(properties["missing"])',
        'floor(properties["price"]) == 9 and ceil(9.1) == 10 and round(2.6) == 3',
        'floor(properties["plan"]) == undefined',
    ],
)
def test_matches(expression: str) -> None:
    """Each expression is true for the row."""
    assert compile_condition(expression)(ROW)


@pytest.mark.parametrize(
    "expression",
    [
        'properties["plan"] == "Pro"',
        'properties["count"] == "3"',
        'properties["paid"] == 1',
        'properties["plan"] > 1',
        'properties["missing"] < 1',
        'properties["missing"]',
        'not properties["paid"]',
        'properties["count"] in properties["plan"]',
        'properties["plan"] in []',
        'properties["city"] > datetime(1)',
        'properties["plan"] == "free" and properties["count"] == 3 or false',
    ],
)
def test_does_not_match(expression: str) -> None:
    """Each expression is false or undefined for the row, without an error."""
    assert not compile_condition(expression)(ROW)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "too early"),
        ('properties["a"] ==', "too early"),
        ('properties["a" == 1', "expected ]"),
        ("properties[1] == 1", "in quotes"),
        ('(properties["a"] == 1', "expected )"),
        ('properties["a"] == 1 1', "expected the end"),
        ('properties["a"] = 1', "cannot read"),
        ('properties["a] == 1', "cannot read"),
        ("plan == 1", "unexpected plan"),
        ("number(1", "expected )"),
        ("1 +", "too early"),
        ('datetime("soon") < 1', "not a date"),
        ('datetime(properties["a"]) < 1', "takes a string or a number"),
    ],
)
def test_syntax_errors(expression: str, reason: str) -> None:
    """The error gives the reason."""
    with pytest.raises(ExpressionError, match=reason.replace(")", r"\)").replace("]", r"\]")):
        compile_condition(expression)


def test_condition_must_be_a_boolean() -> None:
    """A condition that is neither a boolean nor undefined is an error at run time."""
    matches = compile_condition('properties["plan"] and true')
    with pytest.raises(ExpressionError, match="found a str"):
        matches(ROW)
