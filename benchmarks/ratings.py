"""Ratings beside plain fastai, Surprise, implicit and EASE: `python -m benchmarks.ratings`.

Needs `ratings_ml100k` below --data: u.data, u1.base and u1.test of MovieLens 100K as published
(https://grouplens.org/datasets/movielens/100k/). Without it only the sample and the speed are measured. Takes about
eight minutes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.learner import Learner
from surprise import SVD, SVDpp

from benchmarks import plain_ratings as peers
from benchmarks.harness import Figure, options, report
from benchmarks.tabular import MEASURE, SLACK
from recipes.collaborative_filtering import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.collab.answers import ranking_answers, rating_answers, user_vectors
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.program.collab.program import Recommender

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data" / "ratings.csv"
NEWCOMER, FIRST = ["Demon Slayer", "Chainsaw Man"], "Hell's Paradise"
SEEDS = (42, 0, 1)
VALID = 0.02  # of the rows, to choose the epoch: the peers have none of theirs taken away
ITEMS = 100_000
WORDS = ["silent", "river", "golden", "night", "last", "summer", "iron", "garden", "lost", "city", "broken", "mirror", "hollow"]


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    films = chosen.data / "ratings_ml100k"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        on_sample(figures, folder, short=chosen.short)
        speed(figures, folder, short=chosen.short)
        if films.is_dir():
            stars(figures, films, folder=folder, short=chosen.short)
            rankings(figures, films, folder=folder, short=chosen.short)
            strangers(figures, films, short=chosen.short)
        else:
            print(f"left out: no {films} (see --help)")
    return report(figures, chosen)


def on_sample(figures: list[Figure], folder: Path, *, short: bool) -> None:
    """The sample, the recipe as it comes: the network beside the best simple method, and what a newcomer is shown, for both
    objectives."""
    for objective in ("rating", "ranking"):
        learn = build_learner(SAMPLE, objective=objective)
        began = time.perf_counter()
        fit(learn, epochs=2 if short else 0)
        seconds = time.perf_counter() - began
        scores = evaluate(learn)
        network, best = (scores.table[name][scores.headline].value for name in ("network", scores.best_simple))
        figures.append(
            Figure(f"sample, {objective}: test {scores.headline}", [network], [best],
                   note=f"peer: {scores.best_simple}; {seconds:.0f} s; {scores.verdict}")
        )  # fmt: skip
        shown = [each.title for each in export(learn, folder / "sample.pyz").recommend(likes=NEWCOMER, n=100)]
        place = 1 + shown.index(FIRST)
        figures.append(
            Figure(f"sample, {objective}: place of {FIRST} for {' and '.join(NEWCOMER)}", [place], target="first",
                   reached=None if short else place == 1)
        )  # fmt: skip


def stars(figures: list[Figure], films: Path, *, folder: Path, short: bool) -> None:
    """How many stars: u1.base to u1.test."""
    train, test = peers.read(films / "u1.base"), peers.read(films / "u1.test")
    learners, seconds = _trained(short, train, test=test, rating_range="1,5")
    found = [_rmse(learn) for learn in learners]
    plain, plain_seconds = peers.train_fastai(train, 1 if short else 5)
    others = {"plain fastai": (peers.fastai_rmse(plain, test), plain_seconds)}
    for method in (SVD,) if short else (SVD, SVDpp):
        others[f"Surprise {method.__name__}"] = peers.surprise_rmse(method, train, test=test)
    for name, (rmse, took) in others.items():
        figures.append(
            Figure("MovieLens 100K u1: test RMSE", found, [rmse] * len(found), target="at most 0.912, aim 0.905",
                   reached=None if short else max(found) <= 0.912,
                   note=f"peer: {name}, {took:.1f} s; ours {seconds:.1f} s, reading included")
        )  # fmt: skip
    print(evaluate(learners[0]))
    _agreement(figures, learners[0], program=export(learners[0], folder / "stars.pyz"), what="stars")
    if not short:
        neural = build_learner(train, test=test, rating_range="1,5", valid_pct=VALID, form="neural")
        fit(neural)
        figures.append(Figure("MovieLens 100K u1, neural form: test RMSE", [_rmse(neural)], [others["plain fastai"][0]],
                              note="peer: plain fastai, dot product"))  # fmt: skip


def rankings(figures: list[Figure], films: Path, *, folder: Path, short: bool) -> None:
    """What to show first: a random quarter of each user's films, to be found among all that are not in the other three."""
    ratings = peers.read(films / "u.data")
    train, test = peers.split(ratings)
    chosen = peers.matrix(train, ratings.user.max() + 1, items=ratings["item"].max() + 1)
    learners, seconds = _trained(short, train, test=test, objective="ranking")
    found = [peers.ndcg(_scores(learn, chosen.shape[1]), chosen, test=test) for learn in learners]
    plain, _ = peers.train_fastai(train, 1 if short else 5)
    others = {
        "EASE": peers.ease(chosen), "implicit ALS": peers.als(chosen), "popularity": peers.popularity(chosen),
        "plain fastai, stars": peers.fastai_scores(plain),
    }  # fmt: skip
    targets = {"EASE": ("at least EASE", 1.0), "plain fastai, stars": ("at least 3 times", 3.0)}
    for name, score in others.items():
        peer = peers.ndcg(score, chosen, test=test)
        words, times = targets.get(name, ("", 0.0))
        figures.append(
            Figure("MovieLens 100K 75/25: nDCG@10", found, [peer] * len(found), target=words,
                   reached=None if short or not words else min(found) >= times * peer,
                   note=f"peer: {name}; {min(found) / peer:.2f} times; ours {seconds:.1f} s")
        )  # fmt: skip
    print(evaluate(learners[0]))
    program = export(learners[0], folder / "films.pyz")
    _agreement(figures, learners[0], program=program, what="rankings")
    _everyone(figures, program, folder=folder)


