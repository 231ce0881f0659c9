"""Make `breast_cancer.csv`, `admissions.csv` and `income.csv`. `python sample_data/make_tables.py`.

A file of its own because tables need no model of a body or a street, but a rule that anybody can read: below, each made table
is its rule, so that what the best possible model reaches is known. The noise is drawn from it too.

`breast_cancer.csv` is real: the table of scikit-learn's `load_breast_cancer`, 30 measures of cell nuclei, with `diagnosis`.

`admissions.csv`: 1,000 applicants to a college; `admitted` is yes with probability 1 / (1 + exp(-s)), where

    s = -1.8 + 1.5 g + 1.2 t + 0.8 (essay - 3.5) + 0.45 activities + recommendation - 0.02 days
    g = (grade_average - 3.1) / 0.4        t = (test_score - 1100) / 150, for first_generation twice that where above 0
    recommendation: weak -1.2, fair -0.4, good 0.4, strong 1.2        days: from the first of September to `applied`

`school` says how grades are given (some schools give them more freely: 0.25 lower counts the same), `applicant` and `region` say
nothing. A tenth of the test scores is missing ("?"), and 3 % of the activities (blank).

`income.csv`: 3,000 people; yearly `income` = exp(m + 0.18 z), z standard normal, with

    m = 10.05 + education + occupation + region + 0.030 years - 0.00045 years² + ln(hours / 38) + 0.04 languages
        + 0.12 for a supervisor + 0.10 more for a supervisor in management or engineering        years: from `started` to 2024

with the figures of `EDUCATION`, `OCCUPATION` and `REGION`. `age` follows the years at work, `person`, `survey` and `commute_km`
say nothing. Missing: 4 % of the occupations ("?"), 5 % of the ages, 3 % of the hours (blank).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
APPLICANTS, PEOPLE, SEED = 1000, 3000, 1936

SCHOOLS = {"Northfield": 0.0, "Lakeside": 0.0, "Hill Street": 0.0, "St. Anne": 0.25, "Old Mill": 0.25}  # grades given freely
REGIONS = ("north", "south", "east", "west")
RECOMMENDATION = {"weak": -1.2, "fair": -0.4, "good": 0.4, "strong": 1.2}
OPENS = date(2023, 9, 1)

EDUCATION = {"primary": -0.22, "secondary": 0.0, "vocational": 0.10, "bachelor": 0.28, "master": 0.40, "doctorate": 0.50}
EDUCATION_SHARES = (0.10, 0.32, 0.22, 0.22, 0.11, 0.03)
OCCUPATION = {
    "care": -0.10, "clerical": -0.05, "construction": 0.02, "engineering": 0.32, "farming": -0.18, "health": 0.22,
    "hospitality": -0.22, "management": 0.45, "production": 0.0, "sales": 0.05, "teaching": 0.08, "transport": -0.04,
}  # fmt: skip
REGION = {
    "capital": 0.15,
    "coast": 0.05,
    "east": -0.10,
    "hills": -0.06,
    "islands": -0.12,
    "lakes": 0.0,
    "north": -0.03,
    "south": 0.03,
}
SPREAD = 0.18  # of the logarithm of an income around its rule
SURVEYED = date(2024, 1, 1)


def breast_cancer() -> list[tuple]:
    """The header and the rows of `breast_cancer.csv`."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = [(*map(repr, map(float, row)), data.target_names[kind]) for row, kind in zip(data.data, data.target, strict=True)]
    return [(*data.feature_names, "diagnosis"), *rows]


def admissions() -> tuple[list[tuple], np.ndarray]:
    """The header and the rows of `admissions.csv`, and the probability with which each applicant was admitted."""
    rng = np.random.default_rng([SEED, 1])
    rows, chances = [], []
    for number in range(APPLICANTS):
        able = rng.standard_normal()
        school = str(rng.choice(list(SCHOOLS)))
        grade = round(float(np.clip(3.1 + 0.28 * able + 0.26 * rng.standard_normal(), 1.5, 4.0)), 2)
        given = round(min(4.0, grade + SCHOOLS[school]), 2)
        score = int(np.clip(10 * round((1100 + 90 * able + 110 * rng.standard_normal()) / 10), 600, 1600))
        essay = int(np.clip(round(3.5 + 0.4 * able + 1.0 * rng.standard_normal()), 1, 6))
        strength = int(np.clip(round(1.5 + 0.4 * able + 0.8 * rng.standard_normal()), 0, 3))
        activities = int(rng.poisson(2.0))
        first = bool(rng.random() < 0.3)
        days = int(rng.triangular(0, 110, 122))
        t = (score - 1100) / 150
        s = -1.8 + 1.5 * (grade - 3.1) / 0.4 + 1.2 * t * (2 if first and t > 0 else 1) + 0.8 * (essay - 3.5)
        s += 0.45 * activities + list(RECOMMENDATION.values())[strength] - 0.02 * days
        chance = 1 / (1 + np.exp(-s))
        admitted = rng.random() < chance
        score_gone, activities_gone = rng.random(2) < (0.10, 0.03)
        rows.append(
            (
                f"A{number + 1:04d}", school, str(rng.choice(REGIONS)), (OPENS + timedelta(days)).isoformat(), f"{given:.2f}",
                "?" if score_gone else score, essay, list(RECOMMENDATION)[strength], "" if activities_gone else activities,
                "yes" if first else "no", "yes" if admitted else "no",
            )
        )  # fmt: skip
        chances.append(chance)
    header = (
        "applicant", "school", "region", "applied", "grade_average", "test_score", "essay", "recommendation", "activities",
        "first_generation", "admitted",
    )  # fmt: skip
    return [header, *rows], np.array(chances)


