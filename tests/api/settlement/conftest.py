"""An open bank and an open central bank."""

import pytest

from tests.api.offices import Office, bank, central_bank, furnished_template
from tests.fakes.final_chain import INSTITUTION_TIER, TIERS

__all__ = ["bank", "central_bank", "furnished_template"]


@pytest.fixture
async def begun_central_bank(central_bank: Office) -> Office:
    """A central bank that has set the institutions' tier."""
    await central_bank.chain.set_tier(INSTITUTION_TIER, TIERS[INSTITUTION_TIER])
    return central_bank
