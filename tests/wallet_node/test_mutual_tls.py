"""mTLS over loopback: whose certificate gets in, as whom, and what becomes of it when it ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from node_builders import Home
from open_doors import NOW, Clocks, certificates, client_context, opened, swept, until

from wallet_node.errors import CertificateUnusable
from wallet_node.transport.endpoints import AUTHORITY, IDENTITY, ServerCertificates, TlsEndpoint
from wallet_node.transport.limits import ConnectionLimits
from wallet_node.transport.listeners import Listener
from wallet_node.transport.routes import Application

ANYBODY = TlsEndpoint(None, "127.0.0.1", 0)
REFUSED = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return certificates(tmp_path / "certificates", "api", "officers", "stranger")


@asynccontextmanager
async def served(
    home: Home, made: Path, endpoint: TlsEndpoint = ANYBODY, **terms: object
) -> AsyncIterator[Listener]:
    async with opened(Application(home.open()), endpoint, made / "server", **terms) as listener:  # type: ignore[arg-type]
        yield listener


def client(listener: Listener, context: ssl.SSLContext) -> httpx.AsyncClient:
    assert isinstance(listener.endpoint, TlsEndpoint)
    return httpx.AsyncClient(
        verify=context, base_url=f"https://localhost:{listener.endpoint.port}", timeout=30
    )


def as_caller(made: Path, name: str) -> ssl.SSLContext:
    return client_context(made / "callers" / name, made / "callers" / name)


async def asked(listener: Listener, context: ssl.SSLContext, path: str = "/v1/keys") -> httpx.Response:
    async with client(listener, context) as own:
        return await own.get(path)


async def test_the_certificate_names_the_caller_for_every_request_of_a_connection(
    home: Home, made: Path
) -> None:
    async with served(home, made) as listener:
        async with client(listener, as_caller(made, "api")) as api:
            derived = [await api.post("/v1/keys:derive", json={"indices": [place]}) for place in range(3)]
            assert [answer.status_code for answer in derived] == [200, 200, 200]
            assert len(listener._proven) == 1
        async with client(listener, as_caller(made, "officers")) as officers:
            assert (await officers.get("/v1/keys")).status_code == 200
            refused = await officers.post("/v1/keys:derive", json={"indices": [0]})
            assert (refused.status_code, refused.json()["code"]) == (403, "CallerNotAllowed")


async def test_the_connection_is_tls_1_3_and_no_session_can_be_resumed(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        context = as_caller(made, "api")
        reader, writer = await asyncio.open_connection(
            "localhost",
            listener.endpoint.port,
            ssl=context,  # type: ignore[union-attr]
        )
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        tls = writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        assert tls.session is None or not tls.session.has_ticket
        writer.close()


async def test_an_endpoint_for_one_caller_serves_no_other(home: Home, made: Path) -> None:
    async with served(home, made, TlsEndpoint("officers", "127.0.0.1", 0)) as listener:
        assert (await asked(listener, as_caller(made, "officers"))).status_code == 200
        refused = await asked(listener, as_caller(made, "api"), "/healthz")
        assert (refused.status_code, refused.json()["code"]) == (403, "CallerNotAllowed")


async def test_a_name_that_no_policy_knows_is_refused_by_name_and_counted(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        refused = await asked(listener, as_caller(made, "stranger"))
        assert (refused.status_code, refused.json()["code"]) == (403, "CallerNotAllowed")
        assert listener.application.node.refusals["CallerNotAllowed"] == 1
        assert not listener._proven


async def must_fail_to_connect(listener: Listener, context: ssl.SSLContext) -> None:
    before = handshakes_failed(listener)
    with pytest.raises(REFUSED):
        await asked(listener, context)
    await until(lambda: handshakes_failed(listener) == before + 1)
    assert listener.application.node.refusals == {}


def handshakes_failed(listener: Listener) -> int:
    lines = listener.application.metrics.exposition().splitlines()
    return sum(
        int(float(line.split()[-1]))
        for line in lines
        if 'code="HandshakeFailed"' in line and "_total" in line
    )


async def test_without_a_certificate_nobody_gets_in(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        await must_fail_to_connect(listener, client_context(made / "callers" / "api", None))


async def test_a_certificate_of_another_authority_does_not_get_in(
    home: Home, made: Path, tmp_path: Path
) -> None:
    other = certificates(tmp_path / "other", "api")
    async with served(home, made) as listener:
        context = client_context(made / "callers" / "api", other / "callers" / "api")
        await must_fail_to_connect(listener, context)


async def test_an_expired_certificate_does_not_get_in(home: Home, made: Path) -> None:
    certificates(made, "late", now=NOW - timedelta(days=10))
    async with served(home, made) as listener:
        await must_fail_to_connect(listener, as_caller(made, "late"))


async def test_the_servers_own_certificate_is_no_callers(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        await must_fail_to_connect(listener, client_context(made / "server", made / "server"))


async def test_the_authority_is_no_caller(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        await must_fail_to_connect(listener, client_context(made / "server", made / "authority"))


async def test_tls_1_2_is_refused(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        context = as_caller(made, "api")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        await must_fail_to_connect(listener, context)


async def test_plain_http_is_not_served(home: Home, made: Path) -> None:
    async with served(home, made) as listener, httpx.AsyncClient() as plain:
        with pytest.raises(REFUSED):
            await plain.get(f"http://localhost:{listener.endpoint.port}/healthz")  # type: ignore[union-attr]


async def test_a_caller_sees_that_it_speaks_to_the_node(home: Home, made: Path, tmp_path: Path) -> None:
    other = certificates(tmp_path / "other", "api")
    async with served(home, made) as listener:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await asked(listener, client_context(other / "server", made / "callers" / "api"))


async def test_a_connection_ends_with_its_certificate(home: Home, made: Path) -> None:
    clocks = Clocks()
    async with (
        served(home, made, clocks=clocks) as listener,
        client(listener, as_caller(made, "api")) as api,
    ):
        assert (await api.get("/v1/keys")).status_code == 200
        clocks.passed_s += timedelta(days=6, hours=23).total_seconds()
        listener.sweep()
        assert (await api.get("/v1/keys")).status_code == 200
        clocks.passed_s += 7_200
        listener.sweep()
        listener.sweep()  # the client does not say goodbye
        await until(lambda: not listener._proven)


async def test_renewed_certificates_are_used_without_a_new_start(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        before = as_caller(made, "api")
        assert (await asked(listener, before)).status_code == 200
        served_before = await serial_of(listener, before)
        certificates(made, "api", is_renewal=True)
        assert (await asked(listener, as_caller(made, "api"))).status_code == 200
        assert await serial_of(listener, before) != served_before


async def test_with_a_new_authority_the_old_certificates_end(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        before = as_caller(made, "api")
        (made / "authority" / IDENTITY).unlink()
        certificates(made, "api")
        assert (await asked(listener, as_caller(made, "api"))).status_code == 200
        before.load_verify_locations(made / "server" / AUTHORITY)
        await must_fail_to_connect(listener, before)


async def test_files_that_cannot_be_used_leave_the_ones_before(home: Home, made: Path) -> None:
    async with served(home, made) as listener:
        whole = (made / "server" / IDENTITY).read_bytes()
        (made / "server" / IDENTITY).write_bytes(whole[:100])
        assert (await asked(listener, as_caller(made, "api"))).status_code == 200
        (made / "server" / IDENTITY).unlink()
        assert (await asked(listener, as_caller(made, "api"))).status_code == 200


async def serial_of(listener: Listener, context: ssl.SSLContext) -> object:
    port = listener.endpoint.port  # type: ignore[union-attr]
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return certificate["serialNumber"]


async def test_connections_without_a_handshake_do_not_take_the_room_of_callers(
    home: Home, made: Path
) -> None:
    limits = ConnectionLimits(proven=1, unproven=2, handshake_s=0.2)
    async with served(home, made, limits=limits) as listener:
        async with client(listener, as_caller(made, "api")) as api:
            assert (await api.get("/v1/keys")).status_code == 200
            port = listener.endpoint.port  # type: ignore[union-attr]
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            turned_away, _ = await asyncio.open_connection("127.0.0.1", port)
            assert await turned_away.read() == b""
            assert (await api.get("/v1/keys")).status_code == 200
            for reader, _ in idle:  # the handshake's own deadline
                assert await reader.read() == b""
        await until(lambda: not listener._proven and not listener._unproven)
        assert (await asked(listener, as_caller(made, "api"))).status_code == 200


async def test_callers_beyond_the_endpoints_room_are_told(home: Home, made: Path) -> None:
    clocks = Clocks()
    async with (
        served(home, made, limits=ConnectionLimits(proven=1), clocks=clocks) as listener,
        client(listener, as_caller(made, "api")) as api,
    ):
        assert (await api.get("/v1/keys")).status_code == 200
        port = listener.endpoint.port  # type: ignore[union-attr]
        reader, _ = await asyncio.open_connection("localhost", port, ssl=as_caller(made, "api"))
        assert (await swept(listener, reader, clocks)).startswith(b"HTTP/1.1 503 ")


def test_an_identity_that_others_can_read_is_not_used(made: Path) -> None:
    (made / "server" / IDENTITY).chmod(0o640)
    with pytest.raises(CertificateUnusable, match="open to other users"):
        ServerCertificates(made / "server")


@pytest.mark.parametrize("name", [IDENTITY, AUTHORITY])
@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_missing_or_broken_files_are_named(made: Path, name: str, content: bytes | None) -> None:
    file = made / "server" / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(CertificateUnusable, match="cannot use the certificates"):
        ServerCertificates(made / "server")


def test_a_key_of_another_certificate_is_not_used(made: Path) -> None:
    server, caller = ((made / part / IDENTITY).read_bytes() for part in ("server", "callers/api"))
    mark = b"-----BEGIN PRIVATE KEY-----"
    (made / "server" / IDENTITY).write_bytes(server.split(mark)[0] + mark + caller.split(mark)[1])
    with pytest.raises(CertificateUnusable):
        ServerCertificates(made / "server")
