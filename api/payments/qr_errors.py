"""Why a merchant-presented code cannot be read, made or paid. Nothing of the code is repeated but its ids."""

from __future__ import annotations

from api.errors import FlorinError


class QrUnreadable(FlorinError):
    """The text is not a list of data objects that ends with its checksum."""

    def __init__(self, why: str) -> None:
        super().__init__("QrUnreadable", 400, f"This is no payment code: {why}. Scan it again.")


class QrChecksumWrong(FlorinError):
    """The checksum is not the content's: a character was lost or changed."""

    def __init__(self) -> None:
        super().__init__(
            "QrChecksumWrong",
            400,
            "The code was damaged or changed on its way: scan it again, or ask for it.",
        )


class QrFieldRepeated(FlorinError):
    """An id stands twice: readers differ in which of the two they believe."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "QrFieldRepeated", 400, f"The field {field} stands twice: ask for another code.", field=field
        )


class QrFieldMissing(FlorinError):
    """A field that every code has is not there."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "QrFieldMissing", 400, f"The field {field} is missing: ask for another code.", field=field
        )


class QrFieldInvalid(FlorinError):
    """A field's value is not of its form. `field` is its id, inside of a template `<template>.<id>`."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__("QrFieldInvalid", 400, f"The field {field} of the code {why}.", field=field)


class QrTooLong(FlorinError):
    """More text than a code holds."""

    def __init__(self, what: str, length: int, limit: int) -> None:
        super().__init__(
            "QrTooLong",
            422,
            f"{what} is {length} characters long, and {limit} fit: shorten it.",
            length=length,
            limit=limit,
        )


class QrNotPayable(FlorinError):
    """A good code that a wallet here cannot pay: another scheme's, another currency's, or with a tip."""

    def __init__(self, why: str) -> None:
        super().__init__("QrNotPayable", 422, f"This code cannot be paid from here: {why}.")
