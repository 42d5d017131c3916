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
