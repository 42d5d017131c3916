"""What waits for m of n officers, and what they said of it."""
