"""Deployment to a real chain over JSON-RPC: once, interrupted anywhere, and refused where it must be."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from contracts import abi, notary
from contracts.creations import CREATIONS, CurrencyTerms, Roles
from contracts.deploy import (
    DeploymentReverted,
    DifferentDeployment,
    Unfunded,
    deploy,
    read_genesis_hash,
    require_funded,
    sandbox_deployer_key,
)
from contracts.manifest import Manifest, OutdatedDeployment, manifest_path
from contracts.rpc import Rpc, RpcRefused
from contracts.transactions import address_of, checksum_address, contract_address
from contracts.typed_data import PaymentDomain
from tests.contracts.unreliable_node import UnreliableNode

ROLES = Roles(*(bytes([index] * 20) for index in range(1, 8)))
TERMS = CurrencyTerms("Czech koruna", "CZK", 2)
START_TIMEOUT_S = 60


@pytest.fixture(scope="session")
def chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The development chain, served by its own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path_factory.mktemp("chain")
    command = [sys.executable, "-m", "scripts.chain.server", "--data", str(data), "--port", str(port)]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                Rpc(url).call("eth_chainId")
                break
            except OSError:
                assert process.poll() is None, (data / "log").read_text()
                assert time.monotonic() < deadline, (data / "log").read_text()
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def node(chain_url: str) -> Iterator[UnreliableNode]:
    relay = UnreliableNode(chain_url)
    yield relay
    relay.stop()


@pytest.fixture
def key(chain_url: str, request: pytest.FixtureRequest) -> bytes:
    """A funded deployer of the test's own, so that tests share the chain."""
    key = keccak(request.node.name.encode())
    Rpc(chain_url).call("anvil_setBalance", "0x" + address_of(key).hex(), hex(10**20))
    return key


def nonce_of(url: str, key: bytes) -> int:
    return Rpc(url).quantity("eth_getTransactionCount", "0x" + address_of(key).hex(), "latest")


def read(url: str, contract: bytes, data: bytes) -> bytes:
    call = {"to": "0x" + contract.hex(), "data": "0x" + data.hex()}
    return bytes.fromhex(Rpc(url).call("eth_call", call, "latest")[2:])


def test_a_deployment_is_what_was_asked_for(node: UnreliableNode, key: bytes, tmp_path: Path) -> None:
    manifest = deploy(node.url, ROLES, TERMS, key, tmp_path)
    created_in_order = ("administration", "implementation", "proxy", "notary", "settlement", "trades")
    assert list(manifest.contracts.items()) == [
        (name, contract_address(address_of(key), at)) for at, name in enumerate(created_in_order)
    ]
    assert read(node.url, manifest.notary, notary.encode_currency())[12:] == manifest.proxy
    assert (manifest.currency, manifest.roles) == (TERMS, ROLES)
    assert manifest.genesis_hash == read_genesis_hash(node.url)
    assert Manifest.load(manifest_path(tmp_path, manifest.genesis_hash)) == manifest
    holders = [
        read(node.url, manifest.proxy, abi.encode_role_holder(role))[12:] for role in abi.ROLES.values()
    ]
    assert holders == [
        ROLES.governor,
        ROLES.issuer,
        ROLES.pauser,
        ROLES.upgrader,
        ROLES.supervisor,
        ROLES.registrar,
    ]
    separator = PaymentDomain(TERMS.name, manifest.chain_id, manifest.proxy).separator
    assert read(node.url, manifest.proxy, abi.encode_domain_separator()) == separator
    operator = read(node.url, manifest.settlement, abi.encode_role_holder(keccak(b"OPERATOR")))
    assert operator[12:] == ROLES.operator
    assert abi.decode_uint(read(node.url, manifest.proxy, abi.SELECTORS["upgradeDelay()"])) == 48 * 3600
    assert abi.decode_uint(read(node.url, manifest.proxy, abi.SELECTORS["decimals()"])) == 2
    block = Rpc(node.url).call("eth_getBlockByNumber", hex(manifest.block_number), True)
    created = {
        Rpc(node.url).call("eth_getTransactionReceipt", each["hash"])["contractAddress"]
        for each in block["transactions"]
    }
    assert checksum_address(manifest.proxy).lower() in {str(each).lower() for each in created}


