"""One request of a person's pages: whose it is, which wallet it is about, and the money that is asked for."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from api.errors import FlorinError, MalformedRequest, NotFound
from api.fields import refusal_of
from api.money import parse_amount
from api.payments.pay import Preflight, preflight
from api.payments.requests import PaymentRequest, payment_request, transfer_request
from api.payments.schemas import PaymentBody, RedemptionBody, TransferBody
from api.web.rendering import Page
from api.web.wallet_view import Own, limits_of, own_wallet

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.ledger.gathering import Gatherer
    from api.payments.pay import Outcome
    from api.payments.rules import Kind
    from api.proofs import AssertionBody

_CHOSEN_BILLER: Final = re.compile(r"biller:([!-~]{1,100})")

Form = dict[str, str]


class WalletPage(Page):
    """A page of a person about one of their wallets."""

    def __init__(self, request: Request, person: SignedIn) -> None:
        super().__init__(request)
        self.person = person

    async def own(self, conn: Connection, wallet_id: str) -> Own:
        """The wallet that the page is about, by default the first. Raises `NotFound`."""
        return await own_wallet(
            conn, self.institution.settings.participant_id, self.person.customer_id, wallet_id
        )

    def show(self, template: str, own: Own, active: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page; `active` is its place in the navigation."""
        if self.request.method != "GET":
            self.place = f"/wallet/{active}"
        self.place += own.query
        return self.answer(template, status, signed_in=self.person, own=own, active=active, **values)

    @property
    def caller(self) -> str:
        """By whose wish payments of these pages are made."""
        return f"customer:{self.person.customer_id}"

    def amount_of(self, form: Form) -> int:
        """The minor units that were typed. Raises `MalformedRequest` and `MalformedAmount`."""
        typed = form.get("amount", "").strip()
        if not typed:
            raise MalformedRequest(self.translate("Enter an amount, such as 250.00."))
        return parse_amount(typed, self.institution.settings.currency_exponent)

    def payment_of(self, own: Own, form: Form, proof: AssertionBody | None = None) -> PaymentRequest:
        """The payment that a form asks for. Raises what an API caller would get for the same mistake."""
        if not names_payee(form):
            raise MalformedRequest(self.translate("Choose a payee."))
        biller = biller_of(form.get("payee", ""))
        content = {
            "payer_wallet_id": own.wallet["id"],
            "payee": {"biller_reference": biller} if biller else {"address": form.get("address", "").strip()},
            "amount_minor": self.amount_of(form),
            "currency": self.institution.settings.currency,
            "note": form.get("note", "").strip() or None,
            "proof": proof,
        }
        try:
            body = PaymentBody.model_validate(content)
        except ValidationError as error:
            raise refusal_of(error.errors(include_input=False, include_context=False)) from error
        return payment_request(self.institution, self.caller, _intention_of(form), body)

    def transfer_of(
        self, own: Own, form: Form, kind: Kind, proof: AssertionBody | None = None
    ) -> PaymentRequest:
        """The funding or redemption that a form asks for. Raises as `payment_of` does."""
        content = {"wallet_id": own.wallet["id"], "amount_minor": self.amount_of(form)}
        try:
            body = (
                RedemptionBody.model_validate({**content, "proof": proof})
                if kind == "redemption"
                else TransferBody.model_validate(content)
            )
        except ValidationError as error:
            raise refusal_of(error.errors(include_input=False, include_context=False)) from error
        return transfer_request(self.institution, self.caller, _intention_of(form), kind, body)

    async def review(self, conn: Connection, own: Own, asked: PaymentRequest) -> dict[str, Any]:
        """What `_review.html` shows of a request: the decision, and what is left of the limits after it."""
        found = await preflight(conn, self.institution, asked)
        decision = found.decision
        limits = await limits_of(conn, self.institution.settings.participant_id, own.wallet)
        left = room = None
        if limits is not None and asked.kind == "funding":
            room = max(0, limits.room_minor - asked.amount_minor)
        elif limits is not None and limits.left_today_minor is not None:
            left = max(0, limits.left_today_minor - asked.amount_minor)
        return {
            "decision": decision,
            "reasons": [reason.as_json() for reason in decision.reasons],
            "left_today_minor": left,
            "room_minor": room,
        }

    async def preflight(self, asked: PaymentRequest) -> Preflight:
        """What would be decided now, on a connection of its own."""
        async with self.institution.pool.acquire() as conn:
            return await preflight(conn, self.institution, asked)

    async def submit(self, asked: PaymentRequest) -> Outcome:
        """Have a request decided and recorded, together with those that arrive beside it."""
        gatherer: Gatherer[PaymentRequest, Outcome] = self.request.app.state.payments
        return await gatherer.submit(asked)


NOTHING_REVIEWED: Final[dict[str, Any]] = {
    "decision": None,
    "reasons": [],
    "left_today_minor": None,
    "room_minor": None,
}


def refused(refusal: FlorinError) -> dict[str, Any]:
    """What `_review.html` shows of a form that cannot be decided. Raises what is a failure of ours."""
    if refusal.status >= 500:
        raise refusal
    return {**NOTHING_REVIEWED, "reasons": [{"code": refusal.code, "detail": refusal.sentence}]}


def biller_of(choice: str) -> str | None:
    """The biller's reference in the value of a chosen payee; None for what cannot be one."""
    found = _CHOSEN_BILLER.fullmatch(choice)
    return found[1] if found else None


def names_payee(form: Form) -> bool:
    """Whether a form says who is to be paid."""
    return biller_of(form.get("payee", "")) is not None or bool(form.get("address", "").strip())


def printable(search: str) -> str:
    """What can be in a name; a NUL, say, cannot even be asked for."""
    return "".join(letter for letter in search.strip() if letter.isprintable())


def uuid_of(text: str, what: str) -> uuid.UUID:
    """The id in a text. Raises `NotFound` for what is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(what) from None


def _intention_of(form: Form) -> str:
    return str(uuid_of(form.get("intention", ""), "intention"))
