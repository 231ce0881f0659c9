"""Scores of pictures with a class for each pixel."""
