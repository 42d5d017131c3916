"""Deposit accounts: the bank's own liability to a customer, in the bank's books."""
