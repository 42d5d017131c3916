"""What customers have given the node: credentials and mandates, each change with a row in the journal."""

from typing import Any

import msgspec

from contracts.customer_approvals import NO_CREDENTIAL, Credential
from wallet_node.addresses import checksummed
from wallet_node.customer_proof import CredentialFields, parse_credential
from wallet_node.customers import view as customers
from wallet_node.customers.credential_changes import (
    ChangeAccepted,
    CredentialChangeRequest,
    CredentialChangeStop,
    ParsedChange,
    bind_at_creation,
    decide_change,
    decide_change_by_quorum,
    decide_stop,
    judge_change,
    parse_change,
)
from wallet_node.customers.mandates import MandateRegistration, MandateRegistrations, MandateRevocations
from wallet_node.customers.proof_decisions import Disproved, ProofTerms, decide_mandate_registration
from wallet_node.customers.view import CustomerView
from wallet_node.deployment import Deployment
from wallet_node.errors import ContradictoryRequest, CredentialMalformed, Refusal, RefusedByNode
from wallet_node.fields import identifier_bytes
from wallet_node.intents.requests import Derivation
from wallet_node.journal.entries import (
    CredentialBound,
    CredentialChanged,
    MandateRegistered,
    MandateRevoked,
)
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import KeyProvider
from wallet_node.officers.approvals import Operation
from wallet_node.officers.desk import Done, OfficersDesk, Proposer, Waiting, proposal
from wallet_node.policy.file import CREDENTIAL_CHANGE
from wallet_node.policy.policy import Policy
from wallet_node.store import Store


