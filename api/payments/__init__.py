"""Payments from wallets, fundings into them, redemptions out of them; and the billers whom customers pay."""
