"""What the node signs is what the contract takes: each structure submitted to an EVM in this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_builders import SEED, Clock
from typed_data_requests import asking, authorization, cancellation, fan_out, move, permit, policy_text, sign

from contracts import abi, authorizations, memberships
from contracts.local_evm import CHAIN_ID
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    MERCHANT,
    NAME,
    RETAIL_TIER,
    Person,
    Refused,
    World,
)
from wallet_node import strict_json
from wallet_node.deployment import Binding, bind
from wallet_node.intents.typed_intents import TypedIntent, message
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy


def text(person: Person) -> str:
    return "0x" + person.address.hex()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def node(tmp_path: Path, world: World) -> Iterator[WalletNode]:
    """A node that holds ALICE's key beside the bank's, and whose clock is the chain's."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    bind(home, Binding(CHAIN_ID, "0x" + world.currency.hex(), NAME))
    clock = Clock()
    clock.now_s = world.evm.time_s
    keys = {"institution": SoftwareKey(BANK_A.key), "alice": SoftwareKey(ALICE.key)}
    opened = WalletNode(home, Secrets(SEED, keys), Policy(policy_text()), clock)
    yield opened
    opened.close()


def signature(answer: dict[str, Any]) -> bytes:
    return bytes.fromhex(answer["signature"][2:])


def structure(intent: dict[str, Any]) -> Any:
    return message(strict_json.convert(intent, TypedIntent))


def test_a_fan_out_is_settled_as_it_was_answered(world: World, node: WalletNode) -> None:
    until_s = world.valid_before_s
    intent = fan_out(text(ALICE), (text(BOB), 10), (text(CAROL), 20), valid_before_s=until_s)
    first = asking(intent)
    answer = sign(node, first)
    signed = signature(answer)

    def settle(answer_nonce: int, until_s: int, r_and_vs: bytes) -> None:
        packed = bytes.fromhex(intent["payments"][2:])
        call = abi.encode_settle_fan_out(packed, answer_nonce, until_s, r_and_vs[:32], r_and_vs[32:])
        world.do(BANK_A.address, call)

    before = world.balance(ALICE)
    settle(answer["nonce"], until_s, signed)
    assert (before - world.balance(ALICE), world.balance(CAROL)) == (30, 20)
    assert world.account(ALICE).nonce == answer["nonce"] + 1
    # A later attempt has the same nonce: whatever was approved is paid once.
    longer = {**first, "attempt": 2, "intent": {**intent, "valid_before_s": until_s + 60}}
    node._clock.now_s += 60  # type: ignore[attr-defined]
    later = sign(node, longer)
    with pytest.raises(Refused, match="NonceUsed"):
        settle(later["nonce"], until_s + 60, signature(later))
    assert before - world.balance(ALICE) == 30


def test_the_next_fan_out_goes_under_the_next_nonce(world: World, node: WalletNode) -> None:
    for number in range(3):
        intent = fan_out(text(ALICE), (text(MERCHANT), 5), valid_before_s=world.valid_before_s)
        answer = sign(node, asking(intent))
        assert answer["nonce"] == number
        made = signature(answer)
        packed = bytes.fromhex(intent["payments"][2:])
        world.do(
            BANK_A.address,
            abi.encode_settle_fan_out(packed, number, world.valid_before_s, made[:32], made[32:]),
        )
    assert world.balance(MERCHANT) == 15


def test_permits_are_taken_one_after_the_other(world: World, node: WalletNode) -> None:
    for number, amount in enumerate((70, 80)):
        intent = permit(text(ALICE), spender=text(BOB), amount_minor=amount, deadline_s=world.valid_before_s)
        answer = sign(node, asking(intent))
        assert answer["nonce"] == number
        call = authorizations.encode_permit(structure({**intent, "nonce": number}), signature(answer))
        world.do(BANK_B.address, call)
        before = world.balance(BOB)
        world.do(BOB.address, abi.encode_transfer_from(ALICE.address, BOB.address, amount))
        assert world.balance(BOB) == before + amount


def test_a_permit_whose_time_ran_out_is_signed_again_so_that_the_next_ones_count(
    world: World, node: WalletNode
) -> None:
    intent = permit(text(ALICE), spender=text(BOB), deadline_s=world.valid_before_s)
    request = asking(intent)
    dead = sign(node, request)
    world.wait(1_000)
    node._clock.now_s += 1_000  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        world.do(BOB.address, authorizations.encode_permit(structure(intent), signature(dead)))
    longer = {**intent, "deadline_s": world.valid_before_s}
    alive = sign(node, {**request, "attempt": 2, "intent": longer})
    world.do(BOB.address, authorizations.encode_permit(structure(longer), signature(alive)))
    after = permit(text(ALICE), spender=text(BOB), amount_minor=7, deadline_s=world.valid_before_s)
    answer = sign(node, asking(after))
    world.do(
        BOB.address,
        authorizations.encode_permit(structure({**after, "nonce": answer["nonce"]}), signature(answer)),
    )


def test_authorizations_are_used_or_ended(world: World, node: WalletNode) -> None:
    until_s = world.valid_before_s
    paid = authorization(text(ALICE), payee=text(CAROL), valid_before_s=until_s)
    answer = sign(node, asking(paid))
    assert answer["nonce"] == paid["nonce"]
    encode = authorizations.encode_transfer_with_authorization
    world.do(BANK_B.address, encode(structure(paid), signature(answer)))
    assert world.balance(CAROL) == 100

    received = authorization(
        text(ALICE), "Receive", payee=text(CAROL), valid_before_s=until_s, nonce="0x" + "b2" * 32
    )
    by_key = authorizations.encode_receive_with_authorization_of_key
    world.do(CAROL.address, by_key(structure(received), signature(sign(node, asking(received)))))
    assert world.balance(CAROL) == 200

    ended = authorization(text(ALICE), payee=text(CAROL), valid_before_s=until_s, nonce="0x" + "c3" * 32)
    held = sign(node, asking(ended))
    ending = cancellation(text(ALICE), nonce=ended["nonce"])
    ended_by = authorizations.encode_cancel_authorization_of_key
    world.do(BANK_B.address, ended_by(structure(ending), signature(sign(node, asking(ending)))))
    with pytest.raises(Refused, match="AuthorizationAlreadyUsed"):
        world.do(BANK_B.address, encode(structure(ended), signature(held)))


def test_an_account_moves_to_the_other_bank(world: World, node: WalletNode) -> None:
    intent = move(
        text(ALICE), participant=2, tier=RETAIL_TIER, is_linked=True, valid_before_s=world.valid_before_s
    )
    answer = sign(node, asking(intent))
    moved = structure({**intent, "nonce": answer["nonce"]})
    world.do(BANK_B.address, memberships.encode_move_account(moved, signature(answer)))
    assert world.account(ALICE).participant == 2
