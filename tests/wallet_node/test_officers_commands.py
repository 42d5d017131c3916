"""`florin wallet-node` at a running node: officers see what waits and sign, auditors verify its journal."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import Result
from node_builders import STRANGER, payment, transaction
from node_process import NodeProcess, lasting, signed
from typed_data_requests import asking, fan_out
from typer.testing import CliRunner

from contracts.abi import encode_mint
from contracts.base64url import encode
from scripts.commands.wallet_node import app
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import INSTITUTIONS, PAYING_BANK, InstitutionHome
from scripts.country.quorum import OfficersDesk, approvers
from wallet_node.officers.approvals import PROPOSE, message
from wallet_node.policy import file as policy_file
from wallet_node.policy.template import complete

TEMPLATE = b"""
name: tested
version: 1
summary: Minting waits for officers.
nonces: {longest_payment_jump: 10, longest_transaction_jump: 10}
longest_validity_s: 6000
customers: {highest_index: 99}
quorums:
  - {name: officers, approvals: 2, officers: [first-officer, second-officer, third-officer], valid_s: 3600}
changes: {policy: officers}
payments: [{name: all, effect: allow, payer: derived, payee: any, per_payment_cap_minor: 1000}]
transactions:
  - {name: minting, effect: allow, key: institution, to: currency, quorum: officers, calls: [mint(uint256)]}
