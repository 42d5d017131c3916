"""What is there before the containers of a country start: made once, and the same ever after."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from api.database import is_migrated
from api.directory.secret import DirectorySecret
from api.settings import Settings
from contracts.rpc import Rpc
from scripts.commands import container_setup
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import INSTITUTIONS, InstitutionHome
from scripts.postgres.server import EXTERNAL_URL_VARIABLE, start


@pytest.fixture
def external_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that somebody else runs."""
    monkeypatch.delenv(EXTERNAL_URL_VARIABLE, raising=False)
    server = start(tmp_path / "server", {"fsync": "off", "shared_buffers": "16MB"})
    monkeypatch.setenv(EXTERNAL_URL_VARIABLE, server.admin_url)
    yield
    server.stop()


async def has_its_tables(settings: Settings) -> bool:
    connection = await asyncpg.connect(settings.database_url)
    try:
        return await is_migrated(connection)
    finally:
        await connection.close()


@pytest.mark.usefixtures("external_server")
def test_everything_is_made_once_and_found_the_second_time(chain_url: str, tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path / "data"), "--rpc", chain_url]
    container_setup.main(arguments)
    homes = [InstitutionHome(DataDirectory(tmp_path / "data"), plan) for plan in INSTITUTIONS]
    names = ("settings.toml", "directory-key", "directory-secret")
    files = [file for home in homes for name in names if (file := home.directory / name).exists()]
    contents = [file.read_bytes() for file in files]
    assert len(contents) == 2 * len(homes)
    for home in homes:
        settings = Settings.load(home.settings_file)
        assert (settings.institution, settings.kind) == (home.plan.slug, home.plan.kind)
        assert (settings.listen_host, settings.listen_port) == ("0.0.0.0", 8100)
        assert (settings.rpc_url, settings.signer_socket) == (chain_url, home.socket)
        assert asyncio.run(has_its_tables(settings))
        assert stat.S_IMODE(home.passphrase_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.node_home.stat().st_mode) == 0o700
        private = [
            file for file in (settings.directory_key_file, settings.directory_secret_file) if file.name
        ]
        assert [stat.S_IMODE(file.stat().st_mode) for file in private] == [0o600]
        if settings.kind == "bank":
            assert settings.directory_url == "http://central-bank-api:8100"
            assert settings.directory_key_file.read_text().startswith("florin_")
        else:
            assert DirectorySecret.load(settings.directory_secret_file).present_key_id == "first"
        for address in home.make_keys().values():
            assert Rpc(chain_url).quantity("eth_getBalance", address, "latest") > 0
    container_setup.main(arguments)
    assert [file.read_bytes() for file in files] == contents


def test_without_a_server_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXTERNAL_URL_VARIABLE, raising=False)
    with pytest.raises(SystemExit, match=f"{EXTERNAL_URL_VARIABLE} must name"):
        container_setup.main(["--data", str(tmp_path / "data"), "--rpc", "http://127.0.0.1:1"])
    assert list(tmp_path.iterdir()) == []
