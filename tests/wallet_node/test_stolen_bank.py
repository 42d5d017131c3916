"""The headline: a thief of the bank's API and database, and what of the customers' money can be moved.

a stolen bank
├── over a day moves no more than the low-value allowances: of a wallet, and of all together
├── over a week no more than those of the week
│   └── although every verb of the node is the API's, web3signer's too, and the node starts anew each day
├── can at no moment execute more than one day's allowances, however often all are asked for again
├── takes all of the allowances (or this would prove nothing)
├── moves money under mandates to their payees alone, within their caps
├── moves what was approved, once
├── moves the bank's float into wallets of the bank alone, within the funding rule
├── tries every door that there is
└── leaves a journal that verifies, with a row for each nonce that was used
"""

from collections.abc import Iterable

from node_builders import POLICIES, Home
from stolen_bank import MANDATE_CAP_MINOR, StolenBank, address, sandbox_policy
from stolen_signatures import HARMLESS, Moved, by_payer, most_in_any
from thief import Thief

from wallet_node.callers import VERBS
from wallet_node.intents.movements import Kind
from wallet_node.journal.verification import verify

HOUR_S, DAY_S = 3_600, 86_400
TEMPLATE = POLICIES.joinpath("sandbox-bank.yaml").read_bytes()

# What docs/threat-model.md and the policy's own comment promise, in hellers.
A_PAYMENT, A_WALLETS_DAY, A_WALLETS_WEEK, A_DAY_OF_ALL = 50_000, 150_000, 500_000, 100_000_000
FUNDING_A_DAY, FUNDING_A_WEEK = 500_000_000_000, 2_000_000_000_000
ISSUING_A_DAY = 1_000_000_000_000


async def robbed(home: Home, hours: Iterable[int], **options: bool) -> tuple[StolenBank, Thief]:
    """A bank after its thief has tried everything at each of these hours."""
    bank = await StolenBank(home, sandbox_policy(TEMPLATE, **options)).live()
    thief, start_s = Thief(bank), bank.now_s
    day = 0
    for hour in hours:
        home.clock.now_s = start_s + hour * HOUR_S
        if hour // 24 != day:
            day = hour // 24
            bank.restart()
        await thief.hour()
    return bank, thief


async def test_over_a_day_a_stolen_bank_moves_no_more_than_the_low_value_allowances(home: Home) -> None:
    bank, thief = await robbed(home, (0, 1, 12, 23))
    require_bounds(bank, thief)
    stolen = bank.signatures.stolen()
    assert sum(each.amount_minor for each in stolen) == A_DAY_OF_ALL, "the thief did not even take it all"
    require_every_door(bank)


async def test_over_a_week_a_stolen_bank_moves_no_more_than_the_weeks_allowances(home: Home) -> None:
    """Although every verb of the node is the API's, and the node starts anew each day."""
    hours = [day * 24 + hour for day in range(8) for hour in ((0, 1, 2) if day in (0, 7) else (day,))]
    bank, thief = await robbed(home, hours, api_has_every_verb=True)
    require_bounds(bank, thief)
    wallets = by_payer(bank.signatures.stolen()).values()
    assert max(most_in_any(7 * DAY_S, moved) for moved in wallets) == A_WALLETS_WEEK
    assert most_in_any(DAY_S, times(bank.signatures.stolen())) == A_DAY_OF_ALL


async def test_what_the_policy_leaves_to_a_thief_is_what_the_thief_takes(home: Home) -> None:
    """The attempts are alive: with a tenth of the allowances a tenth is taken."""
    tenth = TEMPLATE.replace(b"institution: {day_minor: 100000000}", b"institution: {day_minor: 10000000}")
    bank = await StolenBank(home, sandbox_policy(tenth)).live()
    await Thief(bank).hour()
    assert sum(each.amount_minor for each in bank.signatures.stolen()) == A_DAY_OF_ALL // 10


# ------------------------------------------------------------------------------------------ what must hold


def require_bounds(bank: StolenBank, thief: Thief) -> None:
    """Of every signature that ever left the node."""
    said = bank.signatures
    stolen = said.stolen()
    assert stolen
    assert max(each.amount_minor for each in stolen) <= A_PAYMENT
    for moved in by_payer(stolen).values():
        assert most_in_any(DAY_S, moved) <= A_WALLETS_DAY
        assert most_in_any(7 * DAY_S, moved) <= A_WALLETS_WEEK
    assert most_in_any(DAY_S, times(stolen)) <= A_DAY_OF_ALL
    assert most_in_any(7 * DAY_S, times(stolen)) <= 7 * A_DAY_OF_ALL
    assert said.most_executable() <= A_DAY_OF_ALL
    require_customers_words(bank)
    require_funding(bank, thief)
    node = bank.application.node
    assert verify(node._store).rows >= len(said.moved) + len(said.called)
    assert node.policy.source == bank.policy


def require_customers_words(bank: StolenBank) -> None:
    """Mandates pay their payees, within their caps; an approval pays what was approved, once."""
    said = bank.signatures
    approved = {"assertion:" + payment_id: asked for payment_id, asked in said.approved.items()}
    used: dict[str, list[Moved]] = {}
    for each in said.on_a_customers_word():
        used.setdefault(each.why, []).append(each)
    assert used.keys() <= said.mandates.keys() | approved.keys()
    assert approved.keys() <= used.keys()
    for why, moved in used.items():
        asked = said.mandates.get(why) or approved[why]
        payee = address(asked["payee"])
        assert all(each.payer == address(asked["payer"]) for each in moved)
        assert all({to for to, _ in each.payees} == {payee} for each in moved)
        if why in approved:
            assert [each.amount_minor for each in moved] == [asked["amount_minor"]]
            continue
        days: dict[int, int] = {}
        for each in moved:
            days[each.at_s // DAY_S] = days.get(each.at_s // DAY_S, 0) + each.amount_minor
            assert asked["starts_at_s"] <= each.at_s < asked["expires_at_s"]
        assert max(days.values()) <= MANDATE_CAP_MINOR
    assert bank.mandates[3]["mandate_id"] not in used, "it was revoked"


def require_funding(bank: StolenBank, thief: Thief) -> None:
    """The bank's float: into its own wallets and back to the central bank, within what the policy says."""
    said = bank.signatures
    own = said.customers | set(map(address, thief.own_wallets))
    spent = said.of_the_institution()
    assert {to for each in spent for to, _ in each.payees} <= own
    assert most_in_any(DAY_S, times(spent)) <= FUNDING_A_DAY
    assert most_in_any(7 * DAY_S, times(spent)) <= FUNDING_A_WEEK
    issued = []
    for at_s, movement in said.calls():
        assert movement.kind in HARMLESS, movement
        if movement.kind in (Kind.MINT, Kind.BURN):
            issued.append((at_s, movement.amount_minor))
        if movement.kind is Kind.PAYMENT and movement.payer in own | {said.institution}:
            signed = said.moved["payment", movement.payer, movement.detail["nonce"]]  # counted above
            assert signed.payees == ((movement.payee, movement.amount_minor),)
    assert most_in_any(DAY_S, issued) <= ISSUING_A_DAY


def require_every_door(bank: StolenBank) -> None:
    tried = {(method, path) for method, path in bank.tried if (method, path) in VERBS}
    signing = ("POST", "/api/v1/eth1/sign/" + bank.institution)
    assert signing in bank.tried
    assert tried | {("POST", "/api/v1/eth1/sign/{identifier}")} == VERBS.keys()


def times(moved: Iterable[Moved]) -> list[tuple[int, int]]:
    return [(each.at_s, each.amount_minor) for each in moved]
