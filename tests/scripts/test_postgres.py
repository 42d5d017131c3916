"""The embedded PostgreSQL: adopted, recovered, and closed to whoever has no password."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from scripts.postgres import server as postgres
from scripts.postgres.server import DatabaseUrls, PostgresError, Server, create_database, drop_database, start

SETTINGS = {"fsync": "off", "shared_buffers": "16MB"}
STARTER = """
import sys
from pathlib import Path
from scripts.postgres.server import start
print(start(Path(sys.argv[1]), {"fsync": "off", "shared_buffers": "16MB"}).pid, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def no_external_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgres.EXTERNAL_URL_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("data"), SETTINGS)
    yield server
    server.stop()
    assert server.pid is None


@pytest.fixture(scope="module")
def urls(server: Server) -> DatabaseUrls:
    return create_database(server, "bank", "bank_owner", "bank_app")


def ask(url: str, *statements: str) -> object:
    """The value that the last statement answers with."""

    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_database_belongs_to_its_owner_and_lets_the_application_in(urls: DatabaseUrls) -> None:
    assert ask(urls.owner_url, "CREATE TABLE coins ()", "SELECT current_user") == "bank_owner"
    assert ask(urls.app_url, "SELECT current_user") == "bank_app"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask(urls.app_url, "DROP TABLE coins", "SELECT 1")


def test_a_wrong_or_missing_password_is_refused(urls: DatabaseUrls, server: Server) -> None:
    password = urls.app_url.split(":")[2].split("@")[0]
    for url in (urls.app_url.replace(password, "guess"), urls.app_url.replace(f":{password}", "")):
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(url, "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(server.admin_url.replace(":", ":guess", 2).replace("guess", "", 1), "SELECT 1")


def test_a_role_may_not_enter_another_database(urls: DatabaseUrls, server: Server) -> None:
    other = create_database(server, "other_bank", "other_owner", "other_app")
    for intruder in (urls.app_url, urls.owner_url):
        for database in ("other_bank", "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                ask(intruder.replace("/bank?", f"/{database}?"), "SELECT 1")
    assert ask(other.app_url, "SELECT 1") == 1


def test_passwords_are_kept_where_only_the_starter_reads_them(urls: DatabaseUrls, server: Server) -> None:
    directory = Path(server.uri_for("bank", "bank_app").partition("host=")[2].replace("%2F", "/")).parent
    kept = [path for path in directory.rglob("*") if "password" in path.name and path.suffix != ".lock"]
    assert len(kept) == 2
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert (directory / "socket").stat().st_mode & 0o777 == 0o700


def test_creating_again_changes_nothing(urls: DatabaseUrls, server: Server) -> None:
    assert create_database(server, "bank", "bank_owner", "bank_app") == urls


def test_it_works_inside_a_running_event_loop(server: Server) -> None:
    async def inside() -> DatabaseUrls:
        return create_database(server, "from_a_loop", "bank_owner", "bank_app")

    url = asyncio.run(inside()).app_url
    assert ask(url, "SELECT 1") == 1
    drop_database(server, "from_a_loop")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        ask(url, "SELECT 1")


@pytest.mark.parametrize("name", ["", "Bank", "a b", "x; DROP ROLE bank_app", "1st", "x" * 64])
def test_a_name_that_is_no_plain_identifier_is_refused(server: Server, name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        create_database(server, name, "bank_owner", "bank_app")
    with pytest.raises(ValueError, match="identifier"):
        create_database(server, "bank", "bank_owner", name)


def test_a_role_that_was_never_made_has_no_address(server: Server) -> None:
    with pytest.raises(PostgresError):
        server.uri_for("bank", "nobody_of_ours")


def test_it_outlives_its_starter_is_adopted_and_recovers_when_killed_itself(tmp_path: Path) -> None:
    data = tmp_path / ("a long path " * 9)  # too long for a socket's name, with spaces
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    assert starter.stdin is not None
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    starter.stdout.close()
    starter.stdin.close()
    server = start(data, SETTINGS)
    try:
        assert server.pid == pid
        urls = create_database(server, "bank", "bank_owner", "bank_app")
        ask(urls.owner_url, "CREATE TABLE kept AS SELECT 42 AS answer", "SELECT 1")
        os.kill(pid, signal.SIGKILL)
        recovered = start(data, SETTINGS)
        assert recovered.is_alive()
        assert recovered.pid != pid
        assert ask(urls.owner_url, "SELECT answer FROM kept") == 42
    finally:
        server.stop()
    assert not server.is_alive()


def test_a_stale_pid_file_that_names_another_program_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    server = start(tmp_path, SETTINGS)
    pid_file = tmp_path / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    server.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file.write_text(f"{stranger.pid}\n" + "".join(lines[1:]))
        owner = (tmp_path / "cluster").stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        server = start(tmp_path, SETTINGS)
        assert server.is_alive()
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_an_external_server_is_used_and_never_stopped(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(postgres.EXTERNAL_URL_VARIABLE, server.admin_url)
    external = start(tmp_path)
    assert external.is_external
    urls = create_database(external, "elsewhere", "elsewhere_owner", "elsewhere_app")
    assert ask(urls.app_url, "SELECT 1") == 1
    external.stop()
    assert server.is_alive()
    assert not (tmp_path / "cluster").exists()
