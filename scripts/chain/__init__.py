"""A durable development chain: py-evm behind JSON-RPC, for machines without a faster one."""
