"""Central-bank money: tiers, participants, reserves, issuance; at a bank: minting and returning."""
