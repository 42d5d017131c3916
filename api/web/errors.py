"""Refusals of the pages themselves."""

from __future__ import annotations

from api.errors import FlorinError


class FormNotOurs(FlorinError):
    """A form that did not come from a page of this session."""

    def __init__(self) -> None:
        super().__init__(
            "FormNotOurs", 403, "This form is out of date or not ours: go back and load the page again."
        )


class TooManyListeners(FlorinError):
    """More pages are open than this process keeps up to date."""

    def __init__(self) -> None:
        super().__init__("TooManyListeners", 503, "Too many pages are open: reload this one to see news.")


class ApprovalExpired(FlorinError):
    """The passkey's answer came too late, or claims a time that no page gave."""

    def __init__(self) -> None:
        sentence = "The time to approve is over, and nothing was paid: go back and pay again."
        super().__init__("ApprovalExpired", 422, sentence)


class ApprovalNotOfThis(FlorinError):
    """The passkey signed something else than what would be paid."""

    def __init__(self) -> None:
        sentence = (
            "Your passkey approved something else than this, and nothing was paid: go back and pay again."
        )
        super().__init__("ApprovalNotOfThis", 422, sentence)


class ApprovalUnreadable(FlorinError):
    """What should be a passkey's answer is none."""

    def __init__(self) -> None:
        sentence = "The passkey's answer cannot be read, and nothing was paid: go back and pay again."
        super().__init__("ApprovalUnreadable", 422, sentence)
