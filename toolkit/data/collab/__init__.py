"""Data of ratings and interactions of users with items."""
