"""Learning from pictures with a class for each pixel."""
