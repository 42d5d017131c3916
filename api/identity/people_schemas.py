"""What people send and get about their logins."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StringConstraints

from api.fields import Answer, Body, DisplayName
from api.identity.errors import BirthDateInvalid


def _is_a_day(text: str) -> str:
    date.fromisoformat(text)
    return text


ContactText = Annotated[str, StringConstraints(min_length=3, max_length=254)]
"""An e-mail address, or a phone number with its country (`+420...`), as it was typed."""

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_is_a_day)]
Password = Annotated[str, StringConstraints(max_length=1024)]
"""As it was typed; what a new one has to be, the verbs say."""

Code = Annotated[str, StringConstraints(max_length=40)]
Token = Annotated[str, StringConstraints(max_length=200)]
DeviceName = Annotated[str, StringConstraints(max_length=1000)]
Language = Literal["en", "zh"]


def day_of(text: str) -> date:
    """The day of a `Day`. Raises `BirthDateInvalid`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BirthDateInvalid from None


class RegistrationBody(Body):
    """A person who wants a login; the code goes to `contact`."""

    contact: ContactText
    name: DisplayName
    date_of_birth: Day
    language: Language = "en"


class RegistrationAnswer(Answer):
    """The same for a contact that is known and for one that is not."""

    registration_id: uuid.UUID


class CodeBody(Body):
    """The code that was sent."""

    code: Code


class StepAnswer(Answer):
    """`token` is needed for the next step."""

    token: str


class FromDevice(Body):
    """What a device tells of itself: a name to show, and the token that it was given when it was new."""

    device_name: DeviceName = ""
    device_token: Token = ""


class RegistrationCompletionBody(FromDevice):
    """The token of the step before, and the password that the person chooses."""

    token: Token
    password: Password


class SignedInAnswer(Answer):
    """A session. A device that was not known gets `device_token`: it keeps it, and sends it next time."""

    outcome: Literal["signed_in"]
    token: str
    device_token: str | None
    assurance: Literal["password", "totp", "passkey"]


class SecurityEventAnswer(Answer):
    """What happened to a login, when, from where."""

    event_id: int
    kind: str
    detail: dict[str, Any]
    from_address: str
    device_name: str
    at: datetime


class SecurityLogAnswer(Answer):
    """The newest first; ask for those before the last `event_id` to go on."""

    events: list[SecurityEventAnswer]


class DeviceAnswer(Answer):
    """A device that the person has signed in from."""

    device_id: uuid.UUID
    device_name: str
    first_seen_at: datetime
    last_seen_at: datetime


class DevicesAnswer(Answer):
    """Known devices."""

    devices: list[DeviceAnswer]


class SignInBody(FromDevice):
    """A contact and the password."""

    contact: ContactText
    password: Password


class SecondFactorAnswer(Answer):
    """The password was right; show one of `methods` with the ticket, within five minutes."""

    outcome: Literal["second_factor_required"]
    ticket: str
    methods: list[Literal["totp", "recovery_code"]]


class SecondFactorBody(FromDevice):
    """A code of the authenticator app, or one of the recovery codes."""

    ticket: Token
    method: Literal["totp", "recovery_code"]
    code: Code


class PasskeyOptionsAnswer(Answer):
    """`public_key` as WebAuthn's JSON has it: what `PublicKeyCredential.parse...OptionsFromJSON` take."""

    ticket: str
    public_key: dict[str, Any]


class PasskeyConfirmationBody(Body):
    """The answer of a passkey, as `PublicKeyCredential.toJSON()` has it."""

    ticket: Token
    credential: dict[str, Any]


class PasskeySignInBody(FromDevice):
    """The answer of a passkey, as `PublicKeyCredential.toJSON()` has it."""

    ticket: Token
    credential: dict[str, Any]


class PasskeyBody(PasskeyConfirmationBody):
    """A passkey that was made, and what its person calls it."""

    name: DeviceName = ""


class PasskeyAnswer(Answer):
    """A registered passkey."""

    passkey_id: uuid.UUID
    credential_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


class PasskeysAnswer(Answer):
    """A person's passkeys."""

    passkeys: list[PasskeyAnswer]


class PasswordBody(Body):
    """The password."""

    password: Password


class PasswordChangeBody(Body):
    """Without `old_password`, a passkey must have confirmed the session of late."""

    old_password: Password | None = None
    new_password: Password


class ContactBody(Body):
    """A contact to add."""

    contact: ContactText


class ContactAnswer(Answer):
    """A contact that waits for its code."""

    contact_id: uuid.UUID


class OwnContactAnswer(Answer):
    """A verified contact, as its person sees it."""

    contact_id: uuid.UUID
    kind: Literal["email", "phone"]
    address: str


class ContactsAnswer(Answer):
    """A person's contacts."""

    contacts: list[OwnContactAnswer]


class AuthenticatorAnswer(Answer):
    """An app's secret in base32, and as the URI that apps read from a QR code. Neither is shown again."""

    secret: str
    uri: str


class RecoveryCodesAnswer(Answer):
    """Each is good once, in the place of the app. They are not shown again."""

    recovery_codes: list[str]


class RecoveryBody(Body):
    """What was lost, and who says so. After a lost device passkeys and the authenticator app go as well."""

    lost: Literal["password", "device"]
    contact: ContactText
    name: DisplayName
    date_of_birth: Day
    language: Language = "en"


class RecoveryAnswer(Answer):
    """The same for a contact that is known and for one that is not."""

    recovery_id: uuid.UUID


class RecoveryStepAnswer(Answer):
    """`token` completes the recovery from `ready_at` on, for seven days."""

    token: str
    ready_at: datetime


class RecoveryCompletionBody(Body):
    """The token of the verification, and the new password."""

    token: Token
    password: Password


class OpenRecoveryAnswer(Answer):
    """A recovery that waits or can be completed."""

    recovery_id: uuid.UUID
    lost: Literal["password", "device"]
    began_at: datetime
    ready_at: datetime


class OpenRecoveriesAnswer(Answer):
    """Recoveries of a login, and until when its limits are lowered."""

    recoveries: list[OpenRecoveryAnswer]
    restricted_until: datetime | None
