"""The node's SQLite file: opened durable, one writer, every change in one transaction."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from wallet_node.errors import JournalUnavailable, StoreOfOtherVersion

Changes = list[tuple[str, Sequence[tuple[Any, ...]]]]
"""Statements, each with the parameters of every time that it is run."""

VALUES_IN_ONE_QUERY = 1_000
CHECKPOINT_PAGES = 8_192
"""Of the write-ahead log, 32 MiB: what a writer moves by itself where nobody else does (checkpoints.py)."""

# To bytes that have no adapter sqlite3 puts two questions, which cost half a microsecond a value.
sqlite3.register_adapter(bytes, bytes)

_SCHEMA_VERSION = 4
_ROWS_A_STATEMENT = 100  # a third less time a row than with one row each


class Store:
    """One connection, used by one thread."""

    connection: sqlite3.Connection
    settle: Callable[[], None]
    """Makes durable what was appended and is not committed yet; the journal puts itself here."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises JournalUnavailable when it is not such a file, and
        StoreOfOtherVersion.
        """
        self.settle = lambda: None
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            raise JournalUnavailable(f"{path.name} cannot be opened: {error}") from None

    @classmethod
    def to_read(cls, path: Path) -> "Store":
        """The file as an auditor opens it, also while a node uses it. Raises JournalUnavailable and
        StoreOfOtherVersion.
        """
        store = cls.__new__(cls)
        store.settle = lambda: None
        try:
            store.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
            )
            store.connection.execute("PRAGMA trusted_schema = OFF")
            _require_version(store.query("PRAGMA user_version")[0][0])
            store.query("SELECT size FROM tip")
        except sqlite3.DatabaseError as error:
            raise JournalUnavailable(f"{path.name} is not a journal that can be read: {error}") from None
        return store

    def _open(self, path: Path) -> None:
        # The process's umask is 0077 (see main), so the files that SQLite adds beside this one are private
        # as well.
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=5, cached_statements=64)
        path.chmod(0o600)
        run = self.connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # a commit returns after its fsync
        run(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA temp_store = MEMORY")  # what a savepoint copies goes into no file
        run("PRAGMA cache_size = -65536")  # KiB: the ids of a few million payments stay in memory
        version = run("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self.connection.executescript(
                f"BEGIN IMMEDIATE; {_schema()} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )
        else:
            _require_version(version)
            self._restore_triggers()

    def _restore_triggers(self) -> None:
        """The triggers as they were made: who edits the file drops some, and one of them counts nonces."""
        made, listed = (
            sqlite3.connect(":memory:"),
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'",
        )
        made.executescript(_schema())
        expected = dict(made.execute(listed).fetchall())
        made.close()
        found = dict(self.query(listed))
        if found != expected:
            names = "".join(f'DROP TRIGGER "{name.replace(chr(34), chr(34) * 2)}"; ' for name in found)
            self.connection.executescript(f"BEGIN IMMEDIATE; {names} {_schema()} COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is durable when this returns, or nothing happened. Raises JournalUnavailable.

        What was appended before is made durable first.
        """
        self.settle()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise JournalUnavailable(
                f"the store could not be written: {error}; nothing was signed"
            ) from error

    def insert(self, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """`INSERT INTO <into>` of all `rows`, many rows a statement."""
        if rows:
            for statement, parameters in together(f"INSERT INTO {into} VALUES #", rows):  # noqa: S608
                self.connection.executemany(statement, parameters)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of one SELECT."""
        return self.connection.execute(sql, parameters).fetchall()

    def query_in(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one SELECT whose `#` stands for the list of `values`, at most 1,000."""
        return self.connection.execute(sql.replace("#", ",".join("?" * len(values))), values).fetchall()

    def close(self) -> None:
        """Close the file; the last commit is already durable."""
        self.connection.close()


def _schema() -> str:
    """One file for each room that keeps something."""
    parts = sorted(files("wallet_node").joinpath("schema").iterdir(), key=lambda part: part.name)
    return "\n".join(part.read_text("utf-8") for part in parts)


def together(statement: str, rows: Sequence[tuple[Any, ...]]) -> Changes:
    """A statement whose `#` stands for a row of values, made into statements for many rows each."""
    if not rows:
        return []
    width = len(rows[0])
    changes: Changes = []
    alone = len(rows) - len(rows) % _ROWS_A_STATEMENT
    if alone:
        parts = (rows[at : at + _ROWS_A_STATEMENT] for at in range(0, alone, _ROWS_A_STATEMENT))
        many = [tuple(chain.from_iterable(part)) for part in parts]
        changes.append((_of_rows(statement, width, _ROWS_A_STATEMENT), many))
    if alone < len(rows):
        changes.append((_of_rows(statement, width, 1), rows[alone:]))
    return changes


@lru_cache(maxsize=64)
def _of_rows(statement: str, width: int, count: int) -> str:
    one = "(" + ",".join("?" * width) + ")"
    return statement.replace("#", ",".join([one] * count))


def _require_version(version: int) -> None:
    if version == _SCHEMA_VERSION:
        return
    if version > _SCHEMA_VERSION:
        raise StoreOfOtherVersion(
            f"the store was made by a later version of this program ({version}, this one reads"
            f" {_SCHEMA_VERSION}); run that version"
        )
    raise StoreOfOtherVersion(
        f"the store was made by an earlier version of this program ({version}, this one reads"
        f" {_SCHEMA_VERSION}); a sandbox is made anew with `make reset`, other homes stay with that version"
    )
