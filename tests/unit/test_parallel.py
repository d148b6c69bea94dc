"""Work on other threads: results in order, errors where the result is taken, cancellation."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, current_thread

import pytest

from mixpanel_source.decode.parallel import CancelledError, Check, Prefetch, Task, map_ahead

TIMEOUT_S = 10.0


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers: int) -> None:
    """Though the first item takes longest, its result comes first."""
    second_done = Event()

    def do(item: int) -> int:
        if item == 0 and workers > 1:
            second_done.wait(TIMEOUT_S)
        if item == 1:
            second_done.set()
        return item * 10

    assert [*map_ahead(do, range(20), workers=workers)] == [item * 10 for item in range(20)]


@pytest.mark.parametrize(("workers", "taken_first"), [(1, 1), (2, 3)])
def test_few_results_are_computed_ahead(workers: int, taken_first: int) -> None:
    """Items are taken as their results are, so that memory is bounded."""
    taken: list[int] = []

    def iter_items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = map_ahead(str, iter_items(), workers=workers)
    assert next(results) == "0"
    assert len(taken) == taken_first


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_where_its_result_is_taken(workers: int) -> None:
    """The results before it are not lost."""
    results = map_ahead(lambda item: 6 // item, [3, 2, 0, 1], workers=workers)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_task_runs_on_a_daemon_thread() -> None:
    """It does not keep an interrupted process alive."""
    task = Task(lambda: (current_thread().name, current_thread().daemon), name="work")
    assert task.result() == ("work", True)


def test_a_prefetched_result() -> None:
    """It is computed once, with the work as argument."""
    prefetch = Prefetch(7, lambda work, _check: work + 1)
    assert prefetch.work == 7
    assert prefetch.result() == prefetch.result() == 8


def test_a_cancelled_prefetch_has_ended() -> None:
    """After `cancel` the work runs no more, and its error says why."""
    started, ended = Event(), Event()

    def do(_work: None, check: Check) -> None:
        started.set()
        try:
            while True:
                check()
        finally:
            ended.set()

    prefetch = Prefetch(None, do)
    assert started.wait(TIMEOUT_S)
    prefetch.cancel()
    assert ended.is_set()
    with pytest.raises(CancelledError):
        prefetch.result()
