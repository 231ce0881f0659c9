"""Short texts."""
