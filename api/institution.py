"""The institution whose process this is: what every room's verbs are given. Built by the composition root."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request

from api.ledger.chart import BankChart, CentralBankChart
from api.money import UnknownCurrency

if TYPE_CHECKING:
    from api.database import Pool
    from api.ledger.chart import Chart
    from api.settings import Settings

_NAMESPACE: Final = uuid.UUID("3f0c4b4e-6f0b-5c1c-9d54-0f10a1b2c3d4")


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution's settings, database and chart of accounts."""

    settings: Settings
    pool: Pool
    chart: Chart

    def id_for(self, kind: str, *names: str) -> uuid.UUID:
        """The id of what a caller has named: the same names give the same id, at this institution only."""
        return uuid.uuid5(_NAMESPACE, "\x1f".join((self.settings.institution, kind, *names)))

    @property
    def bank_chart(self) -> BankChart:
        """A bank's fixed accounts; only a bank's rooms ask."""
        assert isinstance(self.chart, BankChart), "this room belongs to banks"
        return self.chart

    @property
    def central_bank_chart(self) -> CentralBankChart:
        """The central bank's fixed accounts; only its rooms ask."""
        assert isinstance(self.chart, CentralBankChart), "this room belongs to the central bank"
        return self.chart

    def require_currency(self, currency: str) -> None:
        """Raise `UnknownCurrency` unless this institution carries `currency`."""
        if currency != self.settings.currency:
            raise UnknownCurrency(currency)


async def _institution_of(request: Request) -> Institution:  # a plain function would go through a thread
    institution: Institution = request.app.state.institution
    return institution


Here = Annotated[Institution, Depends(_institution_of)]
"""The parameter of a route that acts at this institution."""