def strangers(figures: list[Figure], films: Path, *, short: bool) -> None:
    """Users left out of training, from half their rows; beside the same users, the same halves, trained with."""
    ratings = peers.read(films / "u.data")
    ours, theirs = [], []
    for seed in SEEDS[:1] if short else SEEDS:
        left_out = build_learner(ratings, objective="ranking", split="user", valid_pct=VALID, seed=seed)
        labelled = left_out.dls.labelled
        asked = ratings.iloc[labelled.table.row.to_numpy()[labelled.held_out("test")] - 1]
        with_them = build_learner(ratings.drop(index=asked.index), test=asked, objective="ranking", valid_pct=VALID, seed=seed)
        chosen = peers.matrix(ratings.drop(index=asked.index), ratings.user.max() + 1, items=ratings["item"].max() + 1)
        for learn, kept in ((left_out, ours), (with_them, theirs)):
            fit(learn, epochs=2 if short else 0)
            kept.append(peers.ndcg(_scores(learn, chosen.shape[1]), chosen, test=asked))
    share = [a / b for a, b in zip(ours, theirs, strict=True)]
    count = len(np.unique(labelled.user_codes[labelled.held_out("test")]))
    figures.append(
        Figure("users left out, from half their ratings: nDCG@10", ours, theirs, target="at least 90 % of trained users'",
               reached=None if short else min(share) >= 0.9,
               note=f"peer: trained with these halves; {count} users; {', '.join(f'{100 * each:.0f} %' for each in share)}")
    )  # fmt: skip


def speed(figures: list[Figure], folder: Path, *, short: bool) -> None:
    """A newcomer's recommendations, and titles, in a catalogue of 100,000 items."""
    items = 5_000 if short else ITEMS
    for objective in ("ranking", "rating"):
        program = _large(folder / f"{objective}.pyz", items, objective=objective)
        ids, rng = program.index.ids, np.random.default_rng(1)
        likes = [[ids[item] for item in rng.integers(0, items, 5)] for _ in range(60)]
        program.recommend(likes=likes[0])
        took = [1000 * _timed(program.recommend, None, each) for each in likes]
        name = f"newcomer of 5 likes, {items:,} items, {objective}: recommendations"
        note = f"{program.model.vectors.shape[1]} numbers an item; titles resolved; slowest of {len(took)}: {max(took):.1f} ms"
        reached = None if short else statistics.median(took) < 5
        figures.append(Figure(name, took, unit="ms", target="under 5 ms", reached=reached, note=note))
    ways = {"as written": str, "other case": str.upper, "a typo": lambda title: title[:4] + title[5:]}
    for way, change in ways.items():
        texts = [change(program.index.titles[item]) for item in rng.integers(0, items, 100)]
        took = [1000 * _timed(program.index.find, text) for text in texts]
        right = sum(program.index.find(text).item is not None for text in texts)
        note = f"found {right} of {len(texts)}; slowest {max(took):.1f} ms"
        reached = None if short else statistics.median(took) < 20
        figures.append(
            Figure(f"a title {way}, among {items:,}", took, unit="ms", target="under 20 ms", reached=reached, note=note)
        )


