"""The errors, and the tree that is drawn of them."""

from __future__ import annotations

import re

import pytest

from mixpanel_source import errors


def classes() -> dict[str, type]:
    """The classes the module defines, by name."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }


def drawn_parents() -> dict[str, str]:
    """Each class of the drawing with the class it hangs on."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^ {4}([ │├└─]*)(\w+Error)\b", errors.__doc__ or "", re.M):
        path[len(indent) // 4 :] = [name]
        parents[name] = path[-2] if len(path) > 1 else "Exception"
    return parents


def test_drawn_tree_is_the_real_one() -> None:
    """Every class hangs in the drawing where it does in the code, and nothing else is drawn."""
    assert drawn_parents() == {name: kind.__mro__[1].__name__ for name, kind in classes().items()}


def test_all_lists_every_class() -> None:
    """`__all__` holds all of them, in order."""
    assert errors.__all__ == sorted(classes())


@pytest.mark.parametrize("name", errors.__all__)
def test_root_catches(name: str) -> None:
    """Whoever catches the root catches each of them, with its message."""
    error: type[Exception] = getattr(errors, name)
    with pytest.raises(errors.MixpanelError, match="what to do"):
        raise error("what to do")


def test_rate_limited_keeps_the_wait() -> None:
    """The seconds Mixpanel asks for travel with the error; other errors have none."""
    assert errors.RateLimitedError("later", retry_after_s=7.5).retry_after_s == 7.5
    assert errors.ServerError("later").retry_after_s is None
