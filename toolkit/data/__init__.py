"""What is learnt from: find items and labels, read each once, split them so that nothing leaks into the test."""

from toolkit.data.items import Items, find_items
from toolkit.data.reading import Readings, read_items
from toolkit.data.splitting import split_items
from toolkit.data.twins import near_twins

__all__ = ["Items", "Readings", "find_items", "near_twins", "read_items", "split_items"]
