"""What the node knows of customers' consent, loaded in sets for one request, changed only with the journal.

`load` reads what a request may need in at most three queries. The view is asked and changed while the request
is decided, so that a later payment of a batch sees what an earlier one has used; nothing of it is stored
until its `changes` commit with the journal's page. Decisions over it are in `proof_decisions` and
`credential_changes`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from contracts.customer_approvals import Credential
from wallet_node.customers.mandates import MandateTerms
from wallet_node.errors import Refusal
from wallet_node.journal.periods import Period, period_start_s
from wallet_node.keystore.seals import Seals
from wallet_node.store import Store

Change = tuple[str, list[tuple[Any, ...]]]
"""A statement and the rows that it is run with."""

_VALUES_IN_ONE_QUERY = 1_000


class KeptCredential(msgspec.Struct):
    """One credential of one wallet. `is_first`: it was bound when the wallet was created."""

    credential: Credential
    is_first: bool
    is_bound: bool
    sign_count: int


class KeptMandate(msgspec.Struct):
    """One mandate, by the customer's approval of that hash; and what it has paid in the period of the view's
    `now_s`.
    """

    terms: MandateTerms
    proof_hash: bytes
    spent_minor: int


@dataclass(slots=True)
class CustomerView:
    """Credentials of some wallets and some mandates, as they are at `now_s` (max(clock, last seen))."""

    now_s: int
    seals: Seals
    wallets: dict[bytes, dict[bytes, KeptCredential]] = field(default_factory=dict)
    mandates: dict[bytes, KeptMandate] = field(default_factory=dict)
    revoked: set[bytes] = field(default_factory=set)
    standing_mandates: list[bytes] = field(default_factory=list)
    """Of the wallet that `load_standing_mandates` was asked for: registered, not revoked."""
    edited: set[bytes] = field(default_factory=set)
    """Wallets and mandates with a row that this node did not write: nothing is decided by these."""
    _inserted: dict[tuple[bytes, bytes], KeptCredential] = field(default_factory=dict, init=False)
    _updated: dict[tuple[bytes, bytes], KeptCredential] = field(default_factory=dict, init=False)
    _registered: list[bytes] = field(default_factory=list, init=False)
    _revoked_now: list[bytes] = field(default_factory=list, init=False)
    _spent: dict[tuple[bytes, int], int] = field(default_factory=dict, init=False)

    def refuse_edited(self, key: bytes) -> Refusal | None:
        """Why nothing is decided by what the store says of a wallet or a mandate; None where it may be."""
        if key not in self.edited:
            return None
        what = f"the credentials of 0x{key.hex()}" if len(key) == _ADDRESS_BYTES else f"mandate {key.hex()}"
        return Refusal(
            "SealBroken",
            f"somebody else than this node has written {what} into its store: run `verify-journal`",
        )

    def credentials_of(self, wallet: bytes) -> dict[bytes, KeptCredential]:
        """All credentials that a wallet has or had, by their ids; the wallet must have been loaded."""
        return self.wallets[wallet]

    def bound_credential(self, wallet: bytes, credential_id: bytes) -> KeptCredential | None:
        """The credential, if the wallet can be used with it now."""
        kept = self.wallets.get(wallet, {}).get(credential_id)
        return kept if kept is not None and kept.is_bound else None

    def record_binding(self, wallet: bytes, credential: Credential, is_first: bool) -> None:
        """A credential is bound, or bound again."""
        key = (wallet, credential.credential_id)
        kept = self.credentials_of(wallet).get(credential.credential_id)
        if kept is None:
            kept = KeptCredential(credential, is_first=is_first, is_bound=True, sign_count=0)
            self.wallets[wallet][credential.credential_id] = kept
            self._inserted[key] = kept
            return
        kept.is_bound = True
        self._updated[key] = kept

    def record_unbinding(self, wallet: bytes, credential_id: bytes) -> None:
        """A credential is of no use any more."""
        kept = self.wallets[wallet][credential_id]
        kept.is_bound = False
        self._updated[wallet, credential_id] = kept

    def record_sign_count(self, wallet: bytes, credential_id: bytes, sign_count: int) -> None:
        """An assertion was used. Most passkeys keep no counter: of those there is nothing to write."""
        kept = self.wallets[wallet][credential_id]
        if kept.sign_count != sign_count:
            kept.sign_count = sign_count
            self._updated[wallet, credential_id] = kept

    def record_mandate(self, mandate_id: bytes, terms: MandateTerms, proof_hash: bytes) -> None:
        """A mandate is registered; `proof_hash` is of the customer's approval."""
        self.mandates[mandate_id] = KeptMandate(terms, proof_hash, 0)
        self._registered.append(mandate_id)

    def record_revocation(self, mandate_id: bytes) -> None:
        """A mandate, known or not, is good for nothing any more; repeating changes nothing."""
        if mandate_id not in self.revoked:
            self.revoked.add(mandate_id)
            self._revoked_now.append(mandate_id)

    def record_spending(self, mandate_id: bytes, amount_minor: int) -> None:
        """A payment under a mandate gets its first signature."""
        kept = self.mandates[mandate_id]
        kept.spent_minor += amount_minor
        key = (mandate_id, period_start_s(kept.terms.period, self.now_s))
        self._spent[key] = self._spent.get(key, 0) + amount_minor

    @property
    def changes(self) -> list[Change]:
        """What was recorded, in an order that the store accepts; none, when nothing was."""
        seals = self.seals
        changes: list[Change] = [
            (
                _INSERT_CREDENTIAL,
                [
                    (*(row := _credential_row(*each)), seals.of(_CREDENTIAL, *row))
                    for each in self._inserted.items()
                ],
            ),
            (
                _UPDATE_CREDENTIAL,
                [
                    (kept.is_bound, kept.sign_count, seals.of(_CREDENTIAL, *_credential_row(key, kept)), *key)
                    for key, kept in self._updated.items()
                ],
            ),
            (_INSERT_MANDATE, [self._mandate_row(each, is_revoked=0) for each in self._registered]),
            (
                _REVOKE_MANDATE,
                [(self._mandate_row(each, is_revoked=1)[-1], each) for each in self._revocable()],
            ),
            (_INSERT_REVOCATION, [(mandate_id, self.now_s) for mandate_id in self._revoked_now]),
            (_ADD_SPENDING, [(*key, amount_minor) for key, amount_minor in self._spent.items()]),
        ]
        return [(statement, rows) for statement, rows in changes if rows]

    def _mandate_row(self, mandate_id: bytes, *, is_revoked: int) -> tuple[Any, ...]:
        kept = self.mandates[mandate_id]
        row = (mandate_id, *msgspec.structs.astuple(kept.terms), kept.proof_hash, is_revoked)
        return (*row, self.seals.of(_MANDATE, *row))

    def _revocable(self) -> list[bytes]:
        """What is revoked now and was registered; an edited row is not sealed anew."""
        return [each for each in self._revoked_now if each in self.mandates and each not in self.edited]