def test_the_deployer_keeps_no_role(node: UnreliableNode, key: bytes, tmp_path: Path) -> None:
    manifest = deploy(node.url, ROLES, TERMS, key, tmp_path)
    call = {
        "from": "0x" + address_of(key).hex(),
        "to": "0x" + manifest.proxy.hex(),
        "data": "0x" + abi.encode_pause().hex(),
    }
    with pytest.raises(RpcRefused):
        Rpc(node.url).call("eth_call", call, "latest")


def test_deploying_twice_changes_nothing(node: UnreliableNode, key: bytes, tmp_path: Path) -> None:
    first = deploy(node.url, ROLES, TERMS, key, tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    node.methods.clear()
    assert deploy(node.url, ROLES, TERMS, key, tmp_path) == first
    assert "eth_sendRawTransaction" not in node.methods
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert nonce_of(node.url, key) == len(CREATIONS)


@pytest.mark.parametrize("is_lost_after_effect", [False, True], ids=["before", "after"])
def test_a_deployment_cut_at_any_call_ends_at_the_same_addresses(
    node: UnreliableNode, chain_url: str, tmp_path: Path, is_lost_after_effect: bool
) -> None:
    """Each round cuts the line one call later and then tries again; one transaction a contract is
    enough, always."""
    cut_at = 0
    while True:
        key = keccak(f"cut {is_lost_after_effect} {cut_at}".encode())
        Rpc(chain_url).call("anvil_setBalance", "0x" + address_of(key).hex(), hex(10**20))
        directory = tmp_path / str(cut_at)
        node.methods.clear()
        node.fails_at, node.is_lost_after_effect = cut_at, is_lost_after_effect
        try:
            deploy(node.url, ROLES, TERMS, key, directory)
        except OSError:
            node.fails_at = None
            manifest = deploy(node.url, ROLES, TERMS, key, directory)
            assert manifest.proxy == contract_address(address_of(key), 2)
            assert nonce_of(chain_url, key) == len(CREATIONS)
            assert (
                read(chain_url, manifest.proxy, abi.encode_role_holder(abi.ROLES["ISSUER"]))[12:]
                == ROLES.issuer
            )
        else:
            break
        cut_at += 1
    assert cut_at >= 8  # every call was cut once


def test_a_crash_before_the_manifest_is_written_loses_nothing(
    node: UnreliableNode, key: bytes, tmp_path: Path
) -> None:
    manifest = deploy(node.url, ROLES, TERMS, key, tmp_path)
    manifest_path(tmp_path, manifest.genesis_hash).unlink()
    assert deploy(node.url, ROLES, TERMS, key, tmp_path) == manifest
    assert nonce_of(node.url, key) == len(CREATIONS)


def test_a_nonce_that_another_transaction_took_makes_a_new_plan(
    node: UnreliableNode, key: bytes, tmp_path: Path
) -> None:
    deploy(node.url, ROLES, TERMS, key, tmp_path / "first")
    plan_path = next((tmp_path / "first").glob("*.plan"))
    plan = json.loads(plan_path.read_text())
    plan["transactions"][0]["hash"] = "0x" + "77" * 32
    plan_path.write_text(json.dumps(plan))
    next((tmp_path / "first").glob("*.json")).unlink()
    manifest = deploy(node.url, ROLES, TERMS, key, tmp_path / "first")
    assert manifest.proxy == contract_address(address_of(key), len(CREATIONS) + 2)


def test_other_terms_or_roles_are_refused(node: UnreliableNode, key: bytes, tmp_path: Path) -> None:
    deploy(node.url, ROLES, TERMS, key, tmp_path)
    for roles, terms, word in (
        (replace(ROLES, pauser=bytes([9] * 20)), TERMS, "roles"),
        (ROLES, replace(TERMS, decimals=3), "currency"),
        (ROLES, replace(TERMS, upgrade_delay_s=1), "currency"),
    ):
        with pytest.raises(DifferentDeployment, match=word):
            deploy(node.url, roles, terms, key, tmp_path)


def test_an_unfunded_deployer_is_named_and_nothing_is_planned(node: UnreliableNode, tmp_path: Path) -> None:
    key = keccak(b"poor")
    with pytest.raises(Unfunded, match=checksum_address(address_of(key))) as refusal:
        deploy(node.url, ROLES, TERMS, key, tmp_path)
    assert refusal.value.addresses == [address_of(key)]
    assert refusal.value.balances_wei == [0]
    assert list(tmp_path.iterdir()) == []
    assert "eth_sendRawTransaction" not in node.methods


def test_every_account_without_ether_is_named(node: UnreliableNode, key: bytes) -> None:
    poor = [bytes([0x31] * 20), bytes([0x32] * 20)]
    with pytest.raises(Unfunded) as refusal:
        require_funded(node.url, [poor[0], address_of(key), poor[1]], 1)
    assert refusal.value.addresses == poor
    require_funded(node.url, [address_of(key)], 10**20)


def test_a_reverted_deployment_says_so_and_stands_in_nobodys_way(
    node: UnreliableNode, key: bytes, tmp_path: Path
) -> None:
    with pytest.raises(DeploymentReverted):
        deploy(node.url, replace(ROLES, issuer=bytes(20)), TERMS, key, tmp_path)
    assert deploy(node.url, ROLES, TERMS, key, tmp_path).proxy == contract_address(
        address_of(key), len(CREATIONS) + 2
    )


def test_two_chains_have_two_manifests(tmp_path: Path) -> None:
    assert manifest_path(tmp_path, bytes(32)) != manifest_path(tmp_path, bytes([1] * 32))


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"chain_id": 1}')
    with pytest.raises(ValueError, match="not a deployment manifest"):
        Manifest.load(path)


