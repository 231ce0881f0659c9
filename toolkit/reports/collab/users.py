"""Users as examples: what was known of them, what they are shown and why, and what of it they really chose.

What may be told of users depends on whether they travel in the program. What is shown here is what was scored: nothing of the
test is known yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.errors import ConversionError
from toolkit.evaluation.collab.answers import ranking_answers, user_vectors
from toolkit.evaluation.collab.metrics import NDCG
from toolkit.evaluation.collab.scores import CollabScores
from toolkit.program.collab.outputs import best
from toolkit.program.collab.program import Recommender
from toolkit.program.collab.reasons import Profile, because
from toolkit.reports.collab.insight import apart, asked_as, cut
from toolkit.reports.interval_marks import Cards, IntervalMark, IntervalMarks
from toolkit.reports.page import Section, Text

if TYPE_CHECKING:
    from fastai.learner import Learner

SPREAD = (0.95, 0.65, 0.35, 0.05)  # where examples stand among the test's users
SHOWN, LIKED, HELD_OUT = 6, 6, 6  # items suggested, liked and held out that are named
NEWCOMERS, LONERS = 3, 2  # who name two items; who name one, where nobody real may be shown
FEW = 3  # items, of which nobody names two: little would be left to show
REALLY = "✓"


def user_sections(learn: Learner, scores: CollabScores, *, program: Recommender) -> list[Section]:
    """Some of the test's users, unless nobody's history is to travel, and some who are made up."""
    found = [_of_test(learn, scores, program=program)] if program.users else []
    pairs = apart(program, NEWCOMERS) if len(program.index.ids) > FEW else []
    named: list[tuple[int, ...]] = list(pairs)
    if not program.users:
        named += [pair[:1] for pair in apart(program, NEWCOMERS + LONERS)[len(pairs) :]]
    if not named and len(program.index.ids):
        named = [(0,)]
    told = (
        "Nobody real: each names popular items of one corner of the catalogue, and is shown what the program answers to "
        "recommend(likes=…). A reason names the likes that add most to an item's score."
    )
    if not program.users:
        told += " The program was made without anybody's history (--no-users), so no real person is shown in this report."
    cards = [card for codes in named if (card := _newcomer(codes, program))]
    return [*found, Section("Newcomers", [Text(told), Cards(cards)])]


def _newcomer(codes: tuple[int, ...], program: Recommender) -> tuple[list[str], IntervalMarks, list[str]] | None:
    names = [name for code in codes if (name := asked_as(program.index, code)) is not None]
    if not names:
        return None
    try:
        found = program.recommend(likes=names, n=min(SHOWN, len(program.index.ids) - len(names)) or 1)
    except ConversionError as error:
        return [f"likes {' and '.join(map(cut, names))}"], IntervalMarks.of([]), [str(error)]
    titles = [cut(program.index.titles[code]) for code in codes]
    marks = [
        IntervalMark(cut(each.title), each.score, f"{each.score:.2f}" if program.rated else "", cut(each.reason, 160))
        for each in found
    ]
    return [f"likes {' and '.join(titles)}"], _scale(marks, program), [f"note: {note}" for note in found.notes]


def _scale(marks: list[IntervalMark], program: Recommender) -> IntervalMarks:
    """Bars over the whole range of ratings; where scores only rank bars from zero, or dots where some lie below."""
    if program.model.limits is not None:
        return IntervalMarks(marks, *program.model.limits)
    return IntervalMarks.of(marks, dots=any(mark.value is not None and mark.value < 0 for mark in marks))


def _of_test(learn: Learner, scores: CollabScores, *, program: Recommender) -> Section:
    labelled: LabelledCollab = learn.dls.labelled
    codes, ranked = _spread(scores, labelled)
    told = (
        "Users of the test, chosen evenly "
        + (f"from high to low {NDCG}" if ranked else "from long to short histories")
        + f". They are shown what was scored: suggestions from what was known before the test, {REALLY} where one is among "
        "their held-out "
        + ("ratings" if not scores.ranking else "choices")
        + ". Only what they happened to try can be marked; a suggestion without a mark need not be a bad one. "
    )
    told += "Bars are the stars expected." if program.rated else "What is drawn beside them are scores, which only rank."
    answers = ranking_answers(learn, np.array(codes, dtype=np.int64))
    vectors = user_vectors(learn, np.array(codes, dtype=np.int64))
    cards = [
        _card(code, answer, vector=vector, scores=scores, labelled=labelled, program=program)
        for code, answer, vector in zip(codes, answers, vectors, strict=True)
    ]
    return Section("Example people", [Text(told), Cards(cards)])


def _spread(scores: CollabScores, labelled: LabelledCollab) -> tuple[list[int], bool]:
    """Codes of users that stand evenly among those of the test, and whether by how well they are served."""
    names = {name: code for code, name in enumerate(labelled.users)}
    users = scores.predictions.user.astype(str)
    codes = users.map(names).to_numpy(dtype=np.int64)
    if ranked := NDCG in scores.predictions:
        measure = scores.predictions[NDCG].to_numpy(dtype=np.float64)
    else:
        codes = np.unique(codes)
        measure = np.diff(labelled.seen("test").indptr)[codes]
    order = codes[np.lexsort((codes, measure))]
    return [int(order[place]) for place in dict.fromkeys(round(share * (len(order) - 1)) for share in SPREAD)], ranked


def _card(
    code: int, answer: np.ndarray, *, vector: np.ndarray, scores: CollabScores, labelled: LabelledCollab, program: Recommender
) -> tuple[list[str], IntervalMarks, list[str]]:
    index, rated = program.index, program.rated
    rated_items, liked = labelled.seen("test")[[code]], labelled.seen("test", positive=True)[[code]]
    seen = rated_items.indices[rated_items.indices < labelled.n_items].astype(np.int64)
    values = rated_items.data[rated_items.indices < labelled.n_items]
    likes = seen if rated else liked.indices[liked.indices < labelled.n_items].astype(np.int64)
    name = labelled.users[code]
    profile = Profile(name, vector, seen, values, likes, values if rated else None, known=len(likes) > 0)
    order = answer.astype(np.float64)
    order[seen] = -np.inf
    top = best(order, SHOWN, ties=index.popularity)
    reasons = because(profile, top, model=program.model, index=index, popularity=index.popularity, n_users=labelled.n_users)
    rows = labelled.held_out("test")
    rows = rows[labelled.user_codes[rows] == code]
    really = {
        int(item): row for item, row in zip(labelled.item_codes[rows], rows, strict=True) if rated or labelled.positive[row]
    }
    ratings = program.model.ratings(answer)
    marks = []
    for place, reason in zip(top.tolist(), reasons, strict=True):
        said = f"{ratings[place]:.2f} " if rated else ""
        gave = f"gave it {labelled.values[really[place]]:g}; " if rated and place in really else ""
        figures = f"{said}{REALLY if place in really else ''}".strip()
        marks.append(IntervalMark(cut(index.titles[place]), float(ratings[place]), figures, gave + cut(reason, 160)))
    mine = scores.predictions[scores.predictions.user.astype(str) == name]
    title = f"user {cut(name)}" + (f": {NDCG} {float(mine[NDCG].iloc[0]):.2f}" if NDCG in mine else "")
    below = _held_out_ratings(mine, labelled) if rated else _held_out(list(really), order, labelled=labelled)
    return [title, _known(profile, labelled)], _scale(marks, program), [below]


def _known(profile: Profile, labelled: LabelledCollab) -> str:
    """What was known of somebody, what they rated highest first; where nothing is rated, what fewest others chose."""
    if not len(profile.seen):
        return "nothing was known of them"
    train = labelled.rows_of("train")
    counts = np.bincount(labelled.item_codes[train], minlength=labelled.n_items)
    order = np.lexsort((profile.seen, counts[profile.seen], -profile.values))[:LIKED]
    listed = [
        cut(labelled.titles[profile.seen[place]]) + (f" ({profile.values[place]:g})" if labelled.rated else "")
        for place in order.tolist()
    ]
    what = "rated highest" if labelled.rated else "the rarest of them"
    every = len(listed) == len(profile.seen)
    return f"{len(profile.seen)} known{': ' if every else f', {what}: '}{' · '.join(listed)}"


def _held_out(items: list[int], order: np.ndarray, *, labelled: LabelledCollab) -> str:
    """Where what somebody really chose stands in what they are shown."""
    places = {item: 1 + int((order > order[item]).sum()) if item < len(order) else None for item in items}
    known = sorted(items, key=lambda item: (places[item] is None, places[item] or 0, item))
    listed = [
        f"{cut(labelled.titles[item])} ({f'place {places[item]}' if places[item] else 'not in training'})" for item in known
    ]
    return f"really chose: {_first(listed)}"


def _held_out_ratings(mine: pd.DataFrame, labelled: LabelledCollab) -> str:
    """What somebody really gave, and what was expected."""
    titles = dict(zip(labelled.items, labelled.titles, strict=True))
    listed = [
        f"{cut(titles[str(row.item)])} expected {row.predicted:.1f}, gave {row.label:g}" for row in mine.itertuples(index=False)
    ]
    return f"held out: {_first(listed)}"


def _first(listed: list[str]) -> str:
    more = f" · and {len(listed) - HELD_OUT} more" if len(listed) > HELD_OUT else ""
    return " · ".join(listed[:HELD_OUT]) + more
