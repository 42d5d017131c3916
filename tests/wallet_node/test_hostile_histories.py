"""Random histories of the whole node, and requests at once: an id is decided once.

histories
├── what was refused under an id is refused for the same reasons for ever
│   └── through restarts, policies that would allow it, and clocks that step either way
├── what was signed under an id stays of one content and one nonce
└── the journal verifies at the end of each
at once
├── many requests for one payment id, of several contents, get one content signed, as the same bytes
├── so do many for one transaction id
└── and the allowance is taken once, however many ask at once
"""

import asyncio
import json
import uuid
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_builders import STRANGER, Home, batch, customers, payment, sign, sign_one, transaction
from officers_word import put_in_force
from policy_builders import OFFICERS, bundled, officers_text

from contracts.abi import encode_mint, encode_pause
from wallet_node.callers import Peer
from wallet_node.errors import RefusedByNode
from wallet_node.journal.verification import verify
from wallet_node.transport.routes import Application, Connection

BANK = bundled("sandbox-bank").source
MINTS = {name: "0x" + encode_mint(amount).hex() for name, amount in (("small", 5), ("large", 500))}
CALLS = [*MINTS.values(), "0x" + encode_pause().hex()]


def policy_of(version: int, most_minor: int) -> bytes:
    """Of one family: each allows other amounts than the one before."""
    return f"""
name: tested
version: {version}
summary: One of several.
nonces: {{longest_payment_jump: 10, longest_transaction_jump: 10}}
longest_validity_s: 5000000
customers: {{highest_index: 9}}
{officers_text()}
quorums: [{{name: officers, approvals: 2, officers: [{", ".join(OFFICERS)}], valid_s: 86400}}]
changes: {{policy: officers}}
payments:
  - name: pay
    effect: allow
    payer: derived
    payee: any
    per_payment_cap_minor: {most_minor}
    caps: {{day_minor: {3 * most_minor}}}
transactions:
  - {{name: mint, effect: allow, key: institution, to: currency, calls: [mint(uint256)],
     per_call_cap_minor: {most_minor}}}
""".encode()


STEPS_OF_THE_CLOCK_S = (-400_000, -4_000, 4_000, 100_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(0, 4), st.sampled_from([1, 50, 500]), st.integers(1, 2)),
        st.tuples(st.just("call"), st.integers(0, 3), st.sampled_from(CALLS), st.sampled_from([1, 2])),
        st.tuples(st.just("policy"), st.sampled_from([10, 100, 1_000]), st.none(), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none(), st.none()),
        st.tuples(
            st.just("clock"), st.sampled_from([-400_000, -4_000, 4_000, 100_000]), st.none(), st.none()
        ),
    ),
    max_size=25,
)


