"""web3signer's wire: JSON-RPC and REST, under the same policy."""
