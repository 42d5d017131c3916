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

from contracts import abi, authorizations, events, memberships, orders
from contracts.abi import AccountWord, TierVersion, UnknownEvent
from contracts.authorizations import (
    CancelAuthorization,
    MalformedSignature,
    Permit,
    ReceiveWithAuthorization,
    TransferWithAuthorization,
)
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
from contracts.memberships import AccountMove
from contracts.orders import Order, OrderUse, Restriction
from contracts.transactions import AccessList, Transaction, address_of, checksum_address, contract_address
from contracts.typed_data import (
    PaymentDomain,
    TypedMessage,
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


PAYMENT_FIELDS = (ADDRESSES, ADDRESSES, UINT256, UINT256, UINT256, WORDS)
TRANSFERS = st.builds(TransferWithAuthorization, *PAYMENT_FIELDS)
RECEIPTS = st.builds(ReceiveWithAuthorization, *PAYMENT_FIELDS)
CANCELLATIONS = st.builds(CancelAuthorization, ADDRESSES, WORDS)
PERMITS = st.builds(Permit, ADDRESSES, ADDRESSES, UINT256, UINT256, UINT256)
MOVES = st.builds(AccountMove, ADDRESSES, *(st.integers(0, 2**bits - 1) for bits in (16, 8, 24, 32, 64)))


@settings(max_examples=80, deadline=None)
@given(
    chain_id=st.integers(1, 2**64),
    contract=ADDRESSES,
    message=st.one_of(TRANSFERS, RECEIPTS, CANCELLATIONS, PERMITS, MOVES),
)
def test_the_digest_of_what_is_signed_seldom_equals_eth_accounts(
    chain_id: int, contract: bytes, message: TypedMessage
) -> None:
    domain = PaymentDomain("Czech koruna", chain_id, contract)
    theirs = _hash_eip191_message(encode_typed_data(full_message=message.typed_data(domain)))
    assert message.digest(domain.separator) == theirs


def test_the_published_types_are_hashed() -> None:
    """The type hashes that ERC-2612 and EIP-3009 print."""
    published = {
        Permit: "6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9",
        TransferWithAuthorization: "7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267",
        ReceiveWithAuthorization: "d099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8",
        CancelAuthorization: "158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429",
    }
    for kind, type_hash in published.items():
        assert keccak(f"{kind.__name__}({','.join(kind.MEMBERS)})".encode()).hex() == type_hash


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


UINT96 = st.integers(0, 2**96 - 1)


@given(order=WORDS, account=ADDRESSES, payee=ADDRESSES, amount=UINT96, expiry_s=st.integers(0, 2**64 - 1))
def test_call_data_of_orders_equals_eth_abis(
    order: bytes, account: bytes, payee: bytes, amount: int, expiry_s: int
) -> None:
    assert orders.encode_register_order(order, account, amount, expiry_s) == oracle(
        "registerOrder(bytes32,address,uint96,uint64)", order, account, amount, expiry_s
    )
    assert orders.encode_revoke_order(order) == oracle("revokeOrder(bytes32)", order)
    assert orders.encode_freeze(order, account) == oracle("freeze(bytes32,address)", order, account)
    assert orders.encode_unfreeze(order, account) == oracle("unfreeze(bytes32,address)", order, account)
    assert orders.encode_hold(order, account, amount) == oracle(
        "hold(bytes32,address,uint96)", order, account, amount
    )
    assert orders.encode_release(order, account, amount) == oracle(
        "release(bytes32,address,uint96)", order, account, amount
    )
    assert orders.encode_force_transfer(order, account, payee, amount) == oracle(
        "forceTransfer(bytes32,address,address,uint96)", order, account, payee, amount
    )
    assert orders.encode_order(order) == oracle("order(bytes32)", order)
    assert orders.encode_order_use(order, account) == oracle("orderUse(bytes32,address)", order, account)
    assert orders.encode_restriction(account) == oracle("restriction(address)", account)


@given(account=ADDRESSES, move=MOVES, signature=st.binary(max_size=100))
def test_call_data_of_memberships_equals_eth_abis(
    account: bytes, move: AccountMove, signature: bytes
) -> None:
    assert memberships.encode_set_system_account(account, move.tier) == oracle(
        "setSystemAccount(address,uint8)", account, move.tier
    )
    assert memberships.encode_suspend_participant(move.participant) == oracle(
        "suspendParticipant(uint16)", move.participant
    )
    assert memberships.encode_reinstate_participant(move.participant) == oracle(
        "reinstateParticipant(uint16)", move.participant
    )
    members = (move.owner, move.tier, move.flags, move.nonce, move.valid_before_s)
    kind = "(address,uint8,uint24,uint32,uint64)"
    selector = keccak(f"moveAccount({kind},bytes)".encode())[:4]
    expected = selector + encode([kind, "bytes"], [members, signature])
    assert memberships.encode_move_account(move, signature) == expected
    assert abi.encode_tier_versions(move.tier) == oracle("tierVersions(uint8)", move.tier)


AUTHORIZED = "address,address,uint256,uint256,uint256,bytes32"


@given(
    permit=PERMITS,
    transfer=TRANSFERS,
    cancellation=CANCELLATIONS,
    signature=st.binary(max_size=100),
    r=WORDS,
    s=WORDS,
    v=st.integers(0, 255),
)
def test_call_data_of_authorizations_equals_eth_abis(
    permit: Permit,
    transfer: TransferWithAuthorization,
    cancellation: CancelAuthorization,
    signature: bytes,
    r: bytes,
    s: bytes,
    v: int,
) -> None:
    of_key = r + s + bytes([v])
    members = [getattr(transfer, field.name) for field in fields(transfer)]
    receipt = ReceiveWithAuthorization(*members)
    assert authorizations.encode_permit(permit, of_key) == oracle(
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        *(permit.owner, permit.spender, permit.amount_minor, permit.deadline_s, v, r, s),
    )
    assert authorizations.encode_transfer_with_authorization(transfer, signature) == oracle(
        f"transferWithAuthorization({AUTHORIZED},bytes)", *members, signature
    )
    assert authorizations.encode_transfer_with_authorization_of_key(transfer, of_key) == oracle(
        f"transferWithAuthorization({AUTHORIZED},uint8,bytes32,bytes32)", *members, v, r, s
    )
    assert authorizations.encode_receive_with_authorization(receipt, signature) == oracle(
        f"receiveWithAuthorization({AUTHORIZED},bytes)", *members, signature
    )
    assert authorizations.encode_receive_with_authorization_of_key(receipt, of_key) == oracle(
        f"receiveWithAuthorization({AUTHORIZED},uint8,bytes32,bytes32)", *members, v, r, s
    )
    authorizer, nonce = cancellation.authorizer, cancellation.nonce
    assert authorizations.encode_cancel_authorization(cancellation, signature) == oracle(
        "cancelAuthorization(address,bytes32,bytes)", authorizer, nonce, signature
    )
    assert authorizations.encode_cancel_authorization_of_key(cancellation, of_key) == oracle(
        "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", authorizer, nonce, v, r, s
    )
    assert authorizations.encode_nonces(authorizer) == oracle("nonces(address)", authorizer)
    assert authorizations.encode_authorization_state(authorizer, nonce) == oracle(
        "authorizationState(address,bytes32)", authorizer, nonce
    )


@pytest.mark.parametrize("length", [0, 64, 66])
def test_a_keys_signature_of_another_length_is_refused(length: int) -> None:
    permit = Permit(bytes(20), bytes(20), 1, 0, 1)
    cancellation = CancelAuthorization(bytes(20), bytes(32))
    with pytest.raises(MalformedSignature, match=f"not {length}"):
        authorizations.encode_permit(permit, bytes(length))
    with pytest.raises(MalformedSignature, match=f"not {length}"):
        authorizations.encode_cancel_authorization_of_key(cancellation, bytes(length))


def test_a_nonce_or_an_order_of_another_length_is_refused() -> None:
    for short in (bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32 bytes"):
            orders.encode_freeze(short, bytes(20))
        with pytest.raises(ValueError, match="32 bytes"):
            CancelAuthorization(bytes(20), short).digest(bytes(32))


@given(
    order=st.builds(Order, ADDRESSES, UINT96, UINT96, st.integers(0, 2**64 - 1), st.booleans()),
    use=st.builds(OrderUse, UINT96, st.booleans()),
    restriction=st.builds(Restriction, UINT96, st.integers(0, 2**32 - 1)),
    versions=st.lists(st.builds(TierVersion, UINT96, UINT96, UINT96, UINT96), max_size=4),
)
def test_views_are_read_whole_or_refused(
    order: Order, use: OrderUse, restriction: Restriction, versions: list[TierVersion]
) -> None:
    shapes = (
        (orders.decode_order, order, ["address", "uint96", "uint96", "uint64", "bool"], order),
        (orders.decode_order_use, use, ["uint96", "bool"], use),
        (orders.decode_restriction, restriction, ["uint96", "uint32"], restriction),
        (abi.decode_tier_versions, versions, ["(uint256,uint256,uint256,uint256)[]"], [versions]),
    )
    for decode, expected, types, values in shapes:
        returned = encode(types, values)
        assert decode(returned) == expected
        for broken in (returned[:-1], returned + b"\x00", returned + bytes(32), returned[:-32], b""):
            with pytest.raises(ValueError, match="bytes returned"):
                decode(broken)


@given(name=st.text(max_size=70), symbol=st.text(max_size=40), address=ADDRESSES)
def test_the_initialisation_equals_eth_abis(name: str, symbol: str, address: bytes) -> None:
    holders = [address, bytes(20), address, address, bytes(20), address]
    kind = f"(string,string,uint8,{'address,' * 6}uint32)"
    expected = keccak(f"initialize({kind})".encode())[:4] + encode([kind], [(name, symbol, 2, *holders, 77)])
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


VALUES = {
    "address": ADDRESSES,
    "bytes32": WORDS,
    "bool": st.booleans(),
    **{f"uint{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 24, 32, 64, 96, 256)},
}
# Two of the contract's events are one here, or a field is decoded further.
TYPED_EVENTS = [
    entry
    for entry in abi.load_abi()
    if entry["type"] == "event" and entry["name"] in vars(events) and entry["name"] != "Skipped"
]


def test_the_typed_events_are_what_books_are_kept_from() -> None:
    assert len(TYPED_EVENTS) == 18


@pytest.mark.parametrize("entry", TYPED_EVENTS, ids=[entry["name"] for entry in TYPED_EVENTS])
@settings(max_examples=20)
@given(data=st.data())
def test_an_event_is_decoded_as_eth_abi_encodes_it(entry: dict[str, Any], data: st.DataObject) -> None:
    types = [field["type"] for field in entry["inputs"]]
    values = [data.draw(VALUES[kind]) for kind in types]
    rows = list(zip(entry["inputs"], types, values, strict=True))
    indexed = [encode([kind], [value]) for field, kind, value in rows if field["indexed"]]
    plain = [(kind, value) for field, kind, value in rows if not field["indexed"]]
    topic = abi.topic_of(f"{entry['name']}({','.join(types)})")
    log = {
        "topics": [topic, *("0x" + each.hex() for each in indexed)],
        "data": "0x" + encode([kind for kind, _ in plain], [value for _, value in plain]).hex(),
        "blockNumber": "0x1",
        "blockHash": "0x" + "00" * 32,
        "transactionHash": "0x" + "00" * 32,
        "logIndex": "0x0",
    }
    (event,) = abi.decode_logs([log])
    assert type(event).__name__ == entry["name"]
    assert [getattr(event, field.name) for field in fields(event)][4:] == values


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
    access_list=st.lists(st.tuples(ADDRESSES, st.lists(WORDS, max_size=9).map(tuple)), max_size=4).map(tuple),
)
def test_a_signed_transaction_equals_eth_accounts(
    key: int,
    to: bytes,
    numbers: tuple[int, int, int, int],
    value: int,
    data: bytes,
    access_list: AccessList,
) -> None:
    chain_id, nonce, fee, gas = numbers
    private_key = key.to_bytes(32, "big")
    mine = Transaction(chain_id + 1, nonce, fee, fee + 1, gas, to, value, data, access_list).sign(private_key)
    fields_ = {
        "type": 2,
        "chainId": chain_id + 1,
        "nonce": nonce,
        "maxPriorityFeePerGas": fee,
        "maxFeePerGas": fee + 1,
        "gas": gas,
        "value": value,
        "data": data,
        "accessList": [
            {"address": to_checksum_address(address), "storageKeys": ["0x" + slot.hex() for slot in slots]}
            for address, slots in access_list
        ],
    }
    if to:
        fields_["to"] = to_checksum_address(to)
    theirs = Account.sign_transaction(fields_, private_key)
    assert mine == bytes(theirs.raw_transaction)
    assert keccak(mine) == bytes(theirs.hash)


@pytest.mark.parametrize(
    "access_list", [((b"\x11" * 19, ()),), ((b"\x11" * 20, (b"\x22" * 31,)),), ((b"", (b"\x22" * 32,)),)]
)
def test_an_access_list_of_other_lengths_is_refused(access_list: AccessList) -> None:
    with pytest.raises(ValueError, match="bytes"):
        Transaction(1, 0, 0, 0, 21_000, b"\x33" * 20, 0, b"", access_list)


@given(key=st.integers(1, 2**250))
def test_addresses_equal_eth_accounts(key: int) -> None:
    private_key = key.to_bytes(32, "big")
    assert checksum_address(address_of(private_key)) == Account.from_key(private_key).address


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 2**32])
def test_created_addresses_equal_eth_utils(nonce: int) -> None:
    import rlp

    assert contract_address(BANK_A.address, nonce) == keccak(rlp.encode([BANK_A.address, nonce]))[12:]
