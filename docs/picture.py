"""Draw the picture at the top of the README from a finished run: `python docs/picture.py runs/digits`.

Every number in it is read from the run's scores.json, every answer is its program's.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image

from toolkit.program import load

HERE = Path(__file__).resolve().parent


def main(run: Path) -> None:
    """Write docs/picture.png: items in, scores with intervals, answers of the program."""
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    tested = pd.read_csv(run / "predictions.csv", dtype={"label": str})
    shown = tested.groupby("label").head(2).sample(frac=1, random_state=1)
    program = load(run / "program.pyz")
    figure = plt.figure(figsize=(11, 3.4), dpi=110)
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1, 1.9, 1.1])

    left.suptitle("a folder of pictures", fontsize=12)
    for axes, path in zip(left.subplots(4, 4).flat, shown.path[:16], strict=True):
        axes.imshow(Image.open(path), cmap="gray")
        axes.axis("off")

    middle.suptitle(f"an honest score: {scores['n_test']} held-out pictures, accuracy", fontsize=12)
    axes = middle.subplots()
    middle.subplots_adjust(left=0.36, right=0.94, bottom=0.14, top=0.86)
    methods = list(scores["table"])[::-1]
    found = [scores["table"][method]["accuracy"] for method in methods]
    values = [accuracy["value"] for accuracy in found]
    reach = [[a["value"] - a["low"] for a in found], [a["high"] - a["value"] for a in found]]
    colours = ["#2f6fb0" if method == "network" else "#b9c4cf" for method in methods]
    axes.barh(methods, values, xerr=reach, color=colours, error_kw={"capsize": 3, "lw": 1})
    for row, accuracy in enumerate(found):
        place = 0.03 if accuracy["low"] > 0.3 else accuracy["high"] + 0.03
        axes.text(place, row, f"{accuracy['value']:.3f}", va="center", color="white" if methods[row] == "network" else "black")
    axes.set_xlim(0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)

    right.suptitle("one file that answers anywhere", fontsize=12)
    lines = ["$ python program.pyz *.png", ""]
    lines += [f"{Path(path).name}   {program.predict(path).text(1)}" for path in shown.path[:8]]
    right.text(0.04, 0.80, "\n".join(lines), family="monospace", fontsize=9.5, va="top")
    figure.savefig(HERE / "picture.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
