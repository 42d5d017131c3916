"""The chain as one institution sees and uses it: intents out, final events in, books and chain compared."""
