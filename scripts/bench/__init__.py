"""What `florin bench` measures."""
