"""Requests that arrive together are decided together, and one does not spoil the others.

A gatherer
├── calls once for what arrives together, in the order of arrival, and gives each its own result
├── does not wait when a batch is full, and never makes one larger
├── gathers the next batch while one runs
├── gives an item the exception that is its result, and the others theirs
├── when the batch itself raises, finds the one that cannot be done, and does the others
├── when the failure passes by itself (503), gives it to all and does nothing twice
├── forgets an item whose caller left before its batch began
├── that gets a wrong number of results, tells all and does nothing twice
├── leaves nobody waiting for ever when its loop goes down
└── finishes what waits when it is closed, and takes no more
"""

from __future__ import annotations

import asyncio

import pytest

from api.errors import FlorinError
from api.ledger.gathering import Gatherer, ShuttingDown


class Squares:
    """Squares each number; remembers its batches; -1 is refused, 13 breaks the batch it is in."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.done: list[int] = []
        self.has_begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.outage: FlorinError | None = None

    async def __call__(self, numbers: list[int]) -> list[int | Exception]:
        self.batches.append(numbers)
        self.has_begun.set()
        await self.gate.wait()
        if self.outage is not None:
            raise self.outage
        if 13 in numbers:
            raise RuntimeError("13 cannot be done")
        self.done += numbers
        return [FlorinError("Refused", 422, "No.") if number < 0 else number**2 for number in numbers]


async def test_what_arrives_together_is_one_batch_in_order() -> None:
    squares = Squares()
    async with Gatherer(squares) as gatherer:
        results = await asyncio.gather(*(gatherer.submit(number) for number in (3, 1, 2)))
    assert results == [9, 1, 4]
    assert squares.batches == [[3, 1, 2]]


async def test_a_full_batch_does_not_wait_and_none_is_larger() -> None:
    squares = Squares()
    async with asyncio.timeout(10), Gatherer(squares, max_items=4, wait_s=3600) as gatherer:
        results = await asyncio.gather(*(gatherer.submit(number) for number in range(10)))
    assert results == [number**2 for number in range(10)]
    assert squares.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_the_next_batch_gathers_while_one_runs() -> None:
    squares = Squares()
    squares.gate.clear()
    async with Gatherer(squares, wait_s=0) as gatherer:
        first = asyncio.create_task(gatherer.submit(1))
        await squares.has_begun.wait()
        others = [asyncio.create_task(gatherer.submit(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        squares.gate.set()
        assert await asyncio.gather(first, *others) == [1, 4, 9]
    assert squares.batches == [[1], [2, 3]]


async def test_a_refused_item_does_not_fail_the_others() -> None:
    async with Gatherer(Squares()) as gatherer:
        results = await asyncio.gather(
            *(gatherer.submit(number) for number in (2, -1, 3)), return_exceptions=True
        )
    assert (results[0], results[2]) == (4, 9)
    assert isinstance(results[1], FlorinError)


async def test_the_item_that_breaks_its_batch_is_found_and_the_others_are_done_once() -> None:
    squares = Squares()
    numbers = [*range(100, 150), 13, *range(200, 250)]
    async with Gatherer(squares) as gatherer:
        results = await asyncio.gather(*(gatherer.submit(n) for n in numbers), return_exceptions=True)
    assert [str(result) for result in results if isinstance(result, Exception)] == ["13 cannot be done"]
    assert squares.done == [number for number in numbers if number != 13]
    assert len(squares.batches) <= 16


async def test_a_passing_failure_is_given_to_all_and_nothing_is_tried_twice() -> None:
    squares = Squares()
    squares.outage = FlorinError("DatabaseUnavailable", 503, "Later.")
    async with Gatherer(squares) as gatherer:
        results = await asyncio.gather(*(gatherer.submit(n) for n in range(5)), return_exceptions=True)
        assert results == [squares.outage] * 5
        assert len(squares.batches) == 1
        squares.outage = None
        assert await gatherer.submit(5) == 25


async def test_a_wrong_number_of_results_is_an_error_for_all_and_nothing_is_done_twice() -> None:
    batches: list[list[int]] = []

    async def forgetful(numbers: list[int]) -> list[int]:
        batches.append(numbers)
        return numbers[:-1]

    async with Gatherer(forgetful) as gatherer:
        results = await asyncio.gather(*(gatherer.submit(n) for n in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["2 results for 3 items"] * 3
    assert batches == [[0, 1, 2]]


async def test_an_item_whose_caller_left_is_forgotten() -> None:
    squares = Squares()
    async with Gatherer(squares) as gatherer:
        leaving = asyncio.create_task(gatherer.submit(1))
        staying = asyncio.create_task(gatherer.submit(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 4
    assert squares.done == [2]


async def test_closing_finishes_what_waits_and_takes_no_more() -> None:
    squares = Squares()
    gatherer = Gatherer(squares, wait_s=3600)
    waiting = [asyncio.create_task(gatherer.submit(number)) for number in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await gatherer.close()
    assert await asyncio.gather(*waiting) == [0, 1, 4]
    with pytest.raises(ShuttingDown):
        await gatherer.submit(4)


def test_nobody_waits_for_ever_when_the_loop_goes_down() -> None:
    outcomes: list[str] = []

    async def submit(gatherer: Gatherer[int, int], number: int) -> None:
        try:
            await gatherer.submit(number)
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    async def go_down() -> None:
        squares = Squares()
        squares.gate.clear()
        gatherer = Gatherer[int, int](squares, max_items=2)
        callers = [asyncio.create_task(submit(gatherer, number)) for number in range(3)]
        await squares.has_begun.wait()
        assert gatherer._running is not None
        gatherer._running.cancel()
        await asyncio.wait(callers, timeout=10)

    asyncio.run(go_down())
    assert outcomes == ["cancelled"] * 3
