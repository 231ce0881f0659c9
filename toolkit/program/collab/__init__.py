"""Programs that take ratings and interactions of users with items."""
