"""Where private keys live. Everything outside sees the interface of `provider` only."""
