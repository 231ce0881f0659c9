"""Scores of rows of tables."""
