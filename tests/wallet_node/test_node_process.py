"""The node as a process: its commands, its socket, its silence towards the rest of the machine."""

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_builders import CONTRACT, payment
from node_process import REPOSITORY, NodeProcess, lasting, signed


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One prepared and serving node for the tests that leave it as it is."""
    made = NodeProcess.make(tmp_path_factory.mktemp("node")).prepare()
    made.start()
    yield made
    made.kill()


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node that a test may stop."""
    made = NodeProcess.make(tmp_path)
    yield made
    made.kill()


def test_init_and_bind_make_a_home_that_serves(own_node: NodeProcess) -> None:
    made = own_node.command("init", "--keys", "governor,issuer")
    assert made.returncode == 0, made.stderr
    assert own_node.bind().returncode == 0
    client = own_node.start()
    assert client.get("/v1/keys").json()["keys"] == json.loads(made.stdout)["keys"]
    assert set(json.loads(made.stdout)["keys"]) == {"governor", "issuer"}


def test_init_prints_the_same_addresses_again_also_beside_a_running_node(node: NodeProcess) -> None:
    served = node.client().get("/v1/keys").json()["keys"]
    again = node.command("init", "--keys", "institution")
    assert again.returncode == 0
    assert json.loads(again.stdout) == {"keys": served}


def test_init_of_a_new_key_beside_a_running_node_is_refused(node: NodeProcess) -> None:
    refused = node.command("init", "--keys", "institution,another")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "AlreadyRunning")


@pytest.mark.parametrize("name", ["seed", "manifest", "derived", "../x"])
def test_init_refuses_names_that_mean_something_else(own_node: NodeProcess, name: str) -> None:
    refused = own_node.command("init", "--keys", f"institution,{name}")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "MalformedRequest")
    assert not own_node.home.exists()


def test_bind_is_repeatable_and_refuses_another_deployment(node: NodeProcess) -> None:
    assert node.bind().returncode == 0
    for changes in (
        {"chain-id": "1"},
        {"contract": "0x" + "00" * 20},
        {"domain-name": "Other"},
        {"notary": CONTRACT},
    ):
        refused = node.bind(**changes)
        assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "AlreadyBound")
    assert node.client().get("/readyz").json()["bound"]


def test_everything_that_the_node_writes_is_private(node: NodeProcess) -> None:
    signed(node.client().post("/v1/payments:sign", json=lasting(payment("0x" + "01" * 20))))
    assert stat.S_IMODE(node.socket.stat().st_mode) == 0o600
    for path in [node.home, *node.home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_process_cannot_be_dumped() -> None:
    script = (
        "import resource; from wallet_node import hardening as h;"
        " before = h.is_dumpable(); h.harden_process();"
        " print(before, h.is_dumpable(), *resource.getrlimit(resource.RLIMIT_CORE))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == ["True", "False", "0", "0"]


def test_the_serving_process_writes_no_core_file(node: NodeProcess) -> None:
    assert node.serving is not None
    limits = Path(f"/proc/{node.serving.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_the_node_imports_neither_web3_nor_the_api() -> None:
    script = (
        "import sys, wallet_node.main, wallet_node.node, wallet_node.transport.routes, uvicorn;"
        " print({m.split('.')[0] for m in sys.modules} & {'web3', 'api', 'eth_account', 'eth_utils', 'rlp'})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "set()"


def test_a_second_process_on_the_same_home_does_not_start(node: NodeProcess) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "wallet_node.main", *node.serve_arguments(), "--socket", f"{node.socket}2"],
        env=node.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (second.returncode, second.stderr.splitlines()[-1].split(":")[0]) == (1, "AlreadyRunning")
    assert node.client().get("/readyz").status_code == 200


def test_two_simultaneous_requests_with_the_same_ids_get_the_same_answer(node: NodeProcess) -> None:
    client = node.client()
    payers = client.post("/v1/keys:derive", json={"indices": list(range(20))}).json()["addresses"]
    request = lasting(*(payment(payers[i % 20]) for i in range(200)))
    reverse = request | {"payments": request["payments"][::-1]}
    answers: dict[int, list[dict[str, object]]] = {}
    start = threading.Barrier(6)

    def ask(place: int) -> None:
        with node.client() as own:
            start.wait()
            answers[place] = signed(own.post("/v1/payments:sign", json=reverse if place % 2 else request))

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    straight = answers[0]
    assert all("signature" in result for result in straight)
    for place, answer in answers.items():
        assert (answer[::-1] if place % 2 else answer) == straight
    taken = [
        (one["payer"], result["nonce"]) for one, result in zip(request["payments"], straight, strict=True)
    ]
    assert len(set(taken)) == 200


def test_a_caller_that_leaves_in_the_middle_harms_nobody(node: NodeProcess) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(str(node.socket))
        caller.sendall(b"POST /v1/payments:sign HTTP/1.1\r\nHost: node\r\nContent-Length: 1000\r\n\r\n{")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(str(node.socket))
        caller.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 400")
    assert node.client().get("/readyz").status_code == 200


def test_a_socket_left_by_a_killed_process_is_replaced_and_a_stop_leaves_none(own_node: NodeProcess) -> None:
    own_node.prepare().start()
    own_node.kill()
    assert own_node.socket.exists()
    own_node.start()
    assert own_node.stop() == 0
    assert not own_node.socket.exists()
    verified = own_node.command("verify-journal")
    assert (verified.returncode, json.loads(verified.stdout)["rows"]) == (0, 0)


def test_a_file_in_the_sockets_place_is_not_touched(own_node: NodeProcess) -> None:
    own_node.prepare()
    own_node.socket.write_text("precious")
    with pytest.raises(AssertionError, match="AlreadyRunning"):
        own_node.start()
    assert own_node.socket.read_text() == "precious"


def test_what_opens_the_keystore_must_be_right_and_private(own_node: NodeProcess) -> None:
    own_node.prepare()
    passphrase = Path(own_node.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"])
    own_node.home.chmod(0o750)
    assert refusal_to_start(own_node) == "HomeTooOpen"
    own_node.home.chmod(0o700)
    passphrase.chmod(0o640)
    assert refusal_to_start(own_node) == "PassphraseUnusable"
    passphrase.chmod(0o600)
    passphrase.write_text("another passphrase")
    assert refusal_to_start(own_node) == "WrongPassphrase"
    passphrase.write_text("short")
    assert refusal_to_start(own_node) == "PassphraseUnusable"
    del own_node.environment["FLORIN_WALLET_NODE_PASSPHRASE_FILE"]
    assert refusal_to_start(own_node) == "PassphraseUnusable"


def test_without_a_keystore_the_node_says_what_to_do(own_node: NodeProcess) -> None:
    assert refusal_to_start(own_node) == "KeystoreNotFound"
    assert not own_node.home.exists()


def test_a_socket_path_that_the_system_cannot_take_is_named(own_node: NodeProcess) -> None:
    own_node.prepare()
    own_node.socket = own_node.socket.with_name("s" * 120)
    assert refusal_to_start(own_node) == "SocketUnusable"


def test_an_unknown_policy_is_refused(own_node: NodeProcess) -> None:
    ran = own_node.command("serve", "--socket", str(own_node.socket), "--policy", "no-such-policy")
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (1, "MalformedPolicy")


def refusal_to_start(node: NodeProcess) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "wallet_node.main", *node.serve_arguments()],
        env=node.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    return ran.stderr.splitlines()[-1].split(":")[0]


def test_the_start_up_line_names_the_policy_in_force(node: NodeProcess) -> None:
    assert "policy no-proof" in node.log[0].read_text()
