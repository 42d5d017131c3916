"""Wallets: addresses on chain that the bank keeps for its customers, beside their accounts."""
