"""Moves what SQLite's write-ahead log has gathered into the file itself, beside the work and not within it.

SQLite would do it at the end of the commit that finds a thousand pages in the log: one request in a hundred
would wait for two more fsyncs. Here a thread with a connection of its own does it. A passive checkpoint
holds up no writer; what it leaves, the next one takes. The writer's own (store.CHECKPOINT_PAGES) is a
backstop: only a writer can begin the log anew, and by then there is little left to move.
"""

import logging
import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_log = logging.getLogger("wallet_node")
_EVERY_S = 0.25


class Checkpointer:
    """A context manager: the thread runs inside it."""

    def __init__(self, path: Path, every_s: float = _EVERY_S) -> None:
        self._path = path
        self._every_s = every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            _log.warning("checkpoints are left to the writer: %s", error)
            return
        try:
            while not self._is_over.wait(self._every_s):
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error as error:  # a full disk, say: the writer meets it as well, and refuses
                    _log.warning("no checkpoint this time: %s", error)
        finally:
            connection.close()
