"""What a policy file must keep beyond its fields: references that resolve, and no combination that is weaker
than it looks.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from wallet_node import callers
from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import (
    ANY,
    DERIVED,
    OTHER,
    SHORTEST_APPROVAL_S,
    CredentialTerms,
    Hours,
    Officer,
    PaymentRule,
    PolicyFile,
    Quorum,
    RollingCaps,
    TransactionRule,
)
from wallet_node.policy.officers import officer_key

FEWEST_APPROVALS_OF_A_CHANGE = 2


def require_sound(file: PolicyFile) -> None:
    """Raises MalformedPolicy that names what is wrong, where, and what would be right."""
    names = [rule.name for rule in file.payments] + [rule.name for rule in file.transactions]
    _require_distinct("rules", names)
    _require_distinct("officers", [officer.name for officer in file.officers])
    _require_distinct("quorums", [quorum.name for quorum in file.quorums])
    callers.require_sound(file.callers)
    _require_officers(file)
    for quorum in file.quorums:
        _require_quorum(file, quorum)
    for rule in file.payments:
        _require_payment_rule(file, rule)
    for call_rule in file.transactions:
        _require_transaction_rule(file, call_rule)
    _require_one_quorum_each(file)
    _require_changes(file)


# ------------------------------------------------------------------------------------------ officers


def _require_officers(file: PolicyFile) -> None:
    owners: dict[bytes, str] = {}
    for officer in file.officers:
        key = officer_key(officer)
        if key in owners:
            raise MalformedPolicy(
                f"officer {officer.name!r}: has the key of {owners[key]!r}; one key is one person"
            )
        owners[key] = officer.name
        if officer.credential is not None and file.customer_proof is None:
            raise MalformedPolicy(
                f"officer {officer.name!r}: approves with a passkey, so the policy needs 'customer_proof':"
                " the site and the origins where passkeys are used"
            )


def _require_quorum(file: PolicyFile, quorum: Quorum) -> None:
    where = f"quorum {quorum.name!r}"
    _require_distinct(f"officers of the {where}", quorum.officers)
    for name in quorum.officers:
        if file.officer(name) is None:
            raise MalformedPolicy(
                f"{where}, field 'officers': there is no officer {name!r}; {_listed(file.officers)}"
            )
    if quorum.approvals > len(quorum.officers):
        raise MalformedPolicy(
            f"{where}, field 'approvals': {quorum.approvals} are more than its officers, who are"
            f" {len(quorum.officers)}"
        )


# ------------------------------------------------------------------------------------------ rules


def _require_payment_rule(file: PolicyFile, rule: PaymentRule) -> None:
    where = f"payments rule {rule.name!r}"
    if rule.effect == "deny":
        given = {
            "per_payment_cap_minor": rule.per_payment_cap_minor,
            "caps": rule.caps,
            "proof": rule.proof,
            "unproved": rule.unproved,
            "quorum": rule.quorum,
        }
        _require_none(where, given)
    elif rule.code is not None:
        raise MalformedPolicy(f"{where}, field 'code': only a deny rule has one")
    if not rule.intents:
        raise MalformedPolicy(f"{where}, field 'intents': lists none")
    _require_distinct(f"intents of the {where}", rule.intents)
    if rule.payer == OTHER:
        raise MalformedPolicy(
            f"{where}, field 'payer': this node signs with its own keys only, not {OTHER!r}"
        )
    _require_hours(where, rule.hours)
    _require_known_quorum(file, f"{where}, field 'quorum'", rule.quorum)
    if (
        "account_move" in rule.intents
        and (rule.per_payment_cap_minor, rule.caps, rule.unproved) != (None,) * 3
    ):
        raise MalformedPolicy(
            f"{where}, field 'intents': 'account_move' takes all the account's money along, which no amount"
            " caps; give it a rule of its own"
        )
    if rule.caps is not None:
        _require_caps(f"{where}, field 'caps'", rule.caps.day_minor, rule.caps.week_minor, rule.caps.wallet)
        if rule.caps.wallet is not None:
            _require_rolling(f"{where}, field 'caps.wallet'", rule.caps.wallet)
    _require_proof(file, rule, where)


def _require_proof(file: PolicyFile, rule: PaymentRule, where: str) -> None:
    if rule.proof is not None:
        if rule.payer != DERIVED:
            raise MalformedPolicy(
                f"{where}, field 'proof': only a payer who is {DERIVED!r} is a customer, who can prove it"
            )
        if file.customer_proof is None:
            raise MalformedPolicy(
                f"{where}, field 'proof': needs the policy's 'customer_proof', against which it is verified"
            )
    elif rule.unproved is not None:
        raise MalformedPolicy(f"{where}, field 'unproved': is an allowance beside 'proof: customer' only")
    elif (
        file.customer_proof is not None
        and rule.effect == "allow"
        and rule.payer in (DERIVED, ANY)
        and rule.quorum is None
    ):
        raise MalformedPolicy(
            f"{where}: lets customers' keys sign without their proof; it needs 'proof: customer' or a quorum"
        )
    unproved = rule.unproved
    if unproved is None:
        return
    for field, caps in (("wallet", unproved.wallet), ("institution", unproved.institution)):
        place = f"{where}, field 'unproved.{field}'"
        if caps.day_minor is None:
            raise MalformedPolicy(
                f"{place}: needs a 'day_minor'; an allowance without it is as large as a thief's patience"
            )
        _require_rolling(place, caps)
        if unproved.per_payment_cap_minor > caps.day_minor:
            raise MalformedPolicy(f"{place}: a day allows less than one payment of 'per_payment_cap_minor'")
    if (unproved.longest_validity_s or 0) > file.longest_validity_s:
        raise MalformedPolicy(
            f"{where}, field 'unproved.longest_validity_s': is above the policy's own,"
            f" {file.longest_validity_s}, so it bounds nothing"
        )
    if unproved.attempts_within_s is not None and unproved.longest_validity_s is None:
        raise MalformedPolicy(
            f"{where}, field 'unproved.attempts_within_s': bounds nothing without"
            " 'longest_validity_s' beside it"
        )
    if (unproved.wallet.day_minor or 0) > (unproved.institution.day_minor or 0):
        raise MalformedPolicy(
            f"{where}, field 'unproved': one wallet may spend more than the whole institution"
        )


def _require_transaction_rule(file: PolicyFile, rule: TransactionRule) -> None:
    where = f"transactions rule {rule.name!r}"
    if not rule.calls:
        raise MalformedPolicy(f"{where}, field 'calls': lists no call")
    _require_distinct(f"calls of the {where}", rule.calls)
    if rule.effect == "deny":
        given = {
            "maximum_gas": rule.maximum_gas,
            "maximum_fee_per_gas_wei": rule.maximum_fee_per_gas_wei,
            "per_call_cap_minor": rule.per_call_cap_minor,
            "caps": rule.caps,
            "quorum": rule.quorum,
        }
        _require_none(where, given)
    else:
        if rule.code is not None:
            raise MalformedPolicy(f"{where}, field 'code': only a deny rule has one")
        if rule.to in (ANY, OTHER) and rule.quorum is None:
            raise MalformedPolicy(
                f"{where}, field 'to': {rule.to!r} lets a key call whatever contract a caller names; name a"
                " bound contract (currency, notary), or a quorum"
            )
    _require_hours(where, rule.hours)
    _require_known_quorum(file, f"{where}, field 'quorum'", rule.quorum)
    if rule.caps is not None:
        _require_rolling(f"{where}, field 'caps'", rule.caps)


def _require_one_quorum_each(file: PolicyFile) -> None:
    """Of all rules that allow one thing at most one quorum is asked for: an operation has one."""
    payments = [rule for rule in file.payments if rule.effect == "allow" and rule.quorum is not None]
    for first, second in combinations(payments, 2):
        is_overlap = _meet(first.payer, second.payer) and _meet(first.payee, second.payee)
        _require_same_quorum(first, second, is_overlap=is_overlap and _share(first.intents, second.intents))
    calls = [rule for rule in file.transactions if rule.effect == "allow" and rule.quorum is not None]
    for one, other in combinations(calls, 2):
        is_overlap = _meet(one.key, other.key) and _meet(one.to, other.to)
        _require_same_quorum(one, other, is_overlap=is_overlap and _share(one.calls, other.calls))


def _require_same_quorum(
    first: PaymentRule | TransactionRule, second: PaymentRule | TransactionRule, *, is_overlap: bool
) -> None:
    if is_overlap and first.quorum != second.quorum:
        raise MalformedPolicy(
            f"rules {first.name!r} and {second.name!r}, field 'quorum': both allow the same, under different"
            f" quorums ({first.quorum!r}, {second.quorum!r}); name one"
        )


# ------------------------------------------------------------------------------------------ changes


def _require_changes(file: PolicyFile) -> None:
    changes, terms = file.changes, file.changes.credential_terms
    _require_known_quorum(file, "changes, field 'policy'", changes.policy)
    _require_known_quorum(file, "changes, field 'credentials'", None if terms is None else terms.quorum)
    _require_known_quorum(file, "changes, field 'repairs'", changes.repairs)
    if terms is not None:
        _require_time_after_cooling(file, terms)
    named = file.changes.policy
    if named is None:
        return
    changing = file.quorum(named)
    assert changing is not None
    # Whoever may replace the policy may replace every quorum in it.
    strongest = max([FEWEST_APPROVALS_OF_A_CHANGE, *(quorum.approvals for quorum in _used_quorums(file))])
    if changing.approvals < strongest:
        raise MalformedPolicy(
            f"changes, field 'policy': the quorum {named!r} has {changing.approvals} approvals; a change of"
            f" the policy can undo whatever else is protected, so it needs at least {strongest}"
        )


def _require_time_after_cooling(file: PolicyFile, terms: CredentialTerms) -> None:
    quorum = file.quorum(terms.quorum)
    assert quorum is not None, "just looked up"
    least_s = terms.cooling_s + SHORTEST_APPROVAL_S
    if quorum.valid_s < least_s:
        raise MalformedPolicy(
            f"changes, field 'credentials': after {terms.cooling_s} s of cooling an operation of the quorum"
            f" {quorum.name!r} has expired; its 'valid_s' is {quorum.valid_s} and needs at least {least_s}"
        )


def _used_quorums(file: PolicyFile) -> Iterator[Quorum]:
    names = {rule.quorum for rule in file.payments} | {rule.quorum for rule in file.transactions}
    terms = file.changes.credential_terms
    names |= {None if terms is None else terms.quorum, file.changes.repairs}
    return (quorum for quorum in file.quorums if quorum.name in names)


# ------------------------------------------------------------------------------------------ parts


def _meet(first: str, second: str) -> bool:
    return ANY in (first, second) or first == second


def _share(first: Iterable[str], second: Iterable[str]) -> bool:
    return not set(first).isdisjoint(second)


def _require_known_quorum(file: PolicyFile, place: str, name: str | None) -> None:
    if name is not None and file.quorum(name) is None:
        raise MalformedPolicy(f"{place}: there is no quorum {name!r}; {_listed(file.quorums)}")


def _require_none(where: str, given: Mapping[str, object]) -> None:
    for field, value in given.items():
        if value is not None:
            raise MalformedPolicy(f"{where}, field {field!r}: only an allow rule can have it")


def _require_caps(place: str, day: int | None, week: int | None, wallet: RollingCaps | None) -> None:
    if day is None and week is None and wallet is None:
        raise MalformedPolicy(f"{place}: caps nothing; allowed: day_minor, week_minor, wallet")
    _require_order(place, day, week)


def _require_rolling(place: str, caps: RollingCaps) -> None:
    if caps.day_minor is None and caps.week_minor is None:
        raise MalformedPolicy(f"{place}: caps nothing; allowed: day_minor, week_minor")
    _require_order(place, caps.day_minor, caps.week_minor)


def _require_order(place: str, day: int | None, week: int | None) -> None:
    if day is not None and week is not None and day > week:
        raise MalformedPolicy(f"{place}: a day's {day} is above a week's {week}, so it caps nothing")


def _require_hours(where: str, hours: tuple[Hours, ...] | None) -> None:
    if hours == ():
        raise MalformedPolicy(f"{where}, field 'hours': lists none; leave it out for every hour")
    for window in hours or ():
        if window.first_hour >= window.end_hour:
            raise MalformedPolicy(
                f"{where}, field 'hours': from {window.first_hour} to {window.end_hour} is no time; a night"
                " is two windows"
            )
        if not window.days:
            raise MalformedPolicy(f"{where}, field 'hours': a window has no days")
        _require_distinct(f"days of the {where}", window.days)


def _require_distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MalformedPolicy(f"{what}: {name!r} is there twice")
        seen.add(name)


def _listed(named: Iterable[Officer | Quorum]) -> str:
    names = ", ".join(each.name for each in named)
    return (
        f"allowed: {names}"
        if names
        else "the policy lists none (a template is completed with officers first)"
    )
