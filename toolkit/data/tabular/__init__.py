"""Data of rows of tables."""
