"""The Python side against its oracles: eth-account, eth-abi, and the contract itself."""

from dataclasses import asdict, fields
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import abi, events
from contracts.abi import AccountWord, UnknownEvent
from contracts.batch import (
    MAX_AMOUNT_MINOR,
    MAX_GROUP_RECORDS,
    Entry,
    MalformedBatch,
    Record,
    SkipReason,
    decode_skipped,
    pack,
    pack_fan_out,
    pack_grouped,
    unpack,
    unpack_fan_out,
    unpack_grouped,
)
from contracts.transactions import Transaction, address_of, checksum_address, contract_address
from contracts.typed_data import (
    PaymentDomain,
    fan_out_digest,
    fan_out_typed_data,
    payment_digest,
    payment_typed_data,
)
from tests.contracts.world import ALICE, BANK_A, CAROL, MERCHANT, STRANGER, World

ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.binary(min_size=32, max_size=32)
UINT256 = st.integers(0, 2**256 - 1)


# Typed data


@settings(max_examples=25, deadline=None)
@given(
    name=st.text(max_size=40),
    chain_id=st.integers(1, 2**64),
    contract=ADDRESSES,
    payee=ADDRESSES,
    amount=st.integers(0, MAX_AMOUNT_MINOR),
    nonce=st.integers(0, 2**32 - 1),
    valid_before_s=st.integers(0, 2**64 - 1),
)
def test_a_digest_equals_eth_accounts(
    name: str, chain_id: int, contract: bytes, payee: bytes, amount: int, nonce: int, valid_before_s: int
) -> None:
    domain = PaymentDomain(name, chain_id, contract)
    message = encode_typed_data(full_message=payment_typed_data(domain, payee, amount, nonce, valid_before_s))
    assert payment_digest(domain.separator, payee, amount, nonce, valid_before_s) == _hash_eip191_message(
        message
    )
    assert domain.separator == message.header


@settings(max_examples=25, deadline=None)
@given(
    payments=st.binary(max_size=80),
    nonce=st.integers(0, 2**32 - 1),
    valid_before_s=st.integers(0, 2**64 - 1),
)
def test_a_fan_outs_digest_equals_eth_accounts(payments: bytes, nonce: int, valid_before_s: int) -> None:
    domain = PaymentDomain("x", 7, bytes(20))
    message = encode_typed_data(full_message=fan_out_typed_data(domain, payments, nonce, valid_before_s))
    assert fan_out_digest(domain.separator, payments, nonce, valid_before_s) == _hash_eip191_message(message)


def test_the_separator_is_the_contracts(world: World) -> None:
    assert world.read(abi.encode_domain_separator()) == world.domain.separator


def test_a_domain_without_an_address_or_a_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        PaymentDomain("x", 1, bytes(19))
    with pytest.raises(ValueError, match="chain id"):
        PaymentDomain("x", 0, bytes(20))


# Batches


RECORDS = st.builds(Record, ADDRESSES, st.integers(0, 2**40 - 1), st.integers(0, 2**32 - 1), WORDS, WORDS)


@given(records=st.lists(RECORDS, max_size=5))
def test_packing_and_unpacking_are_inverse(records: list[Record]) -> None:
    assert unpack(pack(records)) == records


GROUPS = st.tuples(ADDRESSES, st.lists(RECORDS, min_size=1, max_size=4)).map(
    lambda drawn: [each._replace(payee=drawn[0]) for each in drawn[1]]
)
ENTRIES = st.builds(Entry, ADDRESSES, st.integers(0, 2**40 - 1))


@given(
    groups=st.lists(GROUPS, max_size=4),
    flat=st.lists(RECORDS, max_size=3),
    entries=st.lists(ENTRIES, max_size=5),
)
def test_packing_and_unpacking_groups_and_fan_outs_are_inverse(
    groups: list[list[Record]], flat: list[Record], entries: list[Entry]
) -> None:
    assert unpack_grouped(pack_grouped(groups, flat)) == (groups, flat)
    assert unpack_fan_out(pack_fan_out(entries)) == entries


def test_a_group_of_none_of_too_many_or_of_several_payees_is_refused() -> None:
    record = Record(bytes(20), 1, 1, bytes(32), bytes(32))
    fullest = [record] * MAX_GROUP_RECORDS
    assert unpack_grouped(pack_grouped([fullest])) == ([fullest], [])
    for group in ([], [*fullest, record], [record, record._replace(payee=bytes([1] * 20))]):
        with pytest.raises(MalformedBatch):
            pack_grouped([[record], group])


