"""Reports on rows of tables."""
