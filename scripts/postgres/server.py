"""The PostgreSQL of a run: an embedded one that needs no set-up, or the one that FLORIN_DATABASE_URL names.

The embedded server listens on a private Unix socket only, every role needs its password (scram-sha-256), and
it outlives its starter: `start` adopts one that runs and recovers one that crashed. As root, which PostgreSQL
refuses to be, it runs as an unprivileged user of the machine, and the directories above the data are made
passable (not readable) for that user.

    python -m scripts.postgres.server start|stop|url --data DIR
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import asyncpg

from scripts.postgres.cluster import SUPERUSER, Cluster, PostgresError

__all__ = ["DatabaseUrls", "PostgresError", "Server", "create_database", "drop_database", "start"]

EXTERNAL_URL_VARIABLE = "FLORIN_DATABASE_URL"
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """How to reach a database: as its owner, who migrates it, and as the role that the application has."""

    owner_url: str
    app_url: str


class Server:
    """A PostgreSQL server with the roles that were made on it."""

    def __init__(self, data_dir: Path, cluster: Cluster | None, admin_url: str) -> None:
        self._cluster = cluster
        self._passwords_file = data_dir / "role-passwords.json"
        self.admin_url = admin_url

    @property
    def is_external(self) -> bool:
        """Whether somebody else runs it."""
        return self._cluster is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs; None for somebody else's server."""
        return None if self._cluster is None else self._cluster.postmaster_pid()

    def is_alive(self) -> bool:
        """Whether it runs; somebody else's server is taken to."""
        return self._cluster is None or self._cluster.postmaster_pid() is not None

    def revive(self) -> None:
        """Start it again after a crash."""
        if self._cluster is not None:
            self._cluster.ensure_running()

    def stop(self) -> None:
        """Shut it down, unless somebody else runs it."""
        if self._cluster is not None:
            self._cluster.stop()

    def uri_for(self, database: str, user: str) -> str:
        """A connection URL with the password of a role that `create_database` made."""
        with self.passwords() as known:
            if user not in known:
                raise PostgresError(f"role {user} was not made by create_database in this data directory")
            return self._url(database, user, known[user])

    def admin_url_for(self, database: str) -> str:
        """The superuser's connection to a database."""
        parts = urlsplit(self.admin_url)
        return urlunsplit((parts.scheme, parts.netloc, f"/{quote(database)}", parts.query, ""))

    def _url(self, database: str, user: str, password: str) -> str:
        parts = urlsplit(self.admin_url)
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{quote(user)}:{quote(password)}@{host}"
        return urlunsplit((parts.scheme, netloc, f"/{quote(database)}", parts.query, ""))

    @contextlib.contextmanager
    def passwords(self) -> Iterator[dict[str, str]]:
        """The roles' passwords by name; what the body adds is kept. One holder at a time on the machine."""
        path = self._passwords_file
        with path.with_suffix(".lock").open("w") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX)
            known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
            before = dict(known)
            yield known
            if known != before:
                replacement = path.with_suffix(".new")
                replacement.touch(mode=0o600)
                replacement.write_text(json.dumps(known))
                replacement.replace(path)


def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> Server:
    """The server for a data directory: the one FLORIN_DATABASE_URL names, else the embedded one, running.

    `settings` are lines for postgresql.conf on top of the usual ones, with their quotes.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    external = os.environ.get(EXTERNAL_URL_VARIABLE)
    if external:
        return Server(data_dir, None, external)
    cluster = Cluster(data_dir, settings)
    cluster.ensure_running()
    password = quote(cluster.superuser_password)
    query = urlencode({"host": str(cluster.socket_dir())}, quote_via=quote)
    return Server(data_dir, cluster, f"postgresql://{SUPERUSER}:{password}@/postgres?{query}")


def create_database(server: Server, name: str, owner: str, app_role: str) -> DatabaseUrls:
    """Make sure that a database exists, owned by `owner`; only it and `app_role` may connect. Idempotent."""
    for identifier in (name, owner, app_role):
        _require_identifier(identifier)
    with server.passwords() as known:
        for role in (owner, app_role):
            known.setdefault(role, secrets.token_urlsafe(32))
        passwords = {role: known[role] for role in (owner, app_role)}
        _wait_for(_create_database(server, name, owner, app_role, passwords))
    return DatabaseUrls(server.uri_for(name, owner), server.uri_for(name, app_role))


async def _create_database(
    server: Server, name: str, owner: str, app_role: str, passwords: Mapping[str, str]
) -> None:
    admin = await asyncpg.connect(server.admin_url)
    try:
        for role, password in passwords.items():
            exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if exists else "CREATE"
            await admin.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{password}'")
        if not await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            await admin.execute(f"GRANT {owner} TO CURRENT_USER")
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await admin.execute(f"CREATE DATABASE {name} OWNER {owner}")
        await admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        if not server.is_external:
            await admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT ON DATABASE {name} TO {app_role}")
    finally:
        await admin.close()


def drop_database(server: Server, name: str) -> None:
    """Drop a database, ending its connections; its roles stay."""
    _require_identifier(name)

    async def drop() -> None:
        admin = await asyncpg.connect(server.admin_url)
        try:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            await admin.close()

    _wait_for(drop())


def _require_identifier(name: str) -> None:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain lower-case SQL identifier")


def _wait_for(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end from plain code, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Start, stop or locate the embedded server of a data directory."""
    parser = argparse.ArgumentParser(prog="python -m scripts.postgres.server")
    parser.add_argument("action", choices=("start", "stop", "url"))
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.action == "stop":
        if (options.data / "cluster").exists():
            Cluster(options.data).stop()
        return
    server = start(options.data)
    print(server.admin_url if options.action == "url" else f"PostgreSQL runs, process {server.pid}")


if __name__ == "__main__":
    main()