@pytest.mark.parametrize("count", [0, 2, 65_535])
def test_a_count_that_its_records_do_not_make_up_is_refused(count: int) -> None:
    packed = pack_grouped([[Record(bytes([1] * 20), 1, 1, bytes(32), bytes(32))]])
    with pytest.raises(MalformedBatch):
        unpack_grouped(packed[:20] + count.to_bytes(2, "big") + packed[22:])


@pytest.mark.parametrize("length", [1, 21, 22, 94, 96, 95 + 21])
def test_bytes_that_are_not_whole_groups_are_refused(length: int) -> None:
    packed = pack_grouped([[Record(bytes(20), 1, 1, bytes(32), bytes(32))]] * 2)
    with pytest.raises(MalformedBatch):
        unpack_grouped(packed[:length])


def test_an_entry_that_does_not_fit_or_is_not_whole_is_refused() -> None:
    for entry in (Entry(bytes(19), 1), Entry(bytes(20), 2**40), Entry(bytes(20), -1)):
        with pytest.raises(MalformedBatch):
            pack_fan_out([entry])
    for length in (1, 24, 26):
        with pytest.raises(MalformedBatch):
            unpack_fan_out(bytes(length))


@pytest.mark.parametrize(
    "change",
    [
        {"payee": bytes(19)},
        {"payee": bytes(21)},
        {"amount_minor": 2**40},
        {"amount_minor": -1},
        {"nonce": 2**32},
        {"nonce": -1},
        {"r": bytes(31)},
        {"vs": bytes(33)},
    ],
)
def test_a_field_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    record = Record(bytes(20), 1, 1, bytes(32), bytes(32))._replace(**change)
    with pytest.raises(MalformedBatch):
        pack([record])
    with pytest.raises(MalformedBatch):
        pack_grouped([[record]])


@pytest.mark.parametrize("length", [1, 92, 94, 185])
def test_bytes_that_are_not_whole_records_are_refused(length: int) -> None:
    with pytest.raises(MalformedBatch):
        unpack(bytes(length))


def test_the_largest_amount_settles(world: World) -> None:
    world.set_tier(1, 2**96 - 1)
    world.set_account(ALICE, balance=MAX_AMOUNT_MINOR)
    assert world.skips(world.sign(ALICE, CAROL, MAX_AMOUNT_MINOR)) == {}
    assert world.balance(CAROL) == MAX_AMOUNT_MINOR


def test_skips_that_disagree_are_refused() -> None:
    assert decode_skipped(b"\x01\x80", [1, 22]) == {
        0: SkipReason.BadSignature,
        15: SkipReason.HoldingLimitExceeded,
    }
    with pytest.raises(MalformedBatch):
        decode_skipped(b"\x03", [1])
    with pytest.raises(ValueError, match="99"):
        decode_skipped(b"\x01", [99])


def test_only_rules_consume_the_nonce() -> None:
    assert [reason.name for reason in SkipReason if not reason.consumes_nonce] == [
        "BadSignature",
        "PayerNotOfParticipant",
        "NonceUsed",
    ]


def test_every_rules_name_is_a_custom_error_of_the_contract() -> None:
    errors = {entry["name"] for entry in abi.load_abi() if entry["type"] == "error"}
    assert {reason.name for reason in SkipReason if reason.consumes_nonce} <= errors


# Call data


def oracle(signature: str, *values: object) -> bytes:
    types = signature.partition("(")[2][:-1]
    return keccak(signature.encode())[:4] + encode(types.split(",") if types else [], values)


ADDRESS_LISTS = st.lists(ADDRESSES, max_size=3)


