"""What a model of ratings or interactions has learnt about items: the map of them, what is liked in general, what goes with
what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.evaluation.collab.answers import user_vectors
from toolkit.program.collab.program import Recommender
from toolkit.program.collab.title_index import TitleIndex
from toolkit.reports.collab.item_map import LONGEST, MOST_DRAWN, WIDTHS, Map, Places, directions, drawing, places
from toolkit.reports.interval_marks import IntervalMark, IntervalMarks
from toolkit.reports.page import Block, Gallery, Picture, Section, Table, Text

if TYPE_CHECKING:
    from fastai.learner import Learner

LEAST_HELD = 1e-6  # share of the variance
EXTREMES = 6  # items named at each end of a dimension
BIASED = 8  # items of the highest bias, and of the lowest
PLACED = 10  # items that are shown first
FEWEST = 20  # ratings that an item needs, at the most, to be among those of extreme bias
MOST_USERS = 20_000  # whose mean is the average user
ALIKE, COMPARED, POPULAR = 5, 8, 100  # items named as similar, of how many, out of how many popular ones
LONGEST_TITLE = 70


def map_sections(program: Recommender) -> list[Section]:
    """The best known items in two dimensions, and in words what lies at the ends of these."""
    index, found = program.index, places(program.model, program.index.popularity)
    if len(found.codes) < 2:
        return [Section("The item map", [Text("There are fewer than two items of which anything was learnt: no map.")])]
    counts = np.asarray(index.popularity)[found.codes]
    titles = [index.titles[code] for code in found.codes.tolist()]
    told = (
        "To the model an item is a list of numbers, its factors, learnt from who likes what and from nothing else: it knows no "
        "genre. Factors of items that the same people like point the same way. Drawn are the two directions in which they "
        "differ most (principal components), so items near each other tend to please the same people; but what is near here "
        "may still differ in the dimensions that are not drawn."
    )
    across, along = (f"{100 * share:.0f} %" for share in found.held)
    of = f"the {len(titles)} most popular of {len(index.ids)} items" if len(titles) < len(index.ids) else f"{len(titles)} items"
    caption = (
        f"{of[0].upper() + of[1:]}. Left to right holds {across} of the variance of their directions, bottom to top {along}. "
        "The larger a dot, the more people of training chose the item. Titles stand where there is room, the most popular first; "
        "point at a dot to read its own."
    )
    if len(titles) > MOST_DRAWN[1]:
        caption += f" On a narrow screen only the first {MOST_DRAWN[1]} are drawn."
    drawings = [
        drawing(found.points[:most], titles[:most], counts=counts[:most], width=width, longest=longest)
        for most, width, longest in zip(MOST_DRAWN, WIDTHS, LONGEST, strict=True)
    ]
    alt = f"A map of {of}; what lies at its ends is told below"
    return [Section("The item map", [Text(told), Map(drawings, across, along, alt, caption), _ends(found, index)])]


def _ends(found: Places, index: TitleIndex) -> Gallery:
    cards: list[tuple[Sequence[Picture], Sequence[str]]] = []
    count = min(EXTREMES, len(found.codes) // 2)
    for values, low, high, share in zip(found.points.T, ("left", "bottom"), ("right", "top"), found.held, strict=True):
        if share < LEAST_HELD:  # of two items there is but one dimension
            continue
        order = np.argsort(values, kind="stable")
        for end, some in ((low, order[:count]), (high, order[::-1][:count])):
            cards.append(([], [f"Outermost at the {end}", *(cut(index.titles[code]) for code in found.codes[some].tolist())]))
    return Gallery(cards, wide=True)


def bias_section(learn: Learner, program: Recommender) -> Section:
    """Which items anybody is expected to like, and which nobody in particular."""
    labelled: LabelledCollab = learn.dls.labelled
    train = labelled.rows_of("train")
    counts = np.bincount(labelled.item_codes[train], minlength=labelled.n_items)
    least = int(np.clip(np.median(counts), 1, FEWEST))
    enough = np.flatnonzero(counts >= least)
    named = f"items with at least {least} rows in training" if least > 1 else "all items"
    return (_expected if program.rated else _shown_first)(learn, program, counts=counts, enough=enough, named=named)


def _expected(learn: Learner, program: Recommender, *, counts: np.ndarray, enough: np.ndarray, named: str) -> Section:
    labelled, model = learn.dls.labelled, program.model
    mean = float(labelled.values[labelled.rows_of("train")].mean(dtype=np.float64))
    expected = model.ratings(model.nobody)
    order = enough[np.argsort(-expected[enough], kind="stable")]
    count = min(BIASED, len(order) // 2)

    def mark(code: int) -> IntervalMark:
        beyond = float(expected[code]) - mean
        detail = f"{counts[code]} {'ratings' if counts[code] != 1 else 'rating'}"
        return IntervalMark(cut(program.index.titles[code]), beyond, f"{beyond:+.2f} stars: {expected[code]:.2f}", detail)

    high, low = [mark(code) for code in order[:count]], [mark(code) for code in order[::-1][:count]]
    scale = IntervalMarks.of([*high, *low])
    told = (
        f"What somebody who has said nothing is expected to give, less the mean of all training ratings, {mean:.2f}: the item's "
        f"bias, of {named}. Biases of items with few ratings are drawn towards the middle. This is how well people like an item "
        "who chose to rate it, not how good it is."
    )
    if float(np.median(expected[enough])) < mean:
        told += " Most items lie below the mean, for people mostly rate what they expect to like."
    blocks: list[Block] = [
        Text(told),
        Text("Highest:"),
        IntervalMarks(high, scale.low, scale.high),
        Text("Lowest:"),
        IntervalMarks(low, scale.low, scale.high),
    ]
    return Section("What is liked in general", blocks)


def _shown_first(learn: Learner, program: Recommender, *, counts: np.ndarray, enough: np.ndarray, named: str) -> Section:
    labelled, index = learn.dls.labelled, program.index
    some = np.sort(np.random.default_rng(0).permutation(labelled.n_users)[:MOST_USERS])
    average = user_vectors(learn, some).mean(axis=0)
    scores = program.model.scores(average)
    first, popular = (np.argsort(-of, kind="stable")[:PLACED].tolist() for of in (scores, np.asarray(index.popularity)))
    last = enough[np.argsort(scores[enough], kind="stable")][: min(BIASED, len(enough) // 2)]

    def shown(code: int) -> tuple[str, str]:
        return cut(index.titles[code]), f"chosen by {index.popularity[code]}"

    rows = [[str(place), shown(one), shown(other)] for place, (one, other) in enumerate(zip(first, popular, strict=True), 1)]
    told = (
        "The average person is the mean of all that training knows. Beside what they would be shown first stands what most "
        f"people of training chose: {len(set(first) & set(popular))} of the {len(first)} are the same. This is popular liking, "
        "not quality; and nobody is the average person."
    )
    blocks: list[Block] = [Text(told), Table(["place", "shown first to the average person", "chosen most often"], rows)]
    if len(last):
        blocks.append(Text(f"Last for the average person, of {named}: {_listed(last, index)}."))
    return Section("What is liked in general", blocks)


def similar_section(program: Recommender) -> Section:
    """What is most like some popular items, each of them unlike those before."""
    index = program.index
    cards: list[tuple[Sequence[Picture], Sequence[str]]] = []
    taken: set[int] = set()
    for code in np.argsort(-np.asarray(index.popularity), kind="stable")[:POPULAR].tolist():
        name = asked_as(index, code)
        if len(cards) == COMPARED or code in taken or name is None:
            continue
        found = program.similar(name, ALIKE)
        taken |= {code, *(index.codes[each.item] for each in found)}
        if len(found):
            cards.append(([], [cut(index.titles[code]), *(f"{each.score:.2f} {cut(each.title)}" for each in found)]))
    told = (
        "Popular items with those whose factors point most nearly the same way, each after its cosine: 1 is the same direction, "
        "0 has nothing to do with it. Those that one list names are not asked about again."
    )
    blocks: list[Block] = [Text(told), Gallery(cards, wide=True)] if cards else [Text("No two items can be compared.")]
    return Section("What goes with what", blocks)


def asked_as(index: TitleIndex, code: int) -> str | None:
    """A text by which the program finds this item and no other: its id, or its title; None where neither does."""
    for name in (index.ids[code], index.titles[code]):
        if index.find(name).item == code:
            return name
    return None


def apart(program: Recommender, count: int) -> list[tuple[int, int]]:
    """Pairs of popular items (codes) that are alike, each pair as unlike the others as can be."""
    codes = np.argsort(-np.asarray(program.index.popularity), kind="stable")[: POPULAR // 2]
    found = directions(program.model, codes)
    cosines = found @ found.T
    np.fill_diagonal(cosines, -np.inf)
    chosen: list[tuple[int, int]] = []
    free = np.ones(len(codes), dtype=bool)
    while len(chosen) < count and free.sum() > 1:
        alike = np.where(free[:, None] & free[None, :], cosines, -np.inf)
        worth = alike.max(axis=1)
        if chosen:
            used = np.array(chosen).ravel()
            worth = worth - 2 * np.maximum(cosines[:, used].max(axis=1), 0)
        one = int(worth.argmax())
        other = int(alike[one].argmax())
        chosen.append((one, other))
        free[[one, other]] = False
    return [(int(codes[one]), int(codes[other])) for one, other in chosen]


def cut(title: str, longest: int = LONGEST_TITLE) -> str:
    """A title on one line, cut where it is very long."""
    title = " ".join(title.split())
    return title if len(title) <= longest else f"{title[: longest - 1].rstrip()}…"


def _listed(codes: np.ndarray, index: TitleIndex) -> str:
    return " · ".join(cut(index.titles[code]) for code in codes.tolist())