class Consent:
    """Credentials and mandates of one store's customers."""

    def __init__(self, keys: KeyProvider, store: Store, journal: Journal, officers: OfficersDesk) -> None:
        self._keys = keys
        self._store = store
        self._journal = journal
        self._officers = officers

    # ------------------------------------------------------------------------------------------ wallets

    def derive(self, request: Derivation, policy: Policy, clock_s: int) -> list[str | Refusal]:
        """For each index its address, bound to its first credential, or why it has none. Repeating gives the
        same.

        A credential that is no good concerns its customer alone: that key is not made (without one, it would
        never get one), and can be asked for again. Raises RefusedByNode where no customer keys are made.
        """
        if policy.file.customers is None:
            raise RefusedByNode(policy.evaluate_derivation(0).refusals)
        if request.credentials and len(request.credentials) != len(request.indices):
            raise ContradictoryRequest("credentials has as many members as indices, or is absent")
        credentials = request.credentials or (None,) * len(request.indices)
        asked = [
            _first_credential(index, fields, policy)
            for index, fields in zip(request.indices, credentials, strict=True)
        ]
        now_s = self._journal.now_s(clock_s)
        derived = self._keys.derive([each[0] for each in asked if not isinstance(each, Refusal)])
        page = Page(changes=list(derived.changes))
        new = {row[1] for _, rows in derived.changes for row in rows}
        wallets = iter(derived.addresses)
        lines = [each if isinstance(each, Refusal) else (next(wallets), each[1]) for each in asked]
        answers = self._bind_first(page, lines, new, now_s)
        if not page.is_empty:
            self._journal.write(page, now_s)
        return answers

    def _bind_first(
        self, page: Page, lines: list[tuple[bytes, Credential | None] | Refusal], new: set[Any], now_s: int
    ) -> list[str | Refusal]:
        with_one = {line[0] for line in lines if not isinstance(line, Refusal) and line[1] is not None}
        view = customers.load(self._store, self._keys.seals, now_s, with_one)
        answers: list[str | Refusal] = []
        for line in lines:
            if isinstance(line, Refusal):
                answers.append(line)
                continue
            wallet, credential = line
            refusal = None
            if credential is not None:
                was_bound = bool(view.credentials_of(wallet))
                refusal = bind_at_creation(view, wallet, credential, wallet in new)
                if refusal is None and not was_bound:
                    bound = CredentialBound(wallet, credential.struct_hash())
                    page.notes.append(Row(wallet[:16], bound))  # a wallet has no id; the row has all of it
            answers.append(refusal or checksummed(wallet))
        page.changes += view.changes
        return answers

    # ------------------------------------------------------------------------------------------ mandates

    def register(
        self, request: MandateRegistrations, deployment: Deployment, policy: Policy, clock_s: int
    ) -> list[dict[str, Any]]:
        """For each mandate, in order, its id, or its id and why it is refused. Refusals bind nothing."""
        now_s = self._journal.now_s(clock_s)
        wallets = {address for each in request.mandates if (address := _bytes(each.payer))}
        ids = [identifier_bytes(each.mandate_id) for each in request.mandates]
        view = customers.load(self._store, self._keys.seals, now_s, wallets, ids)
        terms = ProofTerms.of(policy, deployment.domain.separator)
        page = Page()
        answers = [self._register(page, view, terms, each) for each in request.mandates]
        page.changes += view.changes
        if not page.is_empty:
            self._journal.write(page, now_s)
        return answers

    def _register(
        self, page: Page, view: CustomerView, terms: ProofTerms | None, asked: MandateRegistration
    ) -> dict[str, Any]:
        if terms is None:
            detail = "the policy names no customer_proof, so no approval can be judged"
            return _refused_mandate(asked, (Refusal("ProofNotExpected", detail),))
        decided = decide_mandate_registration(asked, view, terms)
        if isinstance(decided, Disproved):
            return _refused_mandate(asked, decided.reasons)
        decided.record(view)
        if decided.proof is not None:
            content = decided.terms
            registered = MandateRegistered(
                content.payer,
                content.payee,
                content.cap_minor,
                content.period,
                content.starts_at_s,
                content.expires_at_s,
                decided.digest,
            )
            page.notes.append(Row(decided.mandate_id, registered, decided.proof.proof_hash))
        return {"mandate_id": asked.mandate_id}

    def revoke(self, request: MandateRevocations, clock_s: int) -> None:
        """No payment is signed under these any more. Repeating changes nothing."""
        now_s = self._journal.now_s(clock_s)
        ids = list(dict.fromkeys(map(identifier_bytes, request.mandate_ids)))
        view = customers.load(self._store, self._keys.seals, now_s, (), ids)
        page = Page()
        for mandate_id in ids:
            if mandate_id not in view.revoked:
                view.record_revocation(mandate_id)
                page.notes.append(Row(mandate_id, MandateRevoked()))
        page.changes += view.changes
        if not page.is_empty:
            self._journal.write(page, now_s)

    # ------------------------------------------------------------------------------------------ credentials

    def change(
        self,
        request: CredentialChangeRequest,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        *,
        must_name: bool = True,
    ) -> Waiting | None:
        """Bind, unbind or both: by a credential that is bound, or by the quorum. None: it is done.

        Raises RefusedByNode with every reason. A change that was made is not made again. `must_name`: an
        officer proposes what the customer has not approved, and the request names that officer.
        """
        change = parse_change(request)
        now_s = self._journal.now_s(clock_s)
        made = self._store.query(
            "SELECT content FROM credential_changes WHERE change_id = ?", (change.change_id,)
        )
        if made:
            if made[0][0] != change.content:
                detail = "this change id already stands for another change"
                raise RefusedByNode((Refusal("ChangeIdReused", detail),))
            return None
        view = customers.load(self._store, self._keys.seals, now_s, [change.wallet])
        if change.ends_mandates:
            customers.load_standing_mandates(self._store, view, change.wallet)
        page = Page()
        decided: ChangeAccepted | Disproved | Waiting
        if request.approval is not None:
            terms = ProofTerms.of(policy, deployment.domain.separator)
            if terms is None:
                detail = "the policy names no customer_proof, so no approval can be judged"
                raise RefusedByNode((Refusal("ProofNotExpected", detail),))
            decided = decide_change(change, request.approval, view, terms)
        else:
            proposer = Proposer(request.initiator, must_name)
            decided = self._ask_officers(page, change, view, policy, proposer)
        if isinstance(decided, Waiting):
            if not page.is_empty:
                self._journal.write(page, now_s)
            return decided
        if isinstance(decided, Disproved):
            if not page.is_empty:
                self._journal.write(page, now_s)  # an operation that has ended
            raise RefusedByNode(decided.reasons)
        decided.record(view)
        page.changes += view.changes
        page.changes.append(
            ("INSERT INTO credential_changes VALUES (?, ?)", [(change.change_id, change.content)])
        )
        proof_hash = b"" if decided.proof is None else decided.proof.proof_hash
        page.notes.append(
            Row(change.change_id, _changed(decided, view, decided.proof is not None), proof_hash)
        )
        if change.ends_mandates:
            page.notes += [Row(mandate_id, MandateRevoked()) for mandate_id in view.standing_mandates]
        self._journal.write(page, now_s)
        return None

    def stop(self, stop: CredentialChangeStop, deployment: Deployment, policy: Policy, clock_s: int) -> None:
        """A customer refuses a change that waits for officers. Raises RefusedByNode with every reason.

        A refusal that ended it before is answered the same.
        """
        change_id, wallet = identifier_bytes(stop.change_id), _bytes(stop.wallet)
        now_s = self._journal.now_s(clock_s)
        terms = ProofTerms.of(policy, deployment.domain.separator)
        if terms is None:
            detail = "the policy names no customer_proof, so no refusal can be judged"
            raise RefusedByNode((Refusal("ProofNotExpected", detail),))
        operation = self._officers.find(change_id)
        if operation is None or not _is_about(operation, wallet):
            detail = "no change of this id waits for officers about this wallet"
            raise RefusedByNode((Refusal("UnknownOperation", detail),))
        view = customers.load(self._store, self._keys.seals, now_s, [wallet])
        decided = decide_stop(stop, view, terms)
        if isinstance(decided, Disproved):
            raise RefusedByNode(decided.reasons)
        if operation.state == "withdrawn":
            return
        page = Page()
        self._officers.refuse(page, change_id, wallet, decided.proof_hash, now_s)
        decided.record(view)
        page.changes += view.changes
        self._journal.write(page, now_s)

    def _ask_officers(
        self,
        page: Page,
        change: ParsedChange,
        view: CustomerView,
        policy: Policy,
        proposer: Proposer,
    ) -> ChangeAccepted | Disproved | Waiting:
        named = policy.file.changes.credential_terms
        if named is None:
            detail = "the policy names no quorum under changes.credentials: send the customer's approval"
            return Disproved((Refusal("ProofMissing", detail),))
        if not self._keys.own_addresses([change.wallet]):
            detail = f"{checksummed(change.wallet)} is no wallet of this node"
            return Disproved((Refusal("UnknownPayer", detail),))
        refusals = judge_change(change, view)
        if refusals:
            return Disproved(refusals)
        bind = None if change.bind is None else "0x" + change.bind.struct_hash().hex()
        says = [f"The credentials of {checksummed(change.wallet)} are changed without its customer."]
        if change.ends_mandates:
            says.append("All mandates that stand for the wallet when it is done end with it.")
        description: dict[str, object] = {
            "says": says,
            "wallet": checksummed(change.wallet),
            "bind": bind,
            "unbind": None if change.unbind is None else "0x" + change.unbind.hex(),
            "ends_mandates": change.ends_mandates,
        }
        proposed = proposal(change.change_id, CREDENTIAL_CHANGE, change.content, description, named.quorum)
        asked = self._officers.ask(page, policy, view.now_s, proposed, proposer)
        if isinstance(asked, Waiting):
            return asked
        assert not isinstance(asked, Done), "what was executed is among the changes, in the same commit"
        return Disproved(asked) if asked else decide_change_by_quorum(change, view)