@given(records=st.binary(max_size=200), accounts=ADDRESS_LISTS, address=ADDRESSES, number=UINT256)
def test_call_data_equals_eth_abis(
    records: bytes, accounts: list[bytes], address: bytes, number: int
) -> None:
    small, role = number % 256, number.to_bytes(32, "big")
    assert abi.encode_settle(records, small) == oracle("settle(bytes,uint64)", records, small)
    assert abi.encode_settle_grouped(records, small) == oracle("settleGrouped(bytes,uint64)", records, small)
    assert abi.encode_settle_fan_out(records, 5, small, role, role) == oracle(
        "settleFanOut(bytes,uint32,uint64,bytes32,bytes32)", records, 5, small, role, role
    )
    assert abi.encode_register(accounts, small, 4) == oracle(
        "register(address[],uint8,uint24)", accounts, small, 4
    )
    assert abi.encode_account_words(accounts) == oracle("accountWords(address[])", accounts)
    assert abi.encode_mint(number) == oracle("mint(uint256)", number)
    assert abi.encode_burn(number) == oracle("burn(uint256)", number)
    assert abi.encode_set_tier(small, 3, 2, 1) == oracle(
        "setTier(uint8,uint96,uint64,uint64)", small, 3, 2, 1
    )
    assert abi.encode_set_participant(1, address, small, number) == oracle(
        "setParticipant(uint16,address,uint8,uint256)", 1, address, small, number
    )
    assert abi.encode_increase_mint_allowance(small, number) == oracle(
        "increaseMintAllowance(uint16,uint256)", small, number
    )
    assert abi.encode_decrease_mint_allowance(small, number) == oracle(
        "decreaseMintAllowance(uint16,uint256)", small, number
    )
    assert abi.encode_transfer(address, number) == oracle("transfer(address,uint256)", address, number)
    assert abi.encode_approve(address, number) == oracle("approve(address,uint256)", address, number)
    assert abi.encode_transfer_from(address, address, number) == oracle(
        "transferFrom(address,address,uint256)", address, address, number
    )
    assert abi.encode_offer_role(role, address) == oracle("offerRole(bytes32,address)", role, address)
    assert abi.encode_propose_upgrade(address, records) == oracle(
        "proposeUpgrade(address,bytes)", address, records
    )


@given(name=st.text(max_size=70), symbol=st.text(max_size=40), address=ADDRESSES)
def test_the_initialisation_equals_eth_abis(name: str, symbol: str, address: bytes) -> None:
    holders = [address, bytes(20), address, address]
    signature = "initialize((string,string,uint8,address,address,address,address,uint32))"
    kind = "(string,string,uint8,address,address,address,address,uint32)"
    expected = keccak(signature.encode())[:4] + encode([kind], [(name, symbol, 2, *holders, 77)])
    assert abi.encode_initialize(name, symbol, 2, holders, 77) == expected


def test_the_proxys_creation_code_ends_with_its_arguments() -> None:
    code = abi.proxy_creation_code(bytes([1] * 20), b"abc")
    assert code.endswith(encode(["address", "bytes"], [bytes([1] * 20), b"abc"]))


def test_an_address_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        abi.encode_transfer(bytes(19), 1)


@given(words=st.lists(UINT256, max_size=5))
def test_returned_words_are_read_whole_or_refused(words: list[int]) -> None:
    returned = encode(["uint256[]"], [words])
    assert abi.decode_words(returned) == words
    for broken in (returned[:-1], returned + b"\x00", b"", bytes(32)):
        with pytest.raises(ValueError, match="bytes returned"):
            abi.decode_words(broken)


def test_one_word_is_read_or_refused() -> None:
    assert abi.decode_uint(bytes(31) + b"\x05") == 5
    with pytest.raises(ValueError, match="one word"):
        abi.decode_uint(b"")


# Account words


@given(account=st.builds(AccountWord, *(st.integers(0, 2**bits - 1) for bits in (96, 32, 64, 16, 16, 8, 24))))
def test_account_words_are_taken_apart_and_put_together(account: AccountWord) -> None:
    assert abi.decode_account_word(abi.encode_account_word(account)) == account


def test_a_word_is_decoded_as_the_contract_decodes_it(world: World) -> None:
    world.settle(world.sign(ALICE, CAROL, 321, nonce=9))
    decoded = world.read(abi.SELECTORS["account(address)"] + bytes(12) + ALICE.address)
    from_contract = AccountWord(*(abi.decode_uint(decoded[at : at + 32]) for at in range(0, 224, 32)))
    assert abi.decode_account_word(world.word(ALICE)) == from_contract
    assert from_contract.nonce == 10


def test_a_field_that_does_not_fit_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="96 bits"):
        abi.encode_account_word(AccountWord(2**96, 0, 0, 0, 0, 0, 0))


def test_the_words_of_many_accounts_come_in_the_order_asked(world: World) -> None:
    people = (CAROL, STRANGER, ALICE)
    words = abi.decode_words(world.read(abi.encode_account_words([each.address for each in people])))
    assert words == [world.word(each) for each in people]
    assert words[1] == 0


