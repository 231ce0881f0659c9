"""What items are called: titles from a column of the data, or from a table of their own.

Titles are for readers alone: nothing is learnt from them, and a missing one is no harm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.collab.columns import named_like
from toolkit.data.collab.options import CollabOptions
from toolkit.data.collab.rows import ids_of, whole_texts
from toolkit.data.table_files import read_table
from toolkit.errors import DataError
from toolkit.program.cells import quoted

NO_TITLE = frozenset(("", "nan", "<na>"))  # films are called "None" and "Missing"
MOST_TITLES = 1.2  # of an item in the mean, up to which a guessed column is one of titles


def titles_of(
    items: tuple[str, ...], item_codes: np.ndarray, *, cells: pd.DataFrame, options: CollabOptions, guessed: bool
) -> tuple[tuple[str, ...], list[str]]:
    """The title of each item, its id where it has none, and what a user should know.

    `item_codes`, int64 (rows,), are the items of the rows of `cells`. A title of `options.titles` goes before one of the column
    `options.title`; one that was `guessed` must have about one title an item. Raises `DataError` for a table of titles that is of
    other items.
    """
    titles = np.full(len(items), None, dtype=object)
    notes: list[str] = []
    if options.titles is not None:
        codes, texts = _from_table(options.titles, items, options=options, notes=notes)
        _take(titles, codes, texts=texts, notes=notes, where="the table of titles")
    if options.title:
        codes, distinct = ids_of(cells[options.title], NO_TITLE)
        there = codes >= 0
        pairs = np.unique(np.column_stack([item_codes[there], codes[there]]), axis=0)
        if guessed and len(pairs) > MOST_TITLES * len(np.unique(pairs[:, 0])):
            notes.append(
                f"column {options.title!r} is not read for titles: items have several; name it with title if it holds them"
            )
        else:
            _take(titles, item_codes[there], texts=distinct[codes[there]], notes=notes, where=f"column {options.title!r}")
    named = np.array([title is not None for title in titles])
    if named.any():
        if not named.all():
            first = items[int(np.flatnonzero(~named)[0])]
            without = f"{int((~named).sum())} of {len(items)} items have no title, such as {quoted(first)}"
            notes.append(f"{without}: they are called by their ids")
        counts = pd.Series(titles[named]).value_counts()
        if counts.iloc[0] > 1:
            twice = min(counts.index[counts > 1])
            which = ", ".join(items[place] for place in np.flatnonzero(titles == twice)[:5])
            notes.append(f"{int((counts > 1).sum())} titles are of several items, such as {quoted(twice)} (items {which})")
    return tuple(title if there else item for title, there, item in zip(titles, named, items, strict=True)), notes


def _from_table(
    data: Path | str | pd.DataFrame, items: tuple[str, ...], *, options: CollabOptions, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the items that a table of titles names, and their titles."""
    table = read_table(data)
    frame = table.frame
    if len(frame.columns) < 2:
        raise DataError(f"{table.source}: one column, {frame.columns[0]!r}: a table of titles has two, the item and its title")
    names = list(frame.columns)
    alike = [name for name in names if name.casefold() == options.item.casefold()]
    item = alike[0] if alike else named_like(names, "item")
    title = named_like((name for name in names if name != item), "title")
    item = item or next(name for name in names if name != title)  # by their place
    title = title or next(name for name in names if name != item)
    codes, texts = ids_of(frame[item])
    texts = whole_texts(texts)
    known = pd.Index(items).get_indexer(pd.Index(texts, dtype=object)) if len(texts) else np.empty(0, np.int64)
    if not (known >= 0).any():
        other = next((name for name in names if np.isin(ids_of(frame[name])[1], items).any()), "")
        hint = f"column {other!r} does: call it {options.item!r}" if other else f"name a table with {options.item!r} and a title"
        raise DataError(
            f"{table.source}: column {item!r} names none of the {len(items)} items (such as "
            f"{quoted(texts[0]) if len(texts) else 'nothing'}, where the data has {quoted(items[0])}): {hint}"
        )
    if {item, title} == set(names[:2]) and item in items:
        raise DataError(
            f"{table.source}: the first line seems to be a row already ({item!r} is an item): put a line item,title above it"
        )
    notes += [*table.notes, *(f"{where}: {reason}" for where, reason in table.rejected[:3])]
    notes.append(f"titles are column {title!r} of {Path(table.source).name}, for items in column {item!r}")
    unknown = int((known < 0).sum())
    if unknown:
        notes.append(f"{unknown} of {len(texts)} items in the table of titles stand in no row of the data: they are left out")
    of_rows = np.where(codes < 0, -1, known[codes])
    title_codes, distinct = ids_of(frame[title], NO_TITLE)
    there = (of_rows >= 0) & (title_codes >= 0)
    return of_rows[there], distinct[title_codes[there]]


def _take(titles: np.ndarray, codes: np.ndarray, *, texts: np.ndarray, notes: list[str], where: str) -> None:
    """Give the items `codes` the `texts` for titles, each its first, where they have none."""
    frame = pd.DataFrame({"item": codes, "title": texts}).drop_duplicates()
    several = int((frame.groupby("item").size() > 1).sum()) if len(frame) else 0
    if several:
        notes.append(f"{several} items have several titles in {where}: the first stands")
    first = frame.drop_duplicates("item")
    free = np.array([titles[code] is None for code in first["item"]], dtype=bool)
    bare = [" ".join(text.split()) for text in first.title[free]]
    titles[first["item"].to_numpy()[free]] = bare