class History:
    """One home, and what was ever answered about each id."""

    def __init__(self, home: Home) -> None:
        self.home, self.version, self.policy = home, 1, policy_of(1, 100)
        self.node = home.open(self.policy)
        self.payer = customers(self.node, 1)[0]
        self.refused: dict[str, Any] = {}
        self.signed: dict[str, Any] = {}

    def take(self, step: tuple[Any, ...]) -> None:
        what, first, second, third = step
        match what:
            case "pay":
                self.pay(str(uuid.UUID(int=first)), second, third)
            case "call":
                self.call(str(uuid.UUID(int=100 + first)), second, third)
            case "policy":
                self.version += 1
                self.policy = policy_of(self.version, first)
                put_in_force(self.node, self.policy)
            case "restart":
                self.node = self.home.open(self.policy)
            case "clock":
                self.home.clock.now_s += first

    def pay(self, payment_id: str, amount_minor: int, attempt: int) -> None:
        asked = payment(self.payer, STRANGER, amount_minor, payment_id=payment_id, attempt=attempt)
        until_s = 1_800_000_000 + attempt
        result = sign(self.node, batch(asked, valid_before_s=until_s))[0]
        if "signature" in result:
            self.was_signed(payment_id, (amount_minor, result["nonce"]))
        elif payment_id not in self.signed:
            self.was_refused(payment_id, [each.code for each in result["refusal"]["reasons"]])

    def call(self, transaction_id: str, data: str, fee: int) -> None:
        fees = {"max_fee_per_gas": fee * 10**9, "max_priority_fee_per_gas": 1}
        try:
            result = sign_one(self.node, transaction(data, transaction_id=transaction_id, **fees))
        except RefusedByNode as refused:
            if transaction_id not in self.signed:
                self.was_refused(transaction_id, [each.code for each in refused.reasons])
        else:
            self.was_signed(transaction_id, (data, result["nonce"]))

    def was_signed(self, intent_id: str, content: Any) -> None:
        assert intent_id not in self.refused, "a refused id was signed"
        assert self.signed.setdefault(intent_id, content) == content

    def was_refused(self, intent_id: str, codes: list[str]) -> None:
        assert self.refused.setdefault(intent_id, codes) == codes


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_what_was_refused_is_never_signed_whatever_happens_to_policy_clock_and_process(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "home"
    path.mkdir(mode=0o700)
    history = History(Home(path).bind())
    history.node._store.connection.execute("PRAGMA synchronous = OFF")
    for step in steps:
        history.take(step)
    for number in range(5):  # and once more, under a policy that allows everything
        history.pay(str(uuid.UUID(int=number)), 1, 1)
    history.take(("policy", 10**6, None, None))
    for number in range(5):
        history.pay(str(uuid.UUID(int=number)), 1, 1)
    verify(history.node._store)
    history.home.close()


# ------------------------------------------------------------------------------------------ at once


async def slowly(application: Application, path: str, body: dict[str, Any], parts: int) -> tuple[int, Any]:
    """A request whose body comes in parts, between which others are served."""
    content = json.dumps(body).encode()
    size = len(content) // parts + 1
    pending = [content[at : at + size] for at in range(0, len(content), size)]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(0)
        part = pending.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(pending)}

    async def send(message: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await application(
        {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [],
            "state": {"connection": Connection(Peer("api"))},
        },
        receive,
        send,
    )
    return sent[0]["status"], json.loads(sent[1]["body"])


async def test_many_requests_for_one_payment_id_get_one_content_signed(home: Home) -> None:
    application = Application(home.open(BANK))
    (payer,) = customers(application.node, 1)
    payment_id = str(uuid.uuid4())
    asked = [
        payment(payer, payee, amount, payment_id=payment_id)
        for _ in range(8)
        for payee, amount in ((STRANGER, 100), (STRANGER, 200), ("0x" + "cd" * 20, 100))
    ]
    answers = await asyncio.gather(
        *[
            slowly(application, "/v1/payments:sign", batch(each), 1 + place % 5)
            for place, each in enumerate(asked)
        ]
    )
    assert {status for status, _ in answers} == {200}
    results = [answer["results"][0] for _, answer in answers]
    signed = {
        (one["payee"], one["amount_minor"], result["nonce"], result["signature"])
        for one, result in zip(asked, results, strict=True)
        if "signature" in result
    }
    assert len(signed) == 1
    refused = {result["refusal"]["code"] for result in results if "refusal" in result}
    assert refused == {"PaymentIdReused"}
    assert sum("signature" in result for result in results) == 8


async def test_many_requests_for_one_transaction_id_get_one_content_signed(home: Home) -> None:
    application = Application(home.open(BANK))
    transaction_id = str(uuid.uuid4())
    asked = [transaction(data, transaction_id=transaction_id) for _ in range(8) for data in MINTS.values()]
    answers = await asyncio.gather(
        *[slowly(application, "/v1/transactions:sign", each, 1 + at % 5) for at, each in enumerate(asked)]
    )
    assert len({answer["raw"] for status, answer in answers if status == 200}) == 1
    assert {answer["code"] for status, answer in answers if status != 200} == {"TransactionIdReused"}
    assert application.node.readiness()["journal_rows"] == 2  # one signed, one refused attempt


async def test_an_allowance_is_taken_once_however_many_ask_at_once(home: Home) -> None:
    application = Application(home.open(BANK))
    (payer,) = customers(application.node, 1)
    answers = await asyncio.gather(
        *[
            slowly(application, "/v1/payments:sign", batch(payment(payer, amount_minor=50_000)), 1 + at % 7)
            for at in range(20)
        ]
    )
    assert sum("signature" in answer["results"][0] for _, answer in answers) == 3
