"""The books of all institutions and the chain's history, replayed and held against each other."""
