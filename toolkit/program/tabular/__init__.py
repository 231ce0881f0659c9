"""Programs that take rows of tables."""
