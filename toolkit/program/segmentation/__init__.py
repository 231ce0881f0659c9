"""Programs that take pictures with a class for each pixel."""
