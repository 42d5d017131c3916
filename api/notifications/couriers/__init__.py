"""Those who carry messages out of the house, each for one channel."""
