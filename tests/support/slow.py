"""Which cases of a test `make test` runs, and which are for `make test-all` alone."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def slow_except(quick: Container[Any], cases: Iterable[Any]) -> list[Any]:
    """Mark cases as slow, except for the quick ones.

    Args:
        quick: cases without the mark.
        cases: values for `parametrize`; a tuple has a value for each parameter.
    """
    return [
        case
        if case in quick
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]
