"""The local chains: a durable one of py-evm behind JSON-RPC, and anvil kept durable."""