"""
MINT = "0x" + encode_mint(12_345).hex()


@dataclass
class Bank:
    """bank-a of a data directory, whose node runs."""

    data: Path
    home: InstitutionHome
    node: NodeProcess
    api: httpx.Client

    def florin(self, command: str, *arguments: str, answer: str = "") -> Result:
        """`florin wallet-node` for this bank."""
        given = [command, *arguments, "--data", str(self.data), "--institution", "bank-a"]
        return CliRunner().invoke(app, given, input=answer)

    def mint(self, request: dict[str, Any]) -> httpx.Response:
        return self.api.post("/v1/transactions:sign", json=request)

    def propose_mint(self) -> dict[str, Any]:
        request = transaction(MINT)
        assert self.mint(request).status_code == 202
        return request


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    data = tmp_path / "country"
    home = InstitutionHome(DataDirectory(data), PAYING_BANK)
    home.directory.mkdir(parents=True)
    node = NodeProcess.make(tmp_path)
    node.home = home.node_home
    node.prepare()
    keys = [{"name": officer.name, "key": officer.policy_key} for officer in home.officers()]
    home.policy_file.write_bytes(
        complete(TEMPLATE, [msgspec.convert(each, policy_file.Officer) for each in keys])
    )
    node.policy = str(home.policy_file)
    node.listen = [f"officers=unix:{home.officers_socket}"]
    api = node.start()
    yield Bank(data, home, node, api)
    api.close()
    node.kill()
    home.clear_socket()


def test_officers_see_what_waits_and_two_of_them_let_it_be_signed(bank: Bank) -> None:
    assert "Nothing waits." in bank.florin("operations").stdout
    request = bank.propose_mint()
    listed = bank.florin("operations").stdout
    assert request["transaction_id"] in listed.replace("\n", "")
    assert "12,345" in listed

    shown = bank.florin("approve", request["transaction_id"], "--officer", "first-officer", answer="y\n")
    assert shown.exit_code == 0, shown.output
    for what in ("transaction", "mint", "12,345", request["to"], MINT, "officers", "nobody"):
        assert what in shown.stdout
    assert bank.mint(request).json()["approvals"] == 1
    sure = bank.florin("approve", request["transaction_id"], "--officer", "third-officer", "--yes")
    assert sure.exit_code == 0
    assert "first-officer" in sure.stdout
    assert bank.mint(request).json()["nonce"] == 0
    assert "Nothing waits." in bank.florin("operations").stdout


def test_whoever_says_no_signs_nothing(bank: Bank) -> None:
    request = bank.propose_mint()
    refused = bank.florin("approve", request["transaction_id"], "--officer", "first-officer", answer="n\n")
    assert refused.exit_code == 1
    assert "NotSigned" in refused.stderr
    assert bank.mint(request).json()["approvals"] == 0


def test_two_officers_end_what_they_do_not_want(bank: Bank) -> None:
    request = bank.propose_mint()
    for officer in ("first-officer", "second-officer"):
        done = bank.florin("withdraw", request["transaction_id"], "--officer", officer, "--yes")
        assert done.exit_code == 0
    assert bank.mint(request).json()["code"] == "OperationWithdrawn"


def test_what_is_not_there_is_refused_and_no_key_is_made(bank: Bank) -> None:
    request = bank.propose_mint()
    unknown = bank.florin("approve", transaction(MINT)["transaction_id"], "--officer", "first-officer")
    assert (unknown.exit_code, "UnknownOperation" in unknown.stderr) == (1, True)
    nobody = bank.florin("approve", request["transaction_id"], "--officer", "fourth-officer", "--yes")
    assert (nobody.exit_code, "UnknownOfficer" in nobody.stderr) == (1, True)
    assert len(list(bank.home.data.officers_of("bank-a").iterdir())) == 3
    elsewhere = CliRunner().invoke(app, ["operations", "--data", str(bank.data), "--institution", "bank-z"])
    assert (elsewhere.exit_code, "UnknownInstitution" in elsewhere.stderr) == (1, True)
    bank.node.kill()
    silent = bank.florin("operations")
    assert silent.exit_code == 1
    assert "Cannot connect" in silent.stderr
    assert "Nothing waits." not in silent.stdout


def test_what_waits_is_listed_also_where_another_node_is_silent(bank: Bank) -> None:
    request = bank.propose_mint()
    listed = CliRunner().invoke(app, ["operations", "--data", str(bank.data)])
    assert request["transaction_id"] in listed.stdout.replace("\n", "")
    assert listed.exit_code == 1
    others = [plan.slug for plan in INSTITUTIONS if plan.slug != "bank-a"]
    assert "NodeSilent" in listed.stderr
    assert all(slug in listed.stderr for slug in others)
    assert "bank-a" not in listed.stderr


async def test_officers_follow_the_pages(bank: Bank) -> None:
    proposed = {bank.propose_mint()["transaction_id"] for _ in range(53)}
    async with OfficersDesk(bank.home.officers_socket) as desk:
        found = [each.operation_id for each in await desk.operations()]
    assert (len(found), set(found)) == (53, proposed)


def test_what_the_asker_wrote_reaches_no_terminal_as_a_command(bank: Bank) -> None:
    """A policy's text comes from whoever wants it, and an officer reads it before signing."""
    source = bank.home.policy_file.read_bytes().replace(b"version: 1", b"version: 2").decode()
    source += "# \N{RIGHT-TO-LEFT OVERRIDE}[bold]nothing[/bold] to see\n"  # YAML itself refuses escapes
    asked: dict[str, Any] = {"operation_id": transaction(MINT)["transaction_id"], "source": source}
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(bank.home.officers_socket)), base_url="http://node"
    ) as officers:
        refused = officers.post("/v1/policy:change", json=asked).json()["reasons"][0]
        policy_hash = bytes.fromhex(refused["policy_hash"][2:])
        said = message(PROPOSE, bytes.fromhex(refused["digest"][2:]), policy_hash, 2**40 - 1)
        signature = encode(bank.home.officers()[2].sign(said))
        asked["initiator"] = {"officer": "third-officer", "expires_at_s": 2**40 - 1, "signature": signature}
        assert officers.post("/v1/policy:change", json=asked).status_code == 202
    shown = bank.florin("approve", asked["operation_id"], "--officer", "first-officer", answer="n\n")
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown.stdout
    assert "# \N{REPLACEMENT CHARACTER}[bold]nothing[/bold] to see" in shown.stdout
    assert "version: 2" in shown.stdout


