"""Who decides and signs, one kind of request each, and who explains without signing."""