def load(
    store: Store,
    seals: Seals,
    now_s: int,
    wallets: Collection[bytes] = (),
    mandate_ids: Collection[bytes] = (),
) -> CustomerView:
    """The credentials of these wallets and these mandates; what is not known is not in it."""
    view = CustomerView(now_s, seals, {wallet: {} for wallet in wallets})
    if not wallets and not mandate_ids:
        return view
    for part in _parts(wallets):
        for *row, seal in store.query_in(_CREDENTIALS, part):
            wallet, *members, is_first, is_bound, sign_count = row
            kept = KeptCredential(Credential(*members), bool(is_first), bool(is_bound), sign_count)
            view.wallets[wallet][kept.credential.credential_id] = kept
            if not seals.is_of(seal, _CREDENTIAL, *row):
                view.edited.add(wallet)
    _load_mandates(store, view, mandate_ids)
    return view


def load_standing_mandates(store: Store, view: CustomerView, wallet: bytes) -> None:
    """Add the mandates of a wallet that are registered and not revoked, in the order of their ids."""
    view.standing_mandates = [mandate_id for (mandate_id,) in store.query(_STANDING, (wallet,))]
    _load_mandates(store, view, view.standing_mandates)


def _load_mandates(store: Store, view: CustomerView, mandate_ids: Collection[bytes]) -> None:
    starts = [period_start_s(period, view.now_s) for period in _PERIODS]
    for part in _parts(mandate_ids):
        marks = ",".join("?" * len(part))
        for *row, seal, spent_minor in store.query(_MANDATES.replace("#", marks), [*starts, *part]):
            mandate_id, *terms, proof_hash, is_revoked = row
            view.mandates[mandate_id] = KeptMandate(MandateTerms(*terms), proof_hash, spent_minor)
            if is_revoked:
                view.revoked.add(mandate_id)
            if not view.seals.is_of(seal, _MANDATE, *row):
                view.edited.add(mandate_id)
        view.revoked.update(mandate_id for (mandate_id,) in store.query_in(_REVOKED, part))


