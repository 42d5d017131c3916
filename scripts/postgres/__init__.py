"""PostgreSQL without a set-up, or the server that is named."""
