"""What is learnt from: find items and labels, read each once, split them so that nothing leaks into the test."""

from toolkit.needs import require

require("pandas", "scikit-learn", "joblib", "imagehash", why="to read and split data", extra="train")

from toolkit.data.duplicates import near_duplicates  # noqa: E402
from toolkit.data.items import Items, find_items  # noqa: E402
from toolkit.data.labelled import Labelled  # noqa: E402
from toolkit.data.splitting import SplitOptions, split_items  # noqa: E402

__all__ = ["Items", "Labelled", "SplitOptions", "find_items", "near_duplicates", "split_items"]
