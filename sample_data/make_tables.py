"""Make `breast_cancer.csv`, `admissions.csv` and `income.csv`: `python sample_data/make_tables.py`; `--floor` prints best scores.

A file of its own because a made table is worth as much as the rule behind it: here the rule is code, and `best_possible` says
what a model that knew it would score. A cell that is missing is missing in the rule too, which then takes what stands in
brackets: so no score is out of reach because of it.

**admissions.csv**, `admitted` yes with probability 1 / (1 + exp(-s)), else no; this draw is the noise:

    s = 0.1 + 3 min(g, t) + 0.3 (essay - 3.5) + recommendations + 0.5 if first_generation + 0.8 v + 0.5 if school is a partner
    g = (grade_average - 3) / 0.5,   t = (test_score - 1050) / 180 [0],   v = 1 - exp(-volunteering_hours / 40) [0]
    recommendations: weak -0.6, fair 0, strong 0.4, outstanding 0.9 [0];   partners: Alder, Linden

Only the weaker of grades and test counts, which a weight for each cannot say. applicant and applied tell nothing.

**income.csv**, `income` a year, times lognormal noise of mean 1 and sigma 0.2:

    income = 21,000 × education × occupation × region × contract × hours × growth × raise
    hours  = h / 38 up to 38; what is above counts half [38]
    growth = 1 + c (1 - exp(-years_experience / 8)) [10 years], c by education [0.7]
    raise  = 1.015 for each year from `started` to the end of 2024, 10 at most [none]

Education, its factor and its c: primary 0.85, 0.25; school 0.95, 0.45; trade 1.05, 0.7; bachelor 1.15, 1.1; master 1.3, 1.5;
doctorate 1.5, 1.8 [1, 0.7]. Occupation: retail 0.82, transport 0.92, building 1.02, farming 0.78, cooking 0.8, office 0.95,
nursing 1, teaching 1.02, software 1.3, finance 1.35, law 1.45, medicine 1.6 [0.9]. Region: capital 1.25, coast 1.1, plain 1,
hills 0.9 [1]; software, finance and law earn 1.3 times that in the capital. Contract: permanent 1, temporary 0.88.
person, household, commute_km and pets tell nothing.
"""

from __future__ import annotations

import csv
import math
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SEED, APPLICANTS, PEOPLE, MANY = 1936, 1000, 3000, 200_000  # MANY: rows that `best_possible` draws
SCHOOLS = ("Alder", "Birch", "Linden", "Maple", "Hazel", "Rowan", "Willow", "Cedar", "Elm", "Juniper")
PARTNERS = ("Alder", "Linden")
LETTERS = {"weak": -0.6, "fair": 0.0, "strong": 0.4, "outstanding": 0.9}
EDUCATION = {  # share of the people, factor, growth with experience
    "primary": (0.08, 0.85, 0.25),
    "school": (0.30, 0.95, 0.45),
    "trade": (0.27, 1.05, 0.70),
    "bachelor": (0.20, 1.15, 1.10),
    "master": (0.12, 1.30, 1.50),
    "doctorate": (0.03, 1.50, 1.80),
}
LEARNED, MANUAL = (0.2, 0.5, 0.7, 1.3, 1.6, 1.8), (1.6, 1.4, 1.5, 0.6, 0.3, 0.1)  # how an education bends the odds of a job
OCCUPATIONS = {  # weight in the draw, factor, how the odds depend on education
    "retail": (16, 0.82, MANUAL),
    "transport": (10, 0.92, MANUAL),
    "building": (11, 1.02, MANUAL),
    "farming": (5, 0.78, MANUAL),
    "cooking": (7, 0.80, MANUAL),
    "office": (16, 0.95, (1, 1, 1, 1, 1, 1)),
    "nursing": (10, 1.00, (0.3, 0.8, 1.5, 1.2, 0.6, 0.3)),
    "teaching": (9, 1.02, LEARNED),
    "software": (7, 1.30, LEARNED),
    "finance": (5, 1.35, LEARNED),
    "law": (2, 1.45, LEARNED),
    "medicine": (2, 1.60, (0.01, 0.05, 0.1, 0.3, 2.0, 8.0)),
}
REGIONS = {"capital": (0.28, 1.25), "coast": (0.24, 1.10), "plain": (0.33, 1.00), "hills": (0.15, 0.90)}
PAID_BY_PLACE, CAPITAL_BONUS = ("software", "law", "finance"), 1.3
SIGMA, LAST_DAY = 0.2, date(2024, 12, 31)

Columns = dict[str, np.ndarray]