def test_an_officer_proposes_and_the_remaining_two_approve(bank: Bank, tmp_path: Path) -> None:
    policy = tmp_path / "next.yaml"
    policy.write_bytes(bank.home.policy_file.read_bytes().replace(b"version: 1", b"version: 2"))

    def propose(*more: str, answer: str = "", of: Path = policy) -> Result:
        return bank.florin("propose", str(of), "--officer", "first-officer", *more, answer=answer)

    refused = propose(answer="n\n")
    assert (refused.exit_code, "NotSigned" in refused.stderr) == (1, True)
    assert "Nothing waits." in bank.florin("operations").stdout
    shown = propose(answer="y\n")
    assert (shown.exit_code, "0 of 2 approvals" in shown.stdout) == (0, True), shown.output
    assert "version: 2" in shown.stdout
    (operation_id,) = re.findall(r"Operation ([0-9a-f-]{36})", shown.stdout)
    own = bank.florin("approve", operation_id, "--officer", "first-officer", "--yes")
    assert (own.exit_code, "InitiatorCannotApprove" in own.stderr) == (1, True)
    for officer in ("second-officer", "third-officer"):
        approved = bank.florin("approve", operation_id, "--officer", officer, "--yes")
        assert (approved.exit_code, "proposed by" in approved.stdout) == (0, True)
    assert "Done." in propose("--yes").stdout
    unknown = tmp_path / "unknown.json"
    unknown.write_text("{}")
    assert "UnknownRequest" in propose("--yes", of=unknown).stderr


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"payment_id": "\xff"}'])
def test_a_file_that_nobody_can_read_is_refused_in_words(bank: Bank, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "unreadable"
    path.write_bytes(content)
    said = bank.florin("explain", str(path))
    assert (said.exit_code, said.stderr.partition(":")[0]) == (1, "MalformedRequest"), said.output
    proposed = bank.florin("propose", str(path), "--officer", "first-officer", "--yes")
    assert proposed.exit_code == 1
    assert proposed.stderr.startswith(("MalformedRequest", "MalformedPolicy")), proposed.output


async def test_officers_at_work_approve_what_one_of_them_proposed(bank: Bank) -> None:
    source = bank.home.policy_file.read_bytes().replace(b"version: 1", b"version: 2").decode()
    asked = {"operation_id": transaction(MINT)["transaction_id"], "source": source}
    officers = bank.home.officers()
    async with OfficersDesk(bank.home.officers_socket) as desk:
        await desk.propose("/v1/policy:change", asked, officers[0])
        (operation,) = await desk.operations()
        chosen = approvers(operation, officers)
        assert [each.name for each in chosen] == ["second-officer", "third-officer"]
        for officer in chosen:
            await desk.approve(operation, officer)
        (operation,) = await desk.operations()
        assert approvers(operation, officers) == []
        assert (await desk.propose("/v1/policy:change", asked, officers[0]))["policy"]["name"] == "tested"


def test_a_decision_is_explained_before_anything_is_signed(bank: Bank, tmp_path: Path) -> None:
    (payer,) = bank.api.post("/v1/keys:derive", json={"indices": [0]}).json()["addresses"]
    intent = tmp_path / "intent.json"
    for content, outcome, rule in (
        (payment(payer, amount_minor=5), "allowed", "all"),
        ({"payment": payment(payer, amount_minor=5_000)}, "refused", "PerPaymentCapExceeded"),
        (transaction(MINT), "waits for officers", "minting"),
        (asking(fan_out(payer, (STRANGER, 5))), "refused", "fan_out"),
    ):
        intent.write_text(json.dumps(content))
        told = bank.florin("explain", str(intent))
        assert told.exit_code == 0, told.output
        assert outcome in told.stdout
        assert rule in told.stdout
    assert bank.api.get("/v1/journal").json()["size"] == 0


def test_a_journal_is_verified_beside_its_node_and_against_anchors(bank: Bank) -> None:
    (payer,) = bank.api.post("/v1/keys:derive", json={"indices": [0]}).json()["addresses"]
    signed(bank.api.post("/v1/payments:sign", json=lasting(*(payment(payer) for _ in range(3)))))
    head = bank.api.get("/v1/journal").json()
    signed(bank.api.post("/v1/payments:sign", json=lasting(payment(payer))))
    told = bank.florin("verify-journal", "--anchor", f"{head['size']}:{head['root']}")
    assert told.exit_code == 0, told.output
    row = next(line for line in told.stdout.splitlines() if "bank-a" in line and "│" in line)
    assert re.findall(r"\d+", row.split("bank-a")[1])[:2] == ["4", "1"]
    assert bank.api.get("/v1/journal").json()["root"] in told.stdout
    assert "The chain could not be read (InvalidSettings" in told.stdout, "this country has none"

    other = bank.florin("verify-journal", "--anchor", f"{head['size']}:{'00' * 32}")
    assert (other.exit_code, "JournalBroken" in other.stderr) == (1, True)
    longer = bank.florin("verify-journal", "--anchor", f"5:{'00' * 32}")
    assert (longer.exit_code, "JournalBroken" in longer.stderr) == (1, True)
    whose = CliRunner().invoke(app, ["verify-journal", "--data", str(bank.data), "--anchor", "1:" + "0" * 64])
    assert (whose.exit_code, "WhoseAnchors" in whose.stderr) == (1, True)
