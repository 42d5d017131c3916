"""Gathering: requests that arrive together are decided together, in one transaction.

The first request of a quiet moment waits `wait_s` for company. While a batch runs, the next one gathers
by itself, so that the busier it is, the larger the batches are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from api.errors import FlorinError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")


class ShuttingDown(FlorinError):
    """The process is stopping and takes no more work."""

    def __init__(self) -> None:
        super().__init__("ShuttingDown", 503, "This process is stopping: send the same request again.")


class Gatherer(Generic[Item, Result]):
    """Calls `run_batch` with up to `max_items` gathered items at a time, in the order of their submission.

    `run_batch` answers with one result or exception for each item, in order; it must be one transaction.
    When it raises instead, nothing happened: if the failure passes by itself (a status of 503), all its
    items get it; else the batch is halved until the one item that cannot be done stands alone, and the
    others are done.
    """

    def __init__(
        self,
        run_batch: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        max_items: int = 500,
        wait_s: float = 0.002,
    ) -> None:
        self._run_batch = run_batch
        self._max_items = max_items
        self._wait_s = wait_s
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._is_full = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def submit(self, item: Item) -> Result:
        """The result of `item`, or its exception. Raises `ShuttingDown` after `close`.

        A caller that is cancelled before its batch starts takes its item back; later the item is done
        regardless.
        """
        if self._is_closed:
            raise ShuttingDown
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._max_items:
            self._is_full.set()
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return await future

    async def close(self) -> None:
        """Take no more items, and finish those that wait."""
        self._is_closed = True
        self._is_full.set()
        if self._running is not None:
            await self._running

    async def _drain(self) -> None:
        """Run batches until nobody waits."""
        taken: list[tuple[Item, asyncio.Future[Result]]] = []
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    await self._is_full.wait()
            while self._waiting:
                count = min(len(self._waiting), self._max_items)
                taken = [self._waiting.popleft() for _ in range(count)]
                if len(self._waiting) < self._max_items and not self._is_closed:
                    self._is_full.clear()
                await self._run([pair for pair in taken if not pair[1].done()])
        except asyncio.CancelledError:
            for _, future in (*taken, *self._waiting):
                future.cancel()
            raise
        finally:
            self._running = None

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._run_batch([item for item, _ in batch])
        except Exception as failure:
            if len(batch) > 1 and not (isinstance(failure, FlorinError) and failure.status == 503):
                middle = len(batch) // 2
                await self._run(batch[:middle])
                await self._run(batch[middle:])
                return
            results = [failure] * len(batch)
        if len(results) != len(batch):
            # the batch is done: running it again would be worse than telling nobody how it ended
            results = [RuntimeError(f"{len(results)} results for {len(batch)} items")] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            _settle(future, result)


def _settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
