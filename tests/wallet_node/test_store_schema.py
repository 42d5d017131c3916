"""What the store's tables keep beyond their constraints."""

from pathlib import Path

from wallet_node.store import Store


def test_every_table_that_is_its_keys_index_begins_with_its_key(tmp_path: Path) -> None:
    """SQLite before 3.42 else finds NULLs where none are: to every auditor the file would be damaged."""
    store = Store(tmp_path / "journal.sqlite3")
    without_rowid = [
        name for name, is_without in store.query("SELECT name, wr FROM pragma_table_list") if is_without
    ]
    assert "operation_statements" in without_rowid
    for table in without_rowid:
        places = [place for (place,) in store.query("SELECT pk FROM pragma_table_info(?)", (table,))]
        key = [place for place in places if place]
        assert places[: len(key)] == sorted(key), table
    store.close()