def _first_credential(
    index: int, fields: CredentialFields | None, policy: Policy
) -> tuple[int, Credential | None] | Refusal:
    refusals = policy.evaluate_derivation(index).refusals
    if refusals:
        return refusals[0]
    if fields is None:
        return index, None
    try:
        return index, parse_credential(fields)
    except CredentialMalformed as error:
        return Refusal(error.code, error.detail)


def _refused_mandate(asked: MandateRegistration, reasons: tuple[Refusal, ...]) -> dict[str, Any]:
    first = reasons[0]
    refusal = {"code": first.code, "detail": first.detail, "reasons": reasons}
    return {"mandate_id": asked.mandate_id, "refusal": refusal}


def _changed(accepted: ChangeAccepted, view: CustomerView, is_by_customer: bool) -> CredentialChanged:
    change = accepted.change
    unbound = NO_CREDENTIAL
    if change.unbind is not None:
        unbound = view.credentials_of(change.wallet)[change.unbind].credential.struct_hash()
    bound = NO_CREDENTIAL if change.bind is None else change.bind.struct_hash()
    by = "credential" if is_by_customer else "quorum"
    return CredentialChanged(change.wallet, bound, unbound, by, change.ends_mandates)


def _is_about(operation: Operation, wallet: bytes) -> bool:
    if operation.kind != CREDENTIAL_CHANGE:
        return False
    description = msgspec.json.decode(operation.description, type=dict[str, Any])
    return bool(description["wallet"] == checksummed(wallet))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])
