"""Where people are reached: e-mail addresses and phone numbers in the one form in which they are compared."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from api.identity.errors import ContactInvalid

if TYPE_CHECKING:
    import uuid

    from api.database import Connection

ContactKind = Literal["email", "phone"]

LONGEST_CONTACT: Final = 254
"""Characters of an e-mail address (RFC 5321, 4.5.3.1.3)."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One e-mail address or phone number (E.164); equal ones are the same contact."""

    kind: ContactKind
    address: str

    @property
    def shown(self) -> str:
        """Enough of it for its owner to recognise, and too little for anybody else."""
        if self.kind == "phone":
            return f"{self.address[:3]}…{self.address[-2:]}"
        name, _, domain = self.address.partition("@")
        return f"{name[:1]}…@{domain}"


def parse_contact(text: str, *, is_sandbox: bool = False) -> Contact:
    """The contact of a text as people type it. Raises `ContactInvalid`.

    Letters of an address are compared without their case: no provider of note tells two people apart by it,
    and a login may not be opened twice for one mailbox. In a sandbox the reserved domain `test` is taken too.
    """
    typed = unicodedata.normalize("NFKC", text).strip()
    if not 3 <= len(typed) <= LONGEST_CONTACT:
        raise ContactInvalid
    return _email_of(typed, is_sandbox) if "@" in typed else _phone_of(typed)


def _email_of(typed: str, is_sandbox: bool) -> Contact:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(typed, check_deliverability=False, test_environment=is_sandbox)
    except EmailNotValidError:
        raise ContactInvalid from None
    address = found.normalized.casefold()
    if len(address) > LONGEST_CONTACT:
        raise ContactInvalid
    return Contact("email", address)


def _phone_of(typed: str) -> Contact:
    import phonenumbers

    if not typed.startswith("+"):  # without its country a number is nobody's
        raise ContactInvalid
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        raise ContactInvalid from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise ContactInvalid
    return Contact("phone", phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


async def customer_of(conn: Connection, contact: Contact) -> uuid.UUID | None:
    """Whose login a contact is."""
    found: uuid.UUID | None = await conn.fetchval(
        "SELECT customer_id FROM contacts WHERE address = $1 AND verified_at IS NOT NULL", contact.address
    )
    return found


async def contacts_of(conn: Connection, customer_id: uuid.UUID) -> list[tuple[uuid.UUID, Contact]]:
    """A person's verified contacts, the first one first."""
    rows = await conn.fetch(
        """SELECT id, kind, address FROM contacts
            WHERE customer_id = $1 AND verified_at IS NOT NULL ORDER BY verified_at, id""",
        customer_id,
    )
    return [(row["id"], Contact(row["kind"], row["address"])) for row in rows]