_ADDRESS_BYTES = 20
_CREDENTIAL, _MANDATE = "credential", "mandate"
"""What a row's seal says it is of."""
_PERIODS: tuple[Period, ...] = ("day", "week", "month")
_INSERT_CREDENTIAL = "INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE_CREDENTIAL = (
    "UPDATE credentials SET is_bound = ?, sign_count = ?, seal = ? WHERE wallet = ? AND credential_id = ?"
)
_INSERT_MANDATE = "INSERT INTO mandates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REVOKE_MANDATE = "UPDATE mandates SET is_revoked = 1, seal = ? WHERE mandate_id = ?"
_INSERT_REVOCATION = "INSERT INTO mandate_revocations VALUES (?, ?)"
_ADD_SPENDING = (
    "INSERT INTO mandate_spending VALUES (?, ?, ?) ON CONFLICT (mandate_id, period_start_s)"
    " DO UPDATE SET spent_minor = spent_minor + excluded.spent_minor"
)
_CREDENTIALS = (
    "SELECT wallet, credential_id, algorithm, public_key, is_first, is_bound, sign_count, seal"
    " FROM credentials WHERE wallet IN (#)"
)
_MANDATES = (
    "SELECT m.mandate_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s,"
    " proof_hash, is_revoked, seal, coalesce(spent_minor, 0)"
    " FROM mandates m LEFT JOIN mandate_spending s ON s.mandate_id = m.mandate_id"
    " AND period_start_s = CASE period WHEN 'day' THEN ? WHEN 'week' THEN ? ELSE ? END"
    " WHERE m.mandate_id IN (#)"
)
_STANDING = (
    "SELECT mandate_id FROM mandates WHERE payer = ?"
    " AND mandate_id NOT IN (SELECT mandate_id FROM mandate_revocations) ORDER BY mandate_id"
)
_REVOKED = "SELECT mandate_id FROM mandate_revocations WHERE mandate_id IN (#)"


def _credential_row(key: tuple[bytes, bytes], kept: KeptCredential) -> tuple[Any, ...]:
    wallet, credential_id = key
    credential = kept.credential
    return (
        wallet,
        credential_id,
        credential.algorithm,
        credential.public_key,
        int(kept.is_first),
        int(kept.is_bound),
        kept.sign_count,
    )


def _parts(values: Collection[bytes]) -> Iterator[list[bytes]]:
    wanted = list(values)
    for at in range(0, len(wanted), _VALUES_IN_ONE_QUERY):
        yield wanted[at : at + _VALUES_IN_ONE_QUERY]
