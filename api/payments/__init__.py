"""Payments from wallets, fundings into them and redemptions out of them; and the billers that customers pay."""
