"""Refusals of the identity room."""

from __future__ import annotations

from api.errors import FlorinError


class Unauthenticated(FlorinError):
    """No usable API key came with the request. The same for a missing, unknown, malformed and revoked one."""

    def __init__(self) -> None:
        super().__init__("Unauthenticated", 401, "Send a valid API key as a bearer token.")


class SessionMissing(FlorinError):
    """No open session came with the request. The same for a missing, unknown, malformed and ended one."""

    def __init__(self) -> None:
        super().__init__("SessionMissing", 401, "Please sign in.")


class ScopeMissing(FlorinError):
    """The caller's key is good, but was not given the scope of this route."""

    def __init__(self, scope: str) -> None:
        super().__init__("ScopeMissing", 403, f"This key lacks the scope {scope!r}.", scope=scope)


class UnknownScope(FlorinError):
    """A scope that no route of this institution asks for."""

    def __init__(self, scope: str, known: list[str]) -> None:
        sentence = f"There is no scope {scope!r}; there are: {', '.join(known)}."
        super().__init__("UnknownScope", 422, sentence, scope=scope)


class InvalidCallerName(FlorinError):
    """A name for a caller that could be mistaken for a customer's, or that cannot be shown."""

    def __init__(self, name: str) -> None:
        sentence = "A caller's name has 1 to 64 letters, digits, points, hyphens and underscores."
        super().__init__("InvalidCallerName", 422, sentence, name=name)


class UnknownCustomer(FlorinError):
    """A reference that names no customer."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            "UnknownCustomer",
            422,
            f"There is no customer with the reference {reference!r}.",
            reference=reference,
        )


class ContactInvalid(FlorinError):
    """Neither an e-mail address nor a phone number with its country."""

    def __init__(self) -> None:
        sentence = "Give an e-mail address, or a phone number that begins with + and its country's code."
        super().__init__("ContactInvalid", 422, sentence)


class BirthDateInvalid(FlorinError):
    """No day on which somebody who lives can have been born."""

    def __init__(self) -> None:
        super().__init__("BirthDateInvalid", 422, "Give the date of birth as year-month-day.")


class TooYoung(FlorinError):
    """Somebody below the age at which people open a login for themselves here."""

    def __init__(self, minimum_age_years: int) -> None:
        sentence = f"People from {minimum_age_years} years on can register by themselves: ask at the bank."
        super().__init__("TooYoung", 422, sentence, minimum_age_years=minimum_age_years)


class CodesCannotBeSent(FlorinError):
    """The institution has no way to send codes."""

    def __init__(self) -> None:
        sentence = "Codes cannot be sent at the moment: try again later."
        super().__init__("CodesCannotBeSent", 503, sentence)


class CodeRefused(FlorinError):
    """Not the code, or none that is good any more; the same for whatever waits for no code at all."""

    def __init__(self) -> None:
        sentence = "This code is wrong, used, or older than ten minutes: look again, or ask for a new one."
        super().__init__("CodeRefused", 403, sentence)


class StepExpired(FlorinError):
    """A token or ticket of a step before that is unknown, used or too old."""

    def __init__(self) -> None:
        super().__init__("StepExpired", 403, "That took too long, or was done already: begin again.")


class ContactTaken(FlorinError):
    """A contact that its holder has shown to be theirs, and that is a login already."""

    def __init__(self) -> None:
        sentence = "There is a login with this contact already: sign in, or recover it."
        super().__init__("ContactTaken", 409, sentence)


class TooManyAttempts(FlorinError):
    """Tried too often; nothing of this attempt was looked at."""

    def __init__(self, retry_after_s: int) -> None:
        sentence = f"Too many attempts: try again in {retry_after_s} seconds."
        super().__init__("TooManyAttempts", 429, sentence, retry_after_s=retry_after_s)


class PasswordTooShort(FlorinError):
    """Fewer characters than a password has."""

    def __init__(self, shortest: int) -> None:
        sentence = f"A password has at least {shortest} characters."
        super().__init__("PasswordTooShort", 422, sentence, shortest=shortest)


class PasswordTooLong(FlorinError):
    """More characters than a password has."""

    def __init__(self, longest: int) -> None:
        sentence = f"A password has at most {longest} characters."
        super().__init__("PasswordTooLong", 422, sentence, longest=longest)


class PasswordTooWeak(FlorinError):
    """A password that others would find. `warning` and `suggestions` say why (zxcvbn's English)."""

    def __init__(self, warning: str, suggestions: list[str]) -> None:
        sentence = (
            "This password is easily guessed: take a longer one, of several words that go badly together."
        )
        super().__init__("PasswordTooWeak", 422, sentence, warning=warning, suggestions=suggestions)


class WrongCredentials(FlorinError):
    """Contact and password do not go together; the same where there is no login with the contact."""

    def __init__(self) -> None:
        sentence = "Contact and password do not go together: look again, or recover your login."
        super().__init__("WrongCredentials", 403, sentence)


class ConfirmationNeeded(FlorinError):
    """A change of what a person signs in with, without having shown of late who they are."""

    def __init__(self) -> None:
        sentence = "Confirm first that it is you, with your password or a passkey."
        super().__init__("ConfirmationNeeded", 403, sentence)


class NoLogin(FlorinError):
    """A customer who was never registered as a person, in a session of the sandbox."""

    def __init__(self) -> None:
        super().__init__("NoLogin", 409, "This sample customer has no login of their own: register one.")


class PasskeyRefused(FlorinError):
    """An authenticator's answer that is not one, not ours, or not to what was asked."""

    def __init__(self) -> None:
        super().__init__(
            "PasskeyRefused", 403, "This passkey was not accepted: try again, or sign in otherwise."
        )


class PasskeyKnown(FlorinError):
    """A passkey that is registered already."""

    def __init__(self) -> None:
        super().__init__("PasskeyKnown", 409, "This passkey is registered already.")


class TooManyPasskeys(FlorinError):
    """More passkeys than a person can have."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "TooManyPasskeys", 409, f"There can be {most} passkeys: remove one first.", most=most
        )


class AuthenticatorKnown(FlorinError):
    """An authenticator app is set up already."""

    def __init__(self) -> None:
        sentence = "An authenticator app is set up already: remove it first."
        super().__init__("AuthenticatorKnown", 409, sentence)


class LastContact(FlorinError):
    """A person's only contact: without it nobody could tell them anything."""

    def __init__(self) -> None:
        super().__init__("LastContact", 409, "This is your only contact: add another one first.")


class TooManyContacts(FlorinError):
    """More contacts than a person can have."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "TooManyContacts", 409, f"There can be {most} contacts: remove one first.", most=most
        )


class DetailsDiffer(FlorinError):
    """Whoever holds the contact gave other details than its login has, or there is no login with it."""

    def __init__(self) -> None:
        sentence = "No login with this contact has this name and date of birth: ask at the bank."
        super().__init__("DetailsDiffer", 403, sentence)


class StillCooling(FlorinError):
    """A recovery that waits, so that its person can stop it if it is not theirs."""

    def __init__(self, ready_at: str) -> None:
        sentence = f"For your safety this waits until {ready_at}: come back then."
        super().__init__("StillCooling", 409, sentence, ready_at=ready_at)


class RecoveryOver(FlorinError):
    """A recovery that was cancelled or is done."""

    def __init__(self) -> None:
        sentence = "This recovery was cancelled or is done: begin another one."
        super().__init__("RecoveryOver", 409, sentence)
