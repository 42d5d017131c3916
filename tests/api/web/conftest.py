"""An open bank and an open central bank."""

from tests.api.offices import bank, central_bank, furnished_template

__all__ = ["bank", "central_bank", "furnished_template"]
