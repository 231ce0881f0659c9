"""A whole tree of files made into another, by many workers, with a manifest of what is done."""
