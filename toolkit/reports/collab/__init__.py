"""Reports on ratings and interactions of users with items."""
