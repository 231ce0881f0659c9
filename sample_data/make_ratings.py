"""Make `ratings.csv`: `python sample_data/make_ratings.py`; `--floor` prints the best scores there can be.

The shows exist, the people do not: who saw what, and how many stars they gave, is drawn by the rules below. So it is known what
there is to find, and `best_possible` says what a model that knew it all would score.

**Titles** stand in `SHOWS`, by group of taste and sub-group. Titles of a sub-group are liked together most, those of a group
next, and groups have nothing to do with each other. "Demon Slayer", "Chainsaw Man" and "Hell's Paradise" are a sub-group of dark
action anime: to whoever names the first two the third is the best answer, though many titles are better known.

**Taste.** A person's mix of the groups is drawn from a Dirichlet distribution with the weights `WEIGHTS`, so that most people
live in one to three of them; within each group, their lean to its sub-groups from one with 0.35 each. From 0 to 1,

    liking = 0.25 sqrt(mix[group]) + 0.75 sqrt(mix[group] × lean[sub-group])

**Who saw what.** A person saw n titles, n lognormal (median 25, sigma 0.45), from 8 to 60: in all, 29 % of the pairs. They are
drawn one by one, none twice, with probability proportional to popularity × exp(7 liking). The popularity of a title is
exp(0.25 z - 0.15 k): z standard normal, k the titles that stand before it in its sub-group.

**Stars**, 1 to 5 in halves, are the nearest to

    rating = 2 + 3 liking + quality + mood + noise

quality of the title normal with sigma 0.1, mood of the person with sigma 0.2, noise with sigma 0.35 anew for each row.

**Time.** A person comes on any day of a year and sees the titles in the order of the draw, so what is known and liked best comes
first; the gaps are exponential, 5 days on average. Neither taste nor stars change with time. Rows are sorted by time.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SEED, PEOPLE, MANY = 1992, 520, 10_000  # MANY: people that `best_possible` draws
SHOWS = {  # group: sub-group: titles, the best known first
    "dark action anime": {
        "blades and demons": ("Demon Slayer", "Chainsaw Man", "Hell's Paradise"),
        "secret powers": ("Jujutsu Kaisen", "Hunter x Hunter", "Tokyo Ghoul", "Bleach", "Parasyte: The Maxim"),
        "war and revenge": ("Attack on Titan", "Fullmetal Alchemist: Brotherhood", "Vinland Saga", "Berserk", "Dororo"),
    },
    "gentle anime": {
        "school days": ("K-On!", "Fruits Basket", "Nichijou", "Azumanga Daioh", "Skip and Loafer", "Hyouka"),
        "country": ("Laid-Back Camp", "Mushishi", "Natsume's Book of Friends", "Non Non Biyori", "Silver Spoon", "Barakamon"),
    },
    "detectives": {
        "puzzles": ("Sherlock", "Columbo", "Agatha Christie's Poirot", "Inspector Morse", "Father Brown", "Death in Paradise"),
        "dark cases": ("True Detective", "Broadchurch", "Line of Duty", "Luther", "The Bridge", "The Killing", "Happy Valley"),
    },
    "baking and crafts": {
        "food": ("The Great British Bake Off", "MasterChef", "Chef's Table", "Nailed It!", "Is It Cake?", "Salt Fat Acid Heat"),
        "crafts": ("The Repair Shop", "Blown Away", "The Great Pottery Throw Down", "The Great British Sewing Bee", "Making It"),
    },
    "nature": {
        "animals": ("Planet Earth", "Blue Planet II", "Planet Earth II", "The Blue Planet", "Africa", "Dynasties", "The Hunt"),
        "early life": ("Walking with Dinosaurs", "Prehistoric Planet", "Life on Our Planet", "Walking with Beasts"),
    },
    "space": {
        "fleet": ("Star Trek: The Next Generation", "Star Trek: Deep Space Nine", "Star Trek: Voyager", "The Orville", "Lexx"),
        "fighters": ("The Mandalorian", "The Expanse", "Battlestar Galactica", "Firefly", "Andor", "Babylon 5", "Killjoys"),
    },
    "sitcoms": {
        "at work": ("The Office", "Brooklyn Nine-Nine", "Parks and Recreation", "The IT Crowd", "Superstore", "30 Rock"),
        "at home": ("Friends", "Seinfeld", "Modern Family", "How I Met Your Mother", "Malcolm in the Middle", "Schitt's Creek"),
    },
    "history": {
        "high society": ("The Crown", "Downton Abbey", "Bridgerton", "Call the Midwife", "Wolf Hall", "The Tudors", "Poldark"),
        "campaigns": ("Vikings", "Band of Brothers", "The Last Kingdom", "Rome", "Shōgun", "The Pacific"),
    },
}
WEIGHTS = {  # how much of people's mix a group tends to be: more people come for anime than for crafts
    "dark action anime": 0.45,
    "gentle anime": 0.25,
    "detectives": 0.3,
    "baking and crafts": 0.25,
    "nature": 0.3,
    "space": 0.25,
    "sitcoms": 0.35,
    "history": 0.25,
}
SUBS = [(group, sub) for group, subs in SHOWS.items() for sub in subs]
GROUP = np.array([list(SHOWS).index(group) for group, _ in SUBS])  # of each sub-group
TITLES = [title for group, sub in SUBS for title in SHOWS[group][sub]]
SUB = np.repeat(np.arange(len(SUBS)), [len(SHOWS[group][sub]) for group, sub in SUBS])  # of each title
BEFORE = np.concatenate([np.arange(count) for count in np.bincount(SUB)])  # titles that stand before it in its sub-group
LEAN, CLOSE = 0.35, 0.75  # CLOSE: the part of a liking that the sub-group decides
FAME, FALL, KEEN = 0.25, 0.15, 7.0
MEDIAN, SPREAD, FEWEST, MOST = 25, 0.45, 8, 60
BASE, SLOPE, QUALITY, MOOD, NOISE = 2.0, 3.0, 0.1, 0.2, 0.35
FIRST_DAY, DAYS_TO_COME, GAP = date(2024, 3, 1), 366, 5
STARS = np.arange(1, 5.5, 0.5)


@dataclass(frozen=True)
class Ratings:
    """Rows in order of time, people and titles as numbers, and what the rules know of each of all pairs (people, titles)."""

    person: np.ndarray
    title: np.ndarray
    stars: np.ndarray
    day: np.ndarray  # counted from FIRST_DAY
    mean: np.ndarray  # of the rating, before noise and rounding
    odds: np.ndarray  # log of what a title weighs when the next one is drawn


def likings(count: int, rng: np.random.Generator) -> np.ndarray:
    """How much each of `count` people likes each title, from 0 to 1."""
    mix = rng.dirichlet([WEIGHTS[group] for group in SHOWS], count)
    lean = np.hstack([rng.dirichlet(np.full(subs, LEAN), count) for subs in np.bincount(GROUP)])
    return (np.sqrt(mix[:, GROUP]) * (1 - CLOSE + CLOSE * np.sqrt(lean)))[:, SUB]


def ratings(count: int = PEOPLE, seed: int = SEED, crowd: int = 1) -> Ratings:
    """What `count` people saw and gave. Titles hang on the seed only; another `crowd` is other people."""
    of_titles, rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, crowd])
    popularity = FAME * of_titles.standard_normal(len(TITLES)) - FALL * BEFORE
    quality = QUALITY * of_titles.standard_normal(len(TITLES))
    liking = likings(count, rng)
    odds = popularity + KEEN * liking
    mean = BASE + SLOPE * liking + quality + MOOD * rng.standard_normal((count, 1))
    seen = np.clip(np.round(MEDIAN * rng.lognormal(0, SPREAD, count)), FEWEST, MOST).astype(int)
    drawn = np.argsort(-(odds + rng.gumbel(size=odds.shape)), axis=1)  # with Gumbel noise, the order is that of such draws
    person = np.repeat(np.arange(count), seen)
    title = np.concatenate([order[:number] for order, number in zip(drawn, seen, strict=True)])
    noisy = mean[person, title] + NOISE * rng.standard_normal(len(person))
    waited = np.cumsum(rng.exponential(GAP, len(person)))
    came = rng.integers(0, DAYS_TO_COME, count) - waited[np.cumsum(seen) - seen]
    day = np.floor(came[person] + waited).astype(int)
    order = np.argsort(day, kind="stable")
    return Ratings(person[order], title[order], np.clip(np.round(2 * noisy) / 2, 1, 5)[order], day[order], mean, odds)


def expected_stars(mean: np.ndarray) -> np.ndarray:
    """The stars to expect of ratings with this mean, after noise, rounding and the ends of the scale."""
    steps = (STARS[1:] + STARS[:-1]) / 2
    reached = np.vectorize(math.erfc)((steps - mean[:, None]) / (NOISE * math.sqrt(2))) / 2
    return STARS[0] + 0.5 * reached.sum(axis=1)


def gain(asked: np.ndarray, scores: np.ndarray) -> float:
    """Mean nDCG@10 of people (rows) when titles (columns) are shown by their scores and those that are `asked` count."""
    asked, scores = asked[(some := asked.any(axis=1))], scores[some]
    first = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    worth = 1 / np.log2(np.arange(2, 12))
    ideal = np.cumsum(worth)[np.minimum(asked.sum(axis=1), 10) - 1]
    return float(np.mean(np.take_along_axis(asked, first, axis=1) @ worth / ideal))


def best_possible(count: int = MANY, seed: int = SEED) -> dict[str, float]:
    """What a model that knew the rules, each title and each person would score on other people, and no model can beat.

    nDCG@10: a fifth of the rows, at random, are to be found among all titles that the person has not in the others.
    """
    drawn = ratings(count, seed, crowd=2)
    error = drawn.stars - expected_stars(drawn.mean[drawn.person, drawn.title])
    hidden = np.random.default_rng([seed, 3]).random(len(error)) < 0.2
    asked = np.zeros(drawn.odds.shape, bool)
    asked[drawn.person[hidden], drawn.title[hidden]] = True
    odds = drawn.odds.copy()
    odds[drawn.person[~hidden], drawn.title[~hidden]] = -np.inf
    return {"RMSE": float(np.sqrt(np.mean(error**2))), "nDCG@10": gain(asked, odds)}


def main(folder: Path = HERE) -> None:
    """Write the table into `folder`."""
    drawn = ratings()
    users = [f"u{number + 1:03d}" for number in drawn.person.tolist()]
    days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in drawn.day.tolist()]
    stars = [f"{value:g}" for value in drawn.stars.tolist()]
    rows = zip(users, [TITLES[number] for number in drawn.title.tolist()], stars, days, strict=True)
    with (folder / "ratings.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("user", "title", "rating", "time"), *rows])
    print(f"ratings.csv: {len(stars)} rows, {len(set(users))} people, {len(TITLES)} titles")


if __name__ == "__main__":
    if sys.argv[1:] == ["--floor"]:
        print("\n".join(f"{name}: {value:.4g}" for name, value in best_possible().items()))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
