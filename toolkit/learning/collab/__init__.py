"""Learning from ratings and interactions of users with items."""
