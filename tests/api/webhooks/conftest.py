"""An open bank."""

from tests.api.offices import bank, furnished_template

__all__ = ["bank", "furnished_template"]
