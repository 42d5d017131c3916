"""An open bank and an open central bank; and a bank for people."""

from tests.api.identity.conftest import people
from tests.api.offices import bank, central_bank, furnished_template

__all__ = ["bank", "central_bank", "furnished_template", "people"]