def hide(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The values, a `share` of them missing: nan among numbers, "" among texts."""
    kept = values.astype(float) if values.dtype.kind in "if" else values
    return np.where(rng.random(len(values)) < share, np.nan if kept.dtype.kind == "f" else "", kept)


def factors(table: dict[str, float], values: np.ndarray, missing: float) -> np.ndarray:
    """What `table` says of each value, `missing` where there is none."""
    names, numbers = np.unique(values, return_inverse=True)
    return np.array([table.get(name, missing) for name in names.tolist()])[numbers]


def days(start: date, after: np.ndarray) -> np.ndarray:
    """The dates that lie so many days after `start`, as texts."""
    known, numbers = np.unique(after, return_inverse=True)
    return np.array([(start + timedelta(days=int(day))).isoformat() for day in known])[numbers]


def applicants(count: int, rng: np.random.Generator) -> Columns:
    """Who applies: grades and tests go together, r = 0.45 or so, and some schools give better grades than others."""
    school = rng.choice(len(SCHOOLS), count, p=(weights := 0.8 ** np.arange(len(SCHOOLS))) / weights.sum())
    able, kind = rng.standard_normal(count), np.resize((0.15, -0.15, 0.0), len(SCHOOLS))[school]
    grades = 3.0 + kind + 0.33 * able + 0.36 * rng.standard_normal(count)
    test = 1050 + 125 * able + 130 * rng.standard_normal(count)
    letter = np.digitize(0.4 * able + rng.standard_normal(count), (-1.3, 0.1, 1.4))
    hours = np.where(rng.random(count) < 0.25, 0, np.minimum(rng.lognormal(3.2, 0.9, count), 400))
    return {
        "school": np.array(SCHOOLS)[school],
        "applied": days(date(2024, 9, 2), np.floor(150 * rng.beta(2.5, 1.2, count))),
        "grade_average": np.clip(grades, 1, 4).round(2),
        "test_score": hide(np.clip(10 * np.round(test / 10), 400, 1600), 0.03, rng),
        "essay": np.clip(np.round(3.5 + 0.4 * able + rng.standard_normal(count)), 1, 6),
        "recommendations": hide(np.array(list(LETTERS))[letter], 0.02, rng),
        "first_generation": np.where(rng.random(count) < 0.3, "yes", "no"),
        "volunteering_hours": hide(np.round(hours), 0.04, rng),
    }


def chance(table: Columns) -> np.ndarray:
    """The probability with which each applicant is admitted."""
    g, t = (table["grade_average"] - 3) / 0.5, np.nan_to_num((table["test_score"] - 1050) / 180)
    score = 0.1 + 3 * np.minimum(g, t) + 0.3 * (table["essay"] - 3.5) + factors(LETTERS, table["recommendations"], 0.0)
    score += 0.5 * (table["first_generation"] == "yes") + 0.5 * np.isin(table["school"], PARTNERS)
    score += 0.8 * np.nan_to_num(1 - np.exp(-table["volunteering_hours"] / 40))
    return 1 / (1 + np.exp(-score))


def people(count: int, rng: np.random.Generator) -> Columns:
    """Who works: jobs go with education, and nobody has been longer in the job than at work."""
    shares = [share for share, *_ in EDUCATION.values()]
    education = rng.choice(len(EDUCATION), count, p=shares)
    odds = np.array([[weight * bend[level] for weight, _, bend in OCCUPATIONS.values()] for level in range(len(EDUCATION))])
    below = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)[education, :-1]
    occupation = (rng.random(count)[:, None] > below).sum(axis=1)
    years = np.minimum(np.round(rng.gamma(1.8, 8.0, count), 1), 45)
    hours = np.where(rng.random(count) < 0.25, rng.normal(22, 5, count), rng.normal(39, 5, count))
    in_the_job = np.floor(365.25 * years * rng.beta(1, 1.6, count))
    return {
        "region": hide(rng.choice(list(REGIONS), count, p=[share for share, _ in REGIONS.values()]), 0.02, rng),
        "education": hide(np.array(list(EDUCATION))[education], 0.03, rng),
        "occupation": hide(np.array(list(OCCUPATIONS))[occupation], 0.05, rng),
        "contract": np.where(rng.random(count) < 0.8, "permanent", "temporary"),
        "hours_per_week": hide(np.round(np.clip(hours, 8, 60)), 0.03, rng),
        "years_experience": hide(years, 0.04, rng),
        "started": hide(days(LAST_DAY, -in_the_job), 0.03, rng),
        "household": 1 + np.minimum(rng.poisson(1.3, count), 6),
        "commute_km": hide(np.round(rng.lognormal(2.3, 0.8, count), 1), 0.06, rng),
        "pets": np.where(rng.random(count) < 0.4, "yes", "no"),
    }


def expected_income(table: Columns) -> np.ndarray:
    """The mean income of people with these cells."""
    level, occupation, region = table["education"], table["occupation"], table["region"]
    hours, years = np.nan_to_num(table["hours_per_week"], nan=38), np.nan_to_num(table["years_experience"], nan=10)
    known = np.where(table["started"] == "", LAST_DAY.isoformat(), table["started"]).astype("datetime64[D]")
    in_the_job = (np.datetime64(LAST_DAY) - known).astype(int) / 365.25
    income = 21_000 * factors({name: factor for name, (_, factor, _) in EDUCATION.items()}, level, 1.0)
    income *= factors({name: factor for name, (_, factor, _) in OCCUPATIONS.items()}, occupation, 0.9)
    income *= factors({name: factor for name, (_, factor) in REGIONS.items()}, region, 1.0)
    income *= np.where((region == "capital") & np.isin(occupation, PAID_BY_PLACE), CAPITAL_BONUS, 1.0)
    income *= np.where(table["contract"] == "temporary", 0.88, 1.0)
    income *= (np.minimum(hours, 38) + 0.5 * np.maximum(hours - 38, 0)) / 38
    income *= 1 + factors({name: growth for name, (*_, growth) in EDUCATION.items()}, level, 0.7) * (1 - np.exp(-years / 8))
    return income * 1.015 ** np.minimum(in_the_job, 10)


def admissions(count: int = APPLICANTS, seed: int = SEED) -> tuple[Columns, np.ndarray]:
    """The table, and the probability that each applicant had."""
    rng = np.random.default_rng([seed, 1])
    table = applicants(count, rng)
    probability = chance(table)
    names = np.array([f"A{number:05d}" for number in 10_000 + rng.permutation(count)])
    return {"applicant": names, **table, "admitted": np.where(rng.random(count) < probability, "yes", "no")}, probability


def income(count: int = PEOPLE, seed: int = SEED) -> tuple[Columns, np.ndarray]:
    """The table, and the mean income of people with the cells of each row."""
    rng = np.random.default_rng([seed, 2])
    table = people(count, rng)
    expected = expected_income(table)
    earned = np.round(expected * np.exp(SIGMA * rng.standard_normal(count) - SIGMA**2 / 2))
    names = np.array([f"P{number:06d}" for number in 100_000 + rng.permutation(count)])
    return {"person": names, **table, "income": earned}, expected


def best_possible(count: int = MANY, seed: int = SEED + 1) -> dict[str, float]:
    """What a model that knew the rules would score on `count` new rows of each table, and no model can beat."""
    from sklearn.metrics import mean_squared_error, r2_score, roc_auc_score

    (applied, probability), (earning, expected) = admissions(count, seed), income(count, seed)
    admitted = applied["admitted"] == "yes"
    return {
        "admissions ROC AUC": float(roc_auc_score(admitted, probability)),
        "admissions accuracy": float(np.mean(admitted == (probability > 0.5))),
        "income R²": float(r2_score(earning["income"], expected)),
        "income RMSE": float(mean_squared_error(earning["income"], expected) ** 0.5),
    }


def breast_cancer() -> Columns:
    """scikit-learn's `load_breast_cancer`: 569 tumours, 30 measures of the nuclei of their cells, and the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return {**dict(zip(data.feature_names, data.data.T, strict=True)), "diagnosis": data.target_names[data.target]}


def cell(value: object, missing: str) -> str:
    """A value as it stands in the file: whole numbers without a point, `missing` where there is none."""
    if isinstance(value, float):
        return missing if math.isnan(value) else repr(value).removesuffix(".0")
    return str(value) or missing


def write(path: Path, table: Columns, question: tuple[str, ...] = ()) -> None:
    """A CSV. What is missing is "?" in the columns `question`, as surveys have it, and blank in the others."""
    columns = [[cell(value, "?" if name in question else "") for value in column.tolist()] for name, column in table.items()]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([tuple(table), *zip(*columns, strict=True)])
    print(f"{path.name}: {len(columns[0])} rows, {len(columns)} columns")


def main(folder: Path = HERE) -> None:
    """Write the three tables into `folder`."""
    write(folder / "breast_cancer.csv", breast_cancer())
    write(folder / "admissions.csv", admissions()[0])
    write(folder / "income.csv", income()[0], question=("occupation", "region", "years_experience"))


if __name__ == "__main__":
    if sys.argv[1:] == ["--floor"]:
        print("\n".join(f"{name}: {value:.4g}" for name, value in best_possible().items()))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
