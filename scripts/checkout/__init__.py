"""What makes and checks a checkout of the source; it imports nothing of Florin."""