def test_a_manifest_of_an_earlier_version_says_what_to_do(
    node: UnreliableNode, key: bytes, tmp_path: Path
) -> None:
    """The first version kept two addresses beside the rest; a later one may lack a contract of this one."""
    manifest = deploy(node.url, ROLES, TERMS, key, tmp_path)
    path = manifest_path(tmp_path, manifest.genesis_hash)
    whole = json.loads(path.read_text())
    first = {name: value for name, value in whole.items() if name not in ("format", "contracts")}
    first |= {name: whole["contracts"][name] for name in ("proxy", "implementation")}
    lacking = {**whole, "contracts": {"proxy": whole["contracts"]["proxy"]}}
    for outdated in (first, lacking):
        path.write_text(json.dumps(outdated))
        with pytest.raises(OutdatedDeployment, match="make reset"):
            Manifest.load(path)
        with pytest.raises(OutdatedDeployment):
            deploy(node.url, ROLES, TERMS, key, tmp_path)
    assert nonce_of(node.url, key) == len(CREATIONS)


def test_a_plan_of_an_earlier_version_is_not_gone_on_with(
    node: UnreliableNode, key: bytes, tmp_path: Path
) -> None:
    deploy(node.url, ROLES, TERMS, key, tmp_path)
    next(tmp_path.glob("*.json")).unlink()
    path = next(tmp_path.glob("*.plan"))
    plan = json.loads(path.read_text())
    plan |= {name: plan["contracts"][name] for name in ("proxy", "implementation")}
    del plan["contracts"]
    path.write_text(json.dumps(plan))
    with pytest.raises(OutdatedDeployment, match="earlier version"):
        deploy(node.url, ROLES, TERMS, key, tmp_path)
    assert nonce_of(node.url, key) == len(CREATIONS)


def test_the_sandbox_deployer_is_the_same_everywhere() -> None:
    assert (
        checksum_address(address_of(sandbox_deployer_key())) == "0x7E2a792bb1E8882D6bA1e9578E6850CA09937FE4"
    )
