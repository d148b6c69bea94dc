"""Compiles segmentation expressions, the language of `where` and `on` (list selectors excepted).

`properties["plan"] == "pro" and not defined(properties["churned"])` becomes a Python function of
the properties.

Source: https://developer.mixpanel.com/reference/segmentation-expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .expression_values import (
    COMPARISONS,
    FUNCTIONS,
    OPERATIONS,
    UNDEFINED,
    ExpressionError,
    Value,
    as_condition,
    parse_timestamp,
)

Scope = Mapping[str, Any]
Node = Callable[[Scope], Value]

_TOKEN = re.compile(
    r"""\s*(?:
    [0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?  # number
    | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'  # string
    | [A-Za-z_]\w*                           # name
    | == | != | <= | >= | [-+*/%<>()\[\],]   # operator or bracket
    )""",
    re.VERBOSE,
)
_LITERALS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
_CALLS = {"defined", "datetime", *FUNCTIONS}
_SCOPES = {"properties", "user", "event"}


def compile_condition(text: str) -> Callable[[Scope], bool]:
    """Compile a filter.

    Args:
        text: The expression.

    Returns:
        A predicate on properties, in which `$time` falls back to `time`. It raises
        `ExpressionError` if an operand of `and`, `or` or `not`, or the result, is not a boolean.

    Raises:
        ExpressionError: Syntax error.
    """
    node = compile_expression(text)
    return lambda scope: as_condition(node(scope))


def compile_expression(text: str) -> Node:
    """Compile an expression to a function of the properties.

    Args:
        text: The expression.

    Raises:
        ExpressionError: Syntax error.
    """
    parser = _Parser(text)
    node = parser.parse_or()
    parser.expect("")
    return node


class _Parser:
    """Recursive descent parser; its methods return functions of the properties."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokenize(text)
        self._at = 0

    def expect(self, token: str) -> None:
        if self._peek() != token:
            found = self._peek() or "the end"
            raise ExpressionError(f"expected {token or 'the end'} but found {found}")
        self._at += 1

    def parse_or(self) -> Node:
        nodes = [self._parse_and()]
        while self._take("or"):
            nodes.append(self._parse_and())
        if len(nodes) == 1:
            return nodes[0]
        return lambda row: any(as_condition(node(row)) for node in nodes)

    def _parse_and(self) -> Node:
        nodes = [self._parse_not()]
        while self._take("and"):
            nodes.append(self._parse_not())
        if len(nodes) == 1:
            return nodes[0]
        return lambda row: all(as_condition(node(row)) for node in nodes)

    def _parse_not(self) -> Node:
        if self._take("not"):
            node = self._parse_not()
            return lambda row: not as_condition(node(row))
        return self._parse_comparison()

    def _parse_comparison(self) -> Node:
        left = self._parse_sum()
        compare = COMPARISONS.get(self._peek())
        if compare is None:
            return left
        self._at += 1
        right = self._parse_sum()
        return lambda row: compare(left(row), right(row))

    def _parse_sum(self) -> Node:
        node = self._parse_product()
        while self._peek() in {"+", "-"}:
            node = _operation(self._next(), node, self._parse_product())
        return node

    def _parse_product(self) -> Node:
        node = self._parse_value()
        while self._peek() in {"*", "/", "%"}:
            node = _operation(self._next(), node, self._parse_value())
        return node

    def _parse_value(self) -> Node:
        first = self._next()
        if first == "(":
            node = self.parse_or()
            self.expect(")")
            return node
        if first == "[":
            return self._parse_list()
        if first == "-":
            return _operation("-", _constant(0), self._parse_value())
        if first in _SCOPES:
            return self._parse_property()
        if first in _CALLS:
            return self._parse_call(first)
        return _constant(_parse_literal(first))

    def _parse_list(self) -> Node:
        nodes: list[Node] = []
        while not self._take("]"):
            if nodes:
                self.expect(",")
            nodes.append(self._parse_sum())
        return lambda row: [node(row) for node in nodes]

    def _parse_property(self) -> Node:
        self.expect("[")
        name = _parse_literal(self._next())
        if not isinstance(name, str):
            raise ExpressionError("expected the name of a property in quotes")
        self.expect("]")
        if name == "$time":
            return lambda row: row.get(name, row.get("time", UNDEFINED))
        return lambda row: row.get(name, UNDEFINED)

    def _parse_call(self, name: str) -> Node:
        self.expect("(")
        node = self.parse_or()
        self.expect(")")
        if name == "defined":
            return lambda row: node(row) is not UNDEFINED
        if name in FUNCTIONS:
            function = FUNCTIONS[name]
            return lambda row: function(node(row))
        return _constant(parse_timestamp(node({})))

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise ExpressionError("the expression ends too early")
        self._at += 1
        return token

    def _take(self, token: str) -> bool:
        matches = self._peek() == token
        self._at += matches
        return matches


def _tokenize(text: str) -> list[str]:
    """Split an expression into tokens; an empty string marks the end."""
    tokens = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"cannot read the expression from {text[at:].strip()[:20]}")
        tokens.append(match[0].strip())
        at = match.end()
    return [*tokens, ""]


def _parse_literal(token: str) -> Value:
    if token in _LITERALS:
        return _LITERALS[token]
    if token[0] == "'":
        token = json.dumps(token[1:-1].replace("\\'", "'"))
    try:
        return json.loads(token)
    except ValueError:
        raise ExpressionError(f"unexpected {token}") from None


def _constant(value: Value) -> Node:
    return lambda _row: value


def _operation(sign: str, left: Node, right: Node) -> Node:
    operate = OPERATIONS[sign]
    return lambda row: operate(left(row), right(row))
