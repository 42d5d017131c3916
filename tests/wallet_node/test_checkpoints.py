"""The write-ahead log is moved into the file beside the work (wallet_node.tree)."""

import logging
import time
from pathlib import Path

import pytest

from wallet_node.checkpoints import Checkpointer
from wallet_node.store import CHECKPOINT_PAGES, Store

DEADLINE_S = 20


@pytest.fixture
def store(tmp_path: Path):
    store = Store(tmp_path / "journal.sqlite3")
    yield store
    store.close()


def derive(store: Store, first: int, count: int) -> None:
    with store.transaction():
        store.insert("derived_keys", [(at, at.to_bytes(20), bytes(16)) for at in range(first, first + count)])


def is_all_in_the_file(store: Store, path: Path) -> bool:
    """Whether the file alone has as many pages as the writer knows of."""
    pages, bytes_each = (store.query(f"PRAGMA {name}")[0][0] for name in ("page_count", "page_size"))
    return path.stat().st_size == pages * bytes_each


def wait_for(store: Store, path: Path) -> None:
    until = time.monotonic() + DEADLINE_S
    while not is_all_in_the_file(store, path):
        assert time.monotonic() < until, "what was committed is still in the log alone"
        time.sleep(0.001)


def test_what_was_committed_reaches_the_file_while_the_writer_goes_on(store: Store, tmp_path: Path):
    path = tmp_path / "journal.sqlite3"
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    derive(store, 0, 500)
    assert not is_all_in_the_file(store, path), "nobody has moved anything yet"

    with Checkpointer(path, every_s=0.01):
        wait_for(store, path)
        derive(store, 500, 500)
        wait_for(store, path)


def test_a_writer_in_the_middle_of_a_transaction_is_not_disturbed(store: Store, tmp_path: Path):
    path = tmp_path / "journal.sqlite3"
    derive(store, 0, 10)
    with Checkpointer(path, every_s=0.001), store.transaction():
        for first in range(10, 2_010, 10):
            store.insert("derived_keys", [(at, at.to_bytes(20), None) for at in range(first, first + 10)])
    assert store.query("SELECT count(*) FROM derived_keys") == [(2_010,)]


def test_without_one_the_writer_does_it_by_itself(store: Store):
    assert store.query("PRAGMA wal_autocheckpoint") == [(CHECKPOINT_PAGES,)]


def test_a_file_that_cannot_be_opened_is_left_to_the_writer(tmp_path: Path, caplog):
    with caplog.at_level(logging.WARNING), Checkpointer(tmp_path / "gone" / "journal.sqlite3"):
        pass
    assert "left to the writer" in caplog.text
