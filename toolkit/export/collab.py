"""What a learner of ratings or interactions is exported as: a fold-in model and, unless they stay at home, users with what they
have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.data.collab.options import RANKING, RATING
from toolkit.errors import ExportError
from toolkit.export.parity import TOLERANCE
from toolkit.learning.collab.loaders import coded
from toolkit.program.collab.arrays import KnownUsers, members_of
from toolkit.program.collab.program import Recommender

if TYPE_CHECKING:
    from toolkit.learning.collab.learner import CollabLearner

REPLAYED = 20_000  # test rows
CHECKED = 20  # users
LIKED, WANTED = 3, 10  # items of a golden input


class CollabExport:
    """A learner of ratings or interactions as the parts of a program: `input` and `output` as the card describes them."""

    def __init__(self, learn: CollabLearner, users: bool = True) -> None:
        self.learn, self.users = learn, users
        self.labelled = learn.labelled
        self.model, self.vectors = learn.fold_in_model(), learn.user_vectors()
        model = self.model
        self.items = self.labelled.items[: self.labelled.n_items]
        named = self.labelled.has_titles or not all(text.lstrip("-").isdigit() for text in self.items)
        self.titles = self.labelled.titles[: self.labelled.n_items] if named else None
        self.input = _Input(
            {
                "kind": "ratings", "objective": self.labelled.objective, "form": learn.spec.form, "items": len(self.items),
                "users": len(self.labelled.users) if users else 0, "titles": named, "people": self.labelled.n_users,
                "factors": model.vectors.shape[1],
            }
        )  # fmt: skip
        layers = getattr(model, "layers", None)
        bounds = None if model.bounds is None else [float(end) for end in model.bounds]
        self.output = {
            "kind": "recommendations", "low": model.low, "high": model.high, "like": model.like, "bounds": bounds,
            "told": getattr(model, "implicit_factors", None) is not None, **({"layers": len(layers)} if layers else {}),
        }  # fmt: skip
        self.needs: list[str] = ["numpy"]
        self.described: dict[str, Any] = {}

    def members(self) -> dict[str, bytes]:
        """The factors, the titles and how they are found, and users with all that they have seen, the test's rows too."""
        labelled = self.labelled
        train = labelled.rows_of("train")
        liked = labelled.item_codes[train[labelled.positive[train]]]
        popularity = np.bincount(liked, minlength=len(self.items))
        if not self.users:
            return members_of(self.model, self.items, titles=self.titles, popularity=popularity)
        everything = labelled.seen("all", positive=labelled.objective == RANKING)
        vectors = self.learn.fold_in_users(np.arange(len(labelled.users)), everything)
        users = KnownUsers(labelled.users, vectors, *_seen(labelled))
        return members_of(self.model, self.items, titles=self.titles, popularity=popularity, users=users)

    def golden(self, count: int, path: object) -> list[dict[str, Any]]:
        """A few likes, drawn by lot and nobody's own, with the scores of some items for whoever likes them."""
        rng, known = np.random.default_rng(0), len(self.items)
        found = []
        for _ in range(max(0, count)):
            likes = rng.permutation(known)[: min(LIKED, known - 1)]
            limits = self.model.limits
            values = None if limits is None else np.linspace(limits[1], limits[0], len(likes))
            wanted = rng.permutation(known)[:WANTED]
            scores = self.model.pairs(np.tile(self.model.solve(likes, values), (len(wanted), 1)), wanted)
            found.append(
                {
                    "likes": likes.tolist(), "values": None if values is None else values.tolist(), "wanted": wanted.tolist(),
                    "output": scores.astype(float).tolist(),
                }
            )  # fmt: skip
        return found

    def check(self, program: Recommender) -> None:
        """Replay held-out rows of users that training met through network and program, and solve for users from what is known
        of them in both; a score or rating off by more than 1e-4 of the largest raises `ExportError`."""
        labelled = self.labelled
        rows = labelled.held_out("test")
        rows = rows[(labelled.user_codes[rows] < labelled.n_users) & (labelled.item_codes[rows] < labelled.n_items)][:REPLAYED]
        users, items = labelled.user_codes[rows], labelled.item_codes[rows]
        if len(rows):
            expected = self._by_network(rows)
            found = program.model.ratings(program.model.pairs(self.vectors[users], items))
            self._compare(found, expected, what="of a held-out row")
        self._check_seen(program)
        known = labelled.seen("test", positive=labelled.objective == RANKING)
        for user in np.unique(labelled.user_codes[labelled.held_out("test")])[:100]:
            part = slice(known.indptr[user], known.indptr[user + 1])
            likes, values = known.indices[part], known.data[part] if program.rated else None
            met = likes < len(self.items)
            likes, values = likes[met], values if values is None else values[met]
            wanted = np.arange(min(len(self.items), 100))
            expected = self.model.pairs(np.tile(self.model.solve(likes, values), (len(wanted), 1)), wanted)
            self._compare(program.run(likes, values, wanted=wanted), expected, what="for somebody who is solved for")

    def _by_network(self, rows: np.ndarray) -> np.ndarray:
        """What the network itself says of rows, float32 (n,), ratings within their range."""
        labelled, network = self.labelled, self.learn.model.eval()
        device = next(network.parameters()).device
        codes = torch.from_numpy(coded(labelled)[rows]).to(device)
        with torch.inference_mode():
            if hasattr(network, "fold_in"):  # nobody's factors are learnt: they follow from what was chosen
                users = torch.from_numpy(self.vectors[labelled.user_codes[rows]]).float().to(device)
                return (users * network.i_weight(codes[:, 1])).sum(1).cpu().numpy()
            found = torch.cat([network(some)[:, 0] for some in codes.split(4096)]).float().cpu().numpy()
            return found if self.model.low is None else np.clip(found, self.model.low, self.model.high)

    def _check_seen(self, program: Recommender) -> None:
        """Raise `ExportError` where the first that some user is shown is what their rows say they have seen."""
        rows = self.labelled.table.iloc[np.flatnonzero(self.labelled.item_codes < self.labelled.n_items)]
        for name in list(program.users)[:: max(1, len(program.users) // CHECKED)]:
            seen = set(rows["item"][rows.user == name])
            if seen & {each.item for each in program.recommend(name)}:
                raise ExportError(f"the program would show user {name!r} what they have seen")

    def _compare(self, found: np.ndarray, expected: np.ndarray, *, what: str) -> None:
        apart = float(np.abs(found - expected).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not apart <= allowed:
            raise ExportError(f"the program's score {what} would be {apart:.1e} off the learner's (allowed: {allowed:.0e})")


class _Input:
    """The card of what is taken, as export asks for it."""

    def __init__(self, card: dict[str, Any]) -> None:
        self._card = card

    def card(self) -> dict[str, Any]:
        """As program.json has it."""
        return self._card


def _seen(labelled: LabelledCollab) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each user has seen, of all rows: where a user's part starts, int64 (users + 1,), the items, and their ratings, or
    1 for what was chosen and 0 for what was only seen."""
    rows = np.flatnonzero(labelled.item_codes < labelled.n_items)
    rows = rows[np.lexsort((labelled.item_codes[rows], labelled.user_codes[rows]))]
    counts = np.bincount(labelled.user_codes[rows], minlength=len(labelled.users))
    values = labelled.values if labelled.objective == RATING else labelled.positive.astype(np.float32)
    return np.concatenate([[0], np.cumsum(counts)]), labelled.item_codes[rows], values[rows]
