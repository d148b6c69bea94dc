"""Segmentation expressions: the useful part of the language of `where` and `on`.

Compiles `properties["plan"] == "pro" and not defined(properties["churned"])` to a function of the
properties.

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
    Value,
    WhereError,
    parse_moment,
    truth,
)

Scope = Mapping[str, Any]
Node = Callable[[Scope], Value]

_WORD = re.compile(
    r"""\s*(?:
    [0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?  # number
    | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'  # string
    | [A-Za-z_]\w*                           # name
    | == | != | <= | >= | [-+*/%<>()\[\],]  # sign
    )""",
    re.VERBOSE,
)
_LITERALS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
_CALLS = {"defined", "datetime", *FUNCTIONS}
_SCOPES = {"properties", "user", "event"}


def compile_where(text: str) -> Callable[[Scope], bool]:
    """Return a function that says whether an event or a profile matches.

    Args:
        text: The expression. There is no list selector.

    Returns:
        A function of the properties; `$time` is `time` where there is no `$time`. It raises
        `WhereError` where `and`, `or` or `not` meets a value that is not a boolean.

    Raises:
        WhereError: The expression cannot be read.
    """
    node = compile_expression(text)
    return lambda scope: truth(node(scope))


def compile_expression(text: str) -> Node:
    """Return a function that gives what an expression is for an event or a profile.

    Args:
        text: The expression, as `compile_where` takes it.

    Raises:
        WhereError: The expression cannot be read.
    """
    parser = _Parser(text)
    node = parser.parse_or()
    parser.expect("")
    return node


class _Parser:
    """Recursive descent; each method returns a function of the properties."""

    def __init__(self, text: str) -> None:
        self._words = _split(text)
        self._at = 0

    def expect(self, word: str) -> None:
        if self._peek() != word:
            wanted = word or "the end"
            raise WhereError(f"expected {wanted} but found {self._peek() or 'the end'}")
        self._at += 1

    def parse_or(self) -> Node:
        nodes = [self._parse_and()]
        while self._take("or"):
            nodes.append(self._parse_and())
        return nodes[0] if len(nodes) == 1 else lambda row: any(truth(node(row)) for node in nodes)

    def _parse_and(self) -> Node:
        nodes = [self._parse_not()]
        while self._take("and"):
            nodes.append(self._parse_not())
        return nodes[0] if len(nodes) == 1 else lambda row: all(truth(node(row)) for node in nodes)

    def _parse_not(self) -> Node:
        if self._take("not"):
            node = self._parse_not()
            return lambda row: not truth(node(row))
        return self._parse_comparison()

    def _parse_comparison(self) -> Node:
        left = self._parse_sum()
        word = self._peek()
        compare = COMPARISONS.get(word)
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
        word = self._next()
        if word == "(":
            node = self.parse_or()
            self.expect(")")
            return node
        if word == "[":
            return self._parse_list()
        if word == "-":
            return _operation("-", _constant(0), self._parse_value())
        if word in _SCOPES:
            return self._parse_property()
        if word in _CALLS:
            return self._parse_call(word)
        return _constant(_parse_literal(word))

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
            raise WhereError("expected the name of a property in quotes")
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
        return _constant(parse_moment(node({})))

    def _peek(self) -> str:
        return self._words[self._at]

    def _next(self) -> str:
        word = self._peek()
        if not word:
            raise WhereError("the expression ends too early")
        self._at += 1
        return word

    def _take(self, word: str) -> bool:
        found = self._peek() == word
        self._at += found
        return found


def _split(text: str) -> list[str]:
    words = []
    at = 0
    while text[at:].strip():
        match = _WORD.match(text, at)
        if match is None:
            raise WhereError(f"cannot read the expression from {text[at:].strip()[:20]}")
        words.append(match[0].strip())
        at = match.end()
    return [*words, ""]


def _parse_literal(word: str) -> Value:
    if word in _LITERALS:
        return _LITERALS[word]
    if word[0] == "'":
        word = json.dumps(word[1:-1].replace("\\'", "'"))
    try:
        return json.loads(word)
    except ValueError:
        raise WhereError(f"unexpected {word}") from None


def _constant(value: Value) -> Node:
    return lambda _row: value


def _operation(sign: str, left: Node, right: Node) -> Node:
    operate = OPERATIONS[sign]
    return lambda row: operate(left(row), right(row))
