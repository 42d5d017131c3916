"""What was decided, for ever: rows, their tree and its proofs, nonces, and who may have which."""
