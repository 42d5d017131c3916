"""A small country on this machine: its institutions, its data directory, its start."""
