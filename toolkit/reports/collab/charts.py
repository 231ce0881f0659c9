"""The drawings of a report on ratings and interactions: errors as bars, and what is found among the first items that are
shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolkit.evaluation.scores import NETWORK, UNTRAINED
from toolkit.reports.charts import BLUE, GREY, bare_axes

COLOURS = ("#c8553d", "#3c9d5d", "#8a5fb5", "#d39b1d", "#3aa0a8", "#8c6d5a")
STROKES = ("--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (3, 3)))


def error_bars(values: dict[str, tuple[float, float, float]], what: str, *, highlighted: str) -> Figure:
    """Horizontal bars of name -> (value, low, high), none below 0, with the intervals as whiskers: as `charts.bars`, with no
    other end than the largest."""
    names = list(values)[::-1]
    drawing = Figure(figsize=(4.8, 0.9 + 0.36 * len(names)), layout="constrained")
    axes = drawing.subplots()
    centre, low, high = (np.array([values[name][i] for name in names]) for i in range(3))
    reach = [np.maximum(centre - low, 0), np.maximum(high - centre, 0)]
    colours = [BLUE if name == highlighted else GREY for name in names]
    axes.barh(names, centre, xerr=reach, color=colours, error_kw={"capsize": 3, "lw": 1})
    axes.set(xlim=(0, 1.03 * float(high.max()) or 1.0), xlabel=f"{what}, less is better")
    return bare_axes(drawing, axes)


def ranking_curves(curves: dict[str, list[float]], what: str) -> Figure:
    """What is found among the first 1, 2, … items of a ranking, method -> values."""
    drawing = Figure(figsize=(4.6, 3.7), layout="constrained")
    axes = drawing.subplots()
    looks = zip(COLOURS, STROKES, strict=True)
    for name, values in curves.items():
        look: dict[str, Any]
        if name == NETWORK:
            look = {"color": BLUE, "lw": 2.4, "zorder": 3}
        elif name == UNTRAINED:
            look = {"color": GREY, "lw": 1.6}
        else:
            colour, stroke = next(looks, ("#1d2733", ":"))
            look = {"color": colour, "ls": stroke, "lw": 1.5}
        axes.plot(range(1, len(values) + 1), values, label=f" {name}", marker="o" if len(values) < 3 else None, ms=4, **look)
    longest = max(map(len, curves.values()))
    axes.set(xlabel="items shown", ylabel=what, xlim=(0, longest + 1), ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return bare_axes(drawing, axes)
