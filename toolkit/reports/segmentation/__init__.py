"""Reports on pictures with a class for each pixel."""
