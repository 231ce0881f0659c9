"""What a learner of ratings or choices is exported as: items as numbers and, unless they stay at home, people with what they saw.

It is a file of its own because a recommender needs no network: what was learnt is a table of factors, and a person is solved for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from toolkit.data.collab.labelled import LabelledRatings
from toolkit.data.collab.options import RANKING, RATING
from toolkit.errors import ExportError
from toolkit.export.parity import TOLERANCE
from toolkit.learning.collab.loaders import coded
from toolkit.program.collab.arrays import members_of
from toolkit.program.collab.program import Recommender

if TYPE_CHECKING:
    from toolkit.learning.collab.learner import RatingLearner

REPLAYED = 20_000  # test rows
CHECKED = 20  # users
LIKED, WANTED = 3, 10  # items of a golden input


class CollabExport:
    """A learner of ratings or choices as the parts of a program: `input` and `output` as the card describes them."""

    def __init__(self, learn: RatingLearner, users: bool = True) -> None:
        self.learn, self.users = learn, users
        self.labelled: LabelledRatings = learn.dls.labelled
        self.taste, self.people = learn.taste(), learn.people()
        taste = self.taste
        self.items = self.labelled.items[: self.labelled.n_items]
        named = self.labelled.has_titles or not all(text.lstrip("-").isdigit() for text in self.items)
        self.titles = self.labelled.titles[: self.labelled.n_items] if named else None
        self.input = _Input(
            {
                "kind": "ratings", "objective": self.labelled.objective, "form": learn.spec.form, "items": len(self.items),
                "users": len(self.labelled.users) if users else 0, "titles": named, "people": self.labelled.n_users,
                "factors": taste.vectors.shape[1],
            }
        )  # fmt: skip
        layers = getattr(taste, "layers", None)
        bounds = None if taste.bounds is None else [float(end) for end in taste.bounds]
        self.output = {
            "kind": "recommendations", "low": taste.low, "high": taste.high, "like": taste.like, "bounds": bounds,
            "told": getattr(taste, "told", None) is not None, **({"layers": len(layers)} if layers else {}),
        }  # fmt: skip
        self.needs, self.described = ["numpy"], {}

    def members(self) -> dict[str, bytes]:
        """The factors, the titles and how they are found, and people with all that they have seen, the test's rows too."""
        labelled = self.labelled
        train = labelled.rows_of("train")
        liked = labelled.item_codes[train[labelled.chosen[train]]]
        popularity = np.bincount(liked, minlength=len(self.items))
        if not self.users:
            return members_of(self.taste, self.items, self.titles, popularity)
        everything = labelled.history("all", liked=labelled.objective == RANKING)
        people = self.learn.people_knowing(np.arange(len(labelled.users)), everything)
        return members_of(self.taste, self.items, self.titles, popularity, labelled.users, people, _seen(labelled))

    def golden(self, count: int, path: object) -> list[dict]:
        """A few likes, drawn by lot and nobody's own, with the scores of some items for whoever likes them."""
        rng, known = np.random.default_rng(0), len(self.items)
        found = []
        for _ in range(max(0, count)):
            likes = rng.permutation(known)[: min(LIKED, known - 1)]
            values = None if self.taste.low is None else np.linspace(self.taste.high, self.taste.low, len(likes))
            wanted = rng.permutation(known)[:WANTED]
            scores = self.taste.pairs(np.tile(self.taste.solve(likes, values), (len(wanted), 1)), wanted)
            found.append(
                {
                    "likes": likes.tolist(), "values": None if values is None else values.tolist(), "wanted": wanted.tolist(),
                    "output": scores.astype(float).tolist(),
                }
            )  # fmt: skip
        return found

    def check(self, program: Recommender) -> None:
        """Replay held-out rows of people that training met through network and program, and solve for people from what is known
        of them in both; a score or rating off by more than 1e-4 of the largest raises `ExportError`."""
        labelled = self.labelled
        rows = labelled.asked("test")
        rows = rows[(labelled.user_codes[rows] < labelled.n_users) & (labelled.item_codes[rows] < labelled.n_items)][:REPLAYED]
        users, items = labelled.user_codes[rows], labelled.item_codes[rows]
        if len(rows):
            expected = self._by_network(rows)
            self._compare(program.taste.ratings(program.taste.pairs(self.people[users], items)), expected, "of a held-out row")
        self._check_seen(program)
        known = labelled.history("test", liked=labelled.objective == RANKING)
        for user in np.unique(labelled.user_codes[labelled.asked("test")])[:100]:
            part = slice(known.indptr[user], known.indptr[user + 1])
            likes, values = known.indices[part], known.data[part] if program.rated else None
            met = likes < len(self.items)
            likes, values = likes[met], values if values is None else values[met]
            wanted = np.arange(min(len(self.items), 100))
            expected = self.taste.pairs(np.tile(self.taste.solve(likes, values), (len(wanted), 1)), wanted)
            self._compare(program.run(likes, values, wanted), expected, "for somebody who is solved for")

    def _by_network(self, rows: np.ndarray) -> np.ndarray:
        """What the network itself says of rows, stars within their range."""
        labelled, model = self.labelled, self.learn.model.eval()
        device = next(model.parameters()).device
        codes = torch.from_numpy(coded(labelled)[rows]).to(device)
        with torch.inference_mode():
            if hasattr(model, "solve"):  # nobody's factors are learnt: they follow from what was chosen
                people = torch.from_numpy(self.people[labelled.user_codes[rows]]).float().to(device)
                return (people * model.i_weight(codes[:, 1])).sum(1).cpu().numpy()
            found = torch.cat([model(some)[:, 0] for some in codes.split(4096)]).float().cpu().numpy()
            return found if self.taste.low is None else np.clip(found, self.taste.low, self.taste.high)

    def _check_seen(self, program: Recommender) -> None:
        """Raise `ExportError` where the first that some user is shown is what their rows say they have seen."""
        rows = self.labelled.table.iloc[np.flatnonzero(self.labelled.item_codes < self.labelled.n_items)]
        for name in list(program.users)[:: max(1, len(program.users) // CHECKED)]:
            seen = set(rows["item"][rows.user == name])
            if seen & {each.item for each in program.recommend(name)}:
                raise ExportError(f"the program would show user {name!r} what they have seen")

    def _compare(self, found: np.ndarray, expected: np.ndarray, what: str) -> None:
        apart = float(np.abs(found - expected).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not apart <= allowed:
            raise ExportError(f"the program's score {what} would be {apart:.1e} off the learner's (allowed: {allowed:.0e})")


class _Input:
    """The card of what is taken, as export asks for it."""

    def __init__(self, card: dict) -> None:
        self._card = card

    def card(self) -> dict:
        """As program.json has it."""
        return self._card


def _seen(labelled: LabelledRatings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each person has seen, of all rows: where a person's part starts, int64 (users + 1,), the items, and their ratings, or
    1 for what was chosen and 0 for what was only seen."""
    rows = np.flatnonzero(labelled.item_codes < labelled.n_items)
    rows = rows[np.lexsort((labelled.item_codes[rows], labelled.user_codes[rows]))]
    counts = np.bincount(labelled.user_codes[rows], minlength=len(labelled.users))
    values = labelled.values if labelled.objective == RATING else labelled.chosen.astype(np.float32)
    return np.concatenate([[0], np.cumsum(counts)]), labelled.item_codes[rows], values[rows]
