"""Learning from rows of tables."""
