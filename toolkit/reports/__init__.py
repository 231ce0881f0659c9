"""Scores become pages and pictures: the report of a run, one photo explained, runs compared. Every page is one file
that opens offline."""

from toolkit.needs import require

require("jinja2", "matplotlib", "pandas", "scikit-learn", "joblib", why="to write reports", extra="train")

from toolkit.reports.page import Figure, Gallery, Page, Picture, Section, Table, Text, write_page  # noqa: E402

__all__ = ["Figure", "Gallery", "Page", "Picture", "Section", "Table", "Text", "write_page"]
