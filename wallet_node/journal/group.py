"""One fsync for all requests that are under way at once.

A request appends its page and waits; the commit comes when the event loop has run everything that was ready,
so whatever else had arrived by then is in the same commit. While it waits for the disk nothing runs, and what
arrives meanwhile shares the next one: the busier the node, the fewer fsyncs a request costs. A request alone
waits for nobody.
"""

import asyncio

from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page


class JournalGroup:
    """`Journal.write` for coroutines of one event loop, in the thread that uses the store."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._turn: asyncio.Future[None] | None = None

    async def write(self, page: Page, now_s: int) -> None:
        """Append a page at once, before anything else runs; durable on return.

        Call it with an empty page too, before signing: what was decided may repeat what another request has
        only appended, and must not outlive it. Raises JournalUnavailable, nothing of the page added: only
        then, and not when the caller is cancelled, is it certain that the page is not there.
        """
        if page.is_empty and not self._journal.is_open:
            return
        commit = self._journal.append(page, now_s)
        if self._turn is None:
            loop = asyncio.get_running_loop()
            self._turn = loop.create_future()
            loop.call_soon(self._commit, self._turn)
        await asyncio.shield(self._turn)
        commit.require()

    def _commit(self, turn: asyncio.Future[None]) -> None:
        self._turn = None
        try:
            self._journal.commit()
        finally:
            turn.set_result(None)
