"""The node's SQLite file: opened durable, one writer, every change in one transaction."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from wallet_node.errors import JournalUnavailable

_SCHEMA_VERSION = 3  # a file of an earlier version gets the tables that it lacks


class Store:
    """One connection, used by one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises JournalUnavailable when it is not such a file."""
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            raise JournalUnavailable(f"{path.name} cannot be opened: {error}") from None

    @classmethod
    def to_read(cls, path: Path) -> "Store":
        """The file as an auditor opens it, also while a node uses it. Raises JournalUnavailable."""
        store = cls.__new__(cls)
        try:
            store.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
            )
            store.connection.execute("PRAGMA trusted_schema = OFF")
            store.query("SELECT max(sequence) FROM journal")
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
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA trusted_schema = OFF")
        if run("PRAGMA user_version").fetchone()[0] != _SCHEMA_VERSION:
            # one file for each room that keeps something
            parts = sorted(files("wallet_node").joinpath("schema").iterdir(), key=lambda part: part.name)
            schema = "\n".join(part.read_text("utf-8") for part in parts)
            self.connection.executescript(
                f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is durable when this returns, or nothing happened. Raises JournalUnavailable."""
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

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of one SELECT."""
        return self.connection.execute(sql, parameters).fetchall()

    def query_in(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one SELECT whose `#` stands for the list of `values`."""
        return self.connection.execute(sql.replace("#", ",".join("?" * len(values))), values).fetchall()

    def close(self) -> None:
        """Close the file; the last commit is already durable."""
        self.connection.close()