def _large(path: Path, items: int, *, objective: str) -> Recommender:
    """An untrained program over so many items: what it says is nothing, how fast it is all."""
    rng = np.random.default_rng(0)
    users = max(200, items // 100)
    names = [f"{' '.join(rng.choice(WORDS, 3))} {number}" for number in range(items)]
    rows = pd.DataFrame({"user": rng.integers(0, users, 3 * items), "item": np.tile(np.arange(items), 3)})
    rows = rows.drop_duplicates().assign(rating=rng.integers(1, 6, len(rows.drop_duplicates())))
    titles = pd.DataFrame({"item": np.arange(items), "title": names})
    return export(build_learner(rows, titles=titles, objective=objective, test_pct=0.02), path)


def _everyone(figures: list[Figure], program: Recommender, *, folder: Path) -> None:
    """All users by the program's command line: users a second, and memory beside that of a tenth of them."""
    users = len(program.users)
    out, peak = folder / "everyone.csv", folder / "peak"
    began = time.perf_counter()
    memory = _peak(program, ["--everyone", "--out", str(out)], peak=peak)
    seconds = time.perf_counter() - began
    assert len(out.read_text(encoding="utf-8").splitlines()) == 10 * users + 1
    one = _peak(program, ["--user", next(iter(program.users))], peak=peak)
    figures += [
        Figure(f"everyone ({users} users) in one pass, users a second", [users / seconds], note="its start included"),
        Figure("everyone: peak memory", [memory], [one], "MB", True, target=f"flat: within {SLACK} MB",
               reached=memory <= one + SLACK, note="peer: one user"),
    ]  # fmt: skip


def _peak(program: Recommender, arguments: list[str], *, peak: Path) -> float:
    """The peak memory in MB of a process that runs a program, which has to end well."""
    command = [sys.executable, "-c", MEASURE, str(peak), str(program.archive.path), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return int(peak.read_text()) * 1024 / 1e6


def _timed(call: Callable, *given: object) -> float:
    began = time.perf_counter()
    call(*given)
    return time.perf_counter() - began


def _trained(short: bool, data: pd.DataFrame, **options: object) -> tuple[list[Learner], float]:
    """Learners of ours, one for each seed, and the seconds that one took, reading included."""
    learners, seconds = [], []
    for seed in SEEDS[:1] if short else SEEDS:
        began = time.perf_counter()
        learners.append(build_learner(data, valid_pct=VALID, seed=seed, **options))
        fit(learners[-1], epochs=2 if short else 0)
        seconds.append(time.perf_counter() - began)
    return learners, statistics.median(seconds)


def _rmse(learn: Learner) -> float:
    labelled = learn.dls.labelled
    rows = labelled.held_out("test")
    return float(np.sqrt(((rating_answers(learn, rows) - labelled.values[rows]) ** 2).mean()))


def _scores(learn: Learner, items: int) -> peers.Score:
    """What a learner of ours scores, users and items by their numbers in the data."""
    labelled = learn.dls.labelled
    code = {int(user): number for number, user in enumerate(labelled.users)}
    places = np.array(labelled.items[: labelled.n_items], dtype=int)
    every = ranking_answers(learn, np.arange(len(labelled.users)))

    def score(users: np.ndarray) -> np.ndarray:
        found = np.full((len(users), items), -np.inf)
        found[:, places] = every[[code[user] for user in users]]
        return found

    return score


def _agreement(figures: list[Figure], learn: Learner, *, program: Recommender, what: str) -> None:
    """The furthest that the program's answers lie from the learner's, for held-out rows."""
    labelled = learn.dls.labelled
    users = np.unique(labelled.user_codes[labelled.held_out("test")])
    known = labelled.seen("test", positive=not program.rated)
    apart = 0.0
    learnt = ranking_answers(learn, users)
    for user, scores in zip(users, learnt, strict=True):
        part = slice(known.indptr[user], known.indptr[user + 1])
        items = known.indices[part]
        met = items < labelled.n_items
        if program.rated:
            found = program.model.scores(user_vectors(learn, np.array([user]))[0])
        else:
            found = program.run(items[met], None, wanted=np.arange(labelled.n_items)) if met.any() else scores
        apart = max(apart, float(np.abs(found - scores).max()))
    figures.append(
        Figure(f"{what}: program and learner apart, at most", [apart], target="within 1e-4", reached=apart <= 1e-4,
               note=f"all items for {len(users)} users")
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