def income() -> tuple[list[tuple], np.ndarray]:
    """The header and the rows of `income.csv`, and the mean of the income of all who are as each person is."""
    rng = np.random.default_rng([SEED, 2])
    rows, means = [], []
    for number in range(PEOPLE):
        education = str(rng.choice(list(EDUCATION), p=EDUCATION_SHARES))
        learnt = list(EDUCATION).index(education)
        # who learnt longer more often manages, heals, teaches or builds
        weights = [(1 + learnt) if figure > 0.06 else (6 - learnt) for figure in OCCUPATION.values()]
        occupation = str(rng.choice(list(OCCUPATION), p=np.array(weights) / sum(weights)))
        region = str(rng.choice(list(REGION)))
        days = int(365.25 * 42 * rng.beta(1.2, 1.8))
        years = days / 365.25
        age = int(16 + 1.6 * learnt + years + rng.gamma(1.5, 1.5))
        hours = int(np.clip(round(38 + 6 * rng.standard_normal()), 10, 70)) if rng.random() < 0.8 else int(rng.integers(10, 35))
        languages = 1 + int(rng.binomial(3, 0.15 + 0.05 * learnt))
        supervisor = bool(rng.random() < 0.08 + 0.006 * years)
        m = 10.05 + EDUCATION[education] + OCCUPATION[occupation] + REGION[region] + 0.030 * years - 0.00045 * years**2
        m += np.log(hours / 38) + 0.04 * languages
        m += supervisor * (0.22 if occupation in ("management", "engineering") else 0.12)
        earned = np.exp(m + SPREAD * rng.standard_normal())
        commute = round(float(rng.lognormal(2.3, 0.7)), 1)
        occupation_gone, age_gone, hours_gone = rng.random(3) < (0.04, 0.05, 0.03)
        rows.append(
            (
                f"P{number + 1:05d}", 2024, "" if age_gone else age, education, "?" if occupation_gone else occupation, region,
                "" if hours_gone else hours, (SURVEYED - timedelta(days)).isoformat(), languages, "yes" if supervisor else "no",
                commute, int(10 * round(earned / 10)),
            )
        )  # fmt: skip
        means.append(np.exp(m + SPREAD**2 / 2))
    header = (
        "person", "survey", "age", "education", "occupation", "region", "hours", "started", "languages", "supervisor",
        "commute_km", "income",
    )  # fmt: skip
    return [header, *rows], np.array(means)


def write(path: Path, rows: Iterable[tuple]) -> None:
    """A CSV in UTF-8, with commas, and a line feed behind each row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main(folder: Path = HERE) -> None:
    """Write the three tables into `folder`, and say what the best possible model reaches."""
    from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score, root_mean_squared_error

    folder.mkdir(parents=True, exist_ok=True)
    rows = breast_cancer()
    write(folder / "breast_cancer.csv", rows)
    print(f"breast_cancer.csv: {len(rows) - 1} rows")
    rows, chances = admissions()
    write(folder / "admissions.csv", rows)
    admitted = [row[-1] == "yes" for row in rows[1:]]
    reached = f"ROC AUC {roc_auc_score(admitted, chances):.3f}, accuracy {accuracy_score(admitted, chances > 0.5):.3f}"
    print(f"admissions.csv: {np.mean(admitted):.1%} admitted; the rule: {reached}, log loss {log_loss(admitted, chances):.3f}")
    rows, means = income()
    write(folder / "income.csv", rows)
    earned = [row[-1] for row in rows[1:]]
    print(f"income.csv: the rule: R² {r2_score(earned, means):.3f}, RMSE {root_mean_squared_error(earned, means):,.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