# Events


def test_the_position_of_a_log_is_kept(world: World) -> None:
    raw = world.attempt(ALICE.address, abi.encode_transfer(CAROL.address, 5)).logs[0]
    raw |= {"blockNumber": "0xff", "blockHash": "0x" + "ab" * 32, "logIndex": "0x11"}
    (event,) = abi.decode_logs([raw | {"transactionHash": "0x" + "cd" * 32}])
    assert (event.block_number, event.block_hash, event.transaction_hash, event.log_index) == (
        255,
        b"\xab" * 32,
        b"\xcd" * 32,
        17,
    )


def test_every_event_of_the_abi_has_a_decoder() -> None:
    for entry in abi.load_abi():
        if entry["type"] == "event":
            signature = f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
            assert abi.topic_of(signature) in events._DECODERS, signature
    decodable = len([entry for entry in abi.load_abi() if entry["type"] == "event"])
    assert len(events._DECODERS) == decodable


def test_an_unknown_topic_is_not_passed_over() -> None:
    log = {"topics": ["0x" + "12" * 32], "data": "0x", "transactionHash": "0x" + "34" * 32}
    with pytest.raises(UnknownEvent, match="3434"):
        abi.decode_logs([log])
    with pytest.raises(UnknownEvent):
        abi.decode_logs([log | {"topics": []}])


def test_events_are_frozen_values(world: World) -> None:
    first = world.transfer(ALICE, MERCHANT, 30_001)
    assert asdict(first[0])["amount_minor"] == 30_001
    assert {field.name for field in fields(first[2])} >= {"payee", "bank", "excess_minor"}
    with pytest.raises(AttributeError):
        first[0].amount_minor = 5  # type: ignore[misc,attr-defined]


# Reverts


def test_reverts_are_named() -> None:
    error = keccak(b"PayeeFrozen(address)")[:4] + encode(["address"], [ALICE.address])
    assert abi.decode_revert(error) == ("PayeeFrozen", {"payee": ALICE.address})
    assert abi.decode_revert(b"") == ("EmptyRevert", {})
    assert abi.decode_revert(b"\x01\x02\x03\x04") == ("UnknownRevert", {"data": b"\x01\x02\x03\x04"})
    assert abi.decode_revert(error[:-1]) == ("UnknownRevert", {"data": error[:-1]})
    text = keccak(b"Error(string)")[:4] + encode(["string"], ["no"])
    assert abi.decode_revert(text) == ("Error", {"reason": "no"})


# Transactions


@settings(max_examples=60, deadline=None)
@given(
    key=st.integers(1, 2**200),
    to=st.one_of(st.just(b""), ADDRESSES),
    numbers=st.tuples(*[st.integers(0, 2**63)] * 4),
    value=st.integers(0, 2**90),
    data=st.one_of(st.binary(max_size=60), st.binary(min_size=300, max_size=300)),
)
def test_a_signed_transaction_equals_eth_accounts(
    key: int, to: bytes, numbers: tuple[int, int, int, int], value: int, data: bytes
) -> None:
    chain_id, nonce, fee, gas = numbers
    private_key = key.to_bytes(32, "big")
    mine = Transaction(chain_id + 1, nonce, fee, fee + 1, gas, to, value, data).sign(private_key)
    fields_ = {
        "type": 2,
        "chainId": chain_id + 1,
        "nonce": nonce,
        "maxPriorityFeePerGas": fee,
        "maxFeePerGas": fee + 1,
        "gas": gas,
        "value": value,
        "data": data,
    }
    if to:
        fields_["to"] = to_checksum_address(to)
    theirs = Account.sign_transaction(fields_, private_key)
    assert mine == bytes(theirs.raw_transaction)
    assert keccak(mine) == bytes(theirs.hash)


@given(key=st.integers(1, 2**250))
def test_addresses_equal_eth_accounts(key: int) -> None:
    private_key = key.to_bytes(32, "big")
    assert checksum_address(address_of(private_key)) == Account.from_key(private_key).address


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 2**32])
def test_created_addresses_equal_eth_utils(nonce: int) -> None:
    import rlp

    assert contract_address(BANK_A.address, nonce) == keccak(rlp.encode([BANK_A.address, nonce]))[12:]
