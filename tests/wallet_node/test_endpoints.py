"""`serve`: the endpoints that it is told, what it refuses to start with, and what it leaves behind."""

import re
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_builders import NO_PROOF_FILE
from node_process import NodeProcess
from open_doors import certificates, client_context

from wallet_node.errors import AlreadyRunning, SocketUnusable
from wallet_node.transport.endpoints import TlsEndpoint, UnixEndpoint, listen, parse


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    made = NodeProcess.make(tmp_path).prepare()
    yield made
    made.kill()


def client(transport: httpx.HTTPTransport, base_url: str = "http://node") -> httpx.Client:
    return httpx.Client(transport=transport, base_url=base_url, timeout=30)


def test_one_node_serves_each_caller_at_its_own_endpoints(node: NodeProcess, tmp_path: Path) -> None:
    made = certificates(tmp_path / "certificates", "api")
    officers = tmp_path / "o"
    node.listen = [
        f"officers=unix:{officers}",
        "--listen",
        "tls:127.0.0.1:0",
        "--certificates",
        str(made / "server"),
    ]
    api = node.start()
    assert stat.S_IMODE(officers.stat().st_mode) == 0o600
    derive = {"indices": [0]}
    assert api.post("/v1/keys:derive", json=derive).status_code == 200
    with client(httpx.HTTPTransport(uds=str(officers))) as own:
        assert own.get("/v1/keys").status_code == 200
        assert own.post("/v1/keys:derive", json=derive).json()["code"] == "CallerNotAllowed"
    (port,) = re.findall(r"listening: tls:127\.0\.0\.1:(\d+)", node.log[-1].read_text())
    context = client_context(made / "callers" / "api", made / "callers" / "api")
    with client(httpx.HTTPTransport(verify=context), f"https://localhost:{port}") as remote:
        assert remote.post("/v1/keys:derive", json=derive).status_code == 200
        counted = remote.get("/metrics").text
    assert 'requests_total{caller="api",status="200",verb="derive"} 2.0\n' in counted
    assert 'requests_total{caller="officers",status="403",verb="derive"} 1.0\n' in counted
    assert node.stop() == 0
    assert not node.socket.exists()
    assert not officers.exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], "SocketUnusable"),
        (["--listen", "nobody=unix:{directory}/n"], "SocketUnusable"),
        (["--listen", "nobody=tls:127.0.0.1:0"], "CertificateUnusable"),
        (["--listen", "tls:127.0.0.1:0"], "CertificateUnusable"),
        (["--listen", "tls:127.0.0.1:0", "--certificates", "{directory}/none"], "CertificateUnusable"),
        (["--socket", "{directory}/s", "--listen", "officers=unix:{directory}/s"], "AlreadyRunning"),
    ],
    ids=str,
)
def test_what_it_cannot_serve_it_does_not_start_with(
    node: NodeProcess, options: list[str], code: str
) -> None:
    given = [option.format(directory=node.home.parent) for option in options]
    ran = node.command("serve", "--policy", str(NO_PROOF_FILE), *given)
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (1, code)
    assert not (node.home.parent / "s").exists()


def test_an_endpoint_that_cannot_be_read_is_named_by_the_command_line(node: NodeProcess) -> None:
    ran = node.command("serve", "--policy", str(NO_PROOF_FILE), "--listen", "api=tcp:127.0.0.1:80")
    assert ran.returncode == 2
    assert "NAME=unix:PATH" in ran.stderr


def test_without_all_its_keys_the_node_listens_nowhere(node: NodeProcess) -> None:
    (node.home / "keystore" / "institution.v1.json").unlink()
    ran = node.command("serve", "--policy", str(NO_PROOF_FILE), "--socket", str(node.socket))
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (1, "MissingKey")
    assert not node.socket.exists()


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("api=unix:/run/node.sock", UnixEndpoint("api", Path("/run/node.sock"))),
        ("api=unix:a=b:c", UnixEndpoint("api", Path("a=b:c"))),
        ("api=tls:localhost:8443", TlsEndpoint("api", "localhost", 8443)),
        ("tls:0.0.0.0:0", TlsEndpoint(None, "0.0.0.0", 0)),
        ("tls:[::1]:8443", TlsEndpoint(None, "::1", 8443)),
    ],
)
def test_endpoints_are_read_and_written_alike(text: str, endpoint: UnixEndpoint | TlsEndpoint) -> None:
    assert parse(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/node.sock",
        "unix:/run/node.sock",
        "api=unix:",
        "API=unix:/s",
        "api=tls:localhost",
        "api=tls::1",
        "api=tls:::1:8443",
        "api=tls:localhost:65536",
        "api=tls:localhost:http",
        "api=tcp:localhost:80",
        "=unix:/s",
    ],
)
def test_other_texts_are_no_endpoints(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME|port"):
        parse(text)


@given(st.text())
def test_no_text_breaks_the_reading_of_endpoints(text: str) -> None:
    try:
        endpoint = parse(text)
    except ValueError:
        return
    assert parse(str(endpoint)) == endpoint


def test_a_socket_shared_with_other_users_can_be_reached_and_a_private_one_not(tmp_path: Path) -> None:
    for is_shared, mode in ((False, 0o600), (True, 0o666)):
        path = tmp_path / "sockets" / str(is_shared)
        with listen(UnixEndpoint("api", path), is_shared=is_shared):
            assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with listen(TlsEndpoint(None, "127.0.0.1", 0)) as taken:
        with pytest.raises(SocketUnusable, match=r"tls:127\.0\.0\.1"):
            listen(TlsEndpoint(None, "127.0.0.1", taken.getsockname()[1]))
        with pytest.raises(SocketUnusable):
            listen(TlsEndpoint(None, "no-such-host.invalid", 0))
    with listen(UnixEndpoint("api", tmp_path / "s")), pytest.raises(AlreadyRunning):
        listen(UnixEndpoint("officers", tmp_path / "s"))


def test_the_server_context_takes_nothing_older_than_tls_1_3(tmp_path: Path) -> None:
    from wallet_node.transport.endpoints import ServerCertificates

    context = ServerCertificates(certificates(tmp_path, "api") / "server").context()
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_mode == ssl.CERT_REQUIRED
