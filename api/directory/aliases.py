"""What an alias is, in the one form that banks and directory compare: a phone, an e-mail address or a handle.

Pure. The kind follows from the text: `@name` is a handle, what has an @ elsewhere is an e-mail address,
everything else a phone number with its country's code.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final, Literal

from api.directory.errors import AliasUnreadable

AliasKind = Literal["phone", "email", "handle"]
LONGEST: Final = 254

_HANDLE: Final = re.compile(r"@[a-z][a-z0-9_]{2,29}")


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias in its one form. The value is personal data: it is in no `repr`, log, URL or table."""

    kind: AliasKind
    value: str = field(repr=False)


def read_alias(text: str) -> Alias:
    """The alias that somebody wrote. Raises `AliasUnreadable`.

    Phones are E.164, with a leading + and country code; e-mail addresses are small letters throughout (two
    mailboxes that differ in case only are one person's as far as anybody knows); handles have 3 to 30 small
    letters, digits and underscores behind their @, beginning with a letter.
    """
    written = unicodedata.normalize("NFKC", text).strip()
    if len(written) > LONGEST:
        raise AliasUnreadable
    if written.startswith("@"):
        return Alias("handle", _handle(written))
    if "@" in written:
        return Alias("email", _email(written))
    return Alias("phone", _phone(written))


def _handle(written: str) -> str:
    value = written.lower()
    if _HANDLE.fullmatch(value) is None:
        raise AliasUnreadable
    return value


def _email(written: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        valid = validate_email(written, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise AliasUnreadable from None  # its sentence repeats the address
    return valid.normalized.lower()


def _phone(written: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        raise AliasUnreadable from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise AliasUnreadable
    value: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return value
