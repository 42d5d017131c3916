"""Central-bank money: tiers, participants, reserves and issuance at the central bank; minting and returning at a bank."""
