"""Segmentation beside plain fastai and simple methods: `python -m benchmarks.segmentation`.

Needs `segmentation_camvid/{train,val,test}/{images,labels}` and `codes.txt` below --data: CamVid's 11 classes and Unlabelled,
240x180 (http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/; labels of SegNet). Without it only the roads and the
memory are measured. Takes about 45 minutes, of which each side has ten to train on CamVid.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from fastai.learner import Learner
from PIL import Image

from benchmarks import plain_segmentation
from benchmarks.harness import Figure, in_turn, options, report
from recipes.segmentation import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.scores import Scores
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.segmentation.learner import segmentation_learner
from toolkit.program import Program
from toolkit.program.segmentation.inputs import segment

ROADS = Path(__file__).resolve().parent.parent / "sample_data" / "roads"
CHOSEN = {"seed": 0}  # of the recipe, on CamVid: as it comes
BUDGET = 600  # seconds of training on CamVid, each
SPARE = 0.98  # of it that is planned with: the seconds of many epochs add up with their noise
OTHER_SIZES = ((131, 97), (333, 250), (1500, 200))  # width and height; the last is seen in tiles
STORED = 4 + 1  # bytes a pixel: Pillow's of a colour picture, and the mask's
SLACK = 30  # MB, or a tenth: beyond picture and mask, what may come on top of the network's own memory for a larger picture
# the peak of the process itself: getrusage would count its parent's, from before it was replaced
MEASURE = """
import re, sys
from dataclasses import replace
from toolkit.program import load
program = load(sys.argv[1])
program.input = replace(program.input, size=0)  # in the picture's own pixels
program.predict(sys.argv[2])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    camvid = chosen.data / "segmentation_camvid"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        roads(figures, folder, chosen.short)
        if camvid.is_dir():
            data = first_of(camvid, folder / "some", 8) if chosen.short else camvid
            light = build_learner(data, **CHOSEN) if chosen.short else ten_minutes(figures, data)
            unet, plain = same_network(figures, data, chosen.short)
            programs(figures, data, folder, {"light": light, "U-Net": unet}, plain, chosen.short)
        else:
            print(f"left out: no {camvid} (see --help)")
        memory(figures, folder, chosen.short)
    return report(figures, chosen)


def roads(figures: list[Figure], folder: Path, short: bool) -> None:
    """sample_data/roads, the recipe as it comes, drives kept together: mean IoU beside the best simple method, seconds."""
    began = time.perf_counter()
    learn = build_learner(ROADS, group_by=r"(drive\d+)")
    log = fit(learn, epochs=2 if short else 0)
    seconds = time.perf_counter() - began
    scores = evaluate(learn)
    found, simple = mean_iou(scores, "network"), mean_iou(scores, scores.best_simple)
    figures += [
        Figure("roads: test mean IoU", [found], [simple], target="at least 0.90", reached=None if short else found >= 0.90,
               note=f"peer: {simple_methods(scores)}"),
        Figure("roads: seconds of training, reading included", [seconds], unit="s", target="within 120",
               reached=None if short else seconds <= 120, note=f"{log[-1]['epoch']} epochs"),
    ]  # fmt: skip
    parity(figures, "roads", learn, export(learn, folder / "roads.pyz", scores=scores), short)


def ten_minutes(figures: list[Figure], data: Path) -> Learner:
    """CamVid, as many epochs as ten minutes hold, ours and plain fastai's, each from random weights. Returns ours."""
    trial = plain_segmentation.build(data)
    plain_segmentation.train(trial, 1)  # the first is slower than those to come
    plain_epochs = max(1, int(BUDGET / plain_segmentation.train(trial, 1)))
    plain = plain_segmentation.build(data)
    plain_seconds = plain_segmentation.train(plain, plain_epochs)
    plain_iou, plain_pixels, plain_each = plain_segmentation.test_scores(plain, data)

    epochs = epochs_within(data)
    began = time.perf_counter()  # before the pictures are decoded: plain fastai decodes them while it trains
    learn = build_learner(data, **CHOSEN)
    log = fit(learn, epochs)
    seconds = time.perf_counter() - began
    scores = evaluate(learn)
    found, pixels = mean_iou(scores, "network"), scores.table["network"]["pixel accuracy"].value
    took = f"{log[-1]['epoch']} of {epochs} epochs, plain fastai {plain_epochs}"
    figures += [
        Figure("CamVid: test mean IoU", [found], [plain_iou], target="0.10 above", reached=found - plain_iou >= 0.10,
               note=f"aim 0.50; peer: plain fastai, U-Net on resnet18 at 96x128; {took}"),
        Figure("CamVid: test mean IoU", [found], [mean_iou(scores, scores.best_simple)], note=f"peer: {simple_methods(scores)}"),
        Figure("CamVid: test pixel accuracy", [pixels], [plain_pixels], note="peer: plain fastai"),
        Figure("CamVid: seconds of training, reading included", [seconds], [plain_seconds], "s", True,
               target=f"at most {BUDGET}", reached=seconds <= BUDGET, note="peer: plain fastai, which reads while it trains"),
    ]  # fmt: skip
    for name, iou in scores.per_class["network"].items():
        figures.append(Figure(f"CamVid: IoU of {name}", [iou.value], [plain_each[name]], note="peer: plain fastai"))
    return learn


def epochs_within(data: Path) -> int:
    """How many epochs of the recipe the budget holds, its reading, and a search for a learning rate if there is one, counted."""
    began = time.perf_counter()
    log = fit(build_learner(data, **CHOSEN), epochs=3)
    epochs = [row["seconds"] for row in log[1:]]
    beside = time.perf_counter() - began - sum(epochs)
    return max(1, int((SPARE * BUDGET - beside) / statistics.median(epochs)))


def same_network(figures: list[Figure], data: Path, short: bool) -> tuple[Learner, Learner]:
    """The same U-Net at 96x128 in both: an epoch, validation included. Returns ours and plain fastai's."""
    size = plain_segmentation.SIZE
    labelled = build_learner(data, arch="resnet18", weights="random", size=min(size)).dls.labelled
    labelled = replace(
        labelled, crop_from=size, crop=size
    )  # the recipe's steps see a part of each picture, plain fastai's all of it
    learn = segmentation_learner(labelled, "resnet18", weights="random", batch_size=plain_segmentation.BATCH, seed=0)
    plain = plain_segmentation.build(data)
    assert learn.dls.one_batch()[0].shape == plain.dls.one_batch()[0].shape
    assert [part.n for part in learn.dls.loaders[:2]] == [plain.dls.train.n, plain.dls.valid.n]

    def epoch() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, 1e-3)

    timed = in_turn(epoch, lambda: plain_segmentation.train(plain, 1), rounds=1 if short else 3)
    compared(figures, "U-Net: one training epoch, validation included", timed, 2.2, short, "resnet18, 96x128, batch 8")
    return learn, plain


def programs(figures: list[Figure], data: Path, folder: Path, learners: dict, plain: Learner, short: bool) -> None:
    """Programs of the U-Net and of the light network: one prediction from a file, and the learner's answers."""
    found = {name: export(learn, folder / f"{name}.pyz") for name, learn in learners.items()}
    for name, program in found.items():
        parity(figures, f"CamVid, {name}", learners[name], program, short)
    photo, rounds = next((data / "test" / "images").glob("*")), 5 if short else 40
    width, height = Image.open(photo).size
    unet = found["U-Net"]
    for size, learn in ((plain_segmentation.SIZE, plain), ((height, width), plain_segmentation.build(data, (height, width)))):
        unet.input = replace(unet.input, size=min(size))  # one graph serves every size
        with learn.no_bar():
            timed = in_turn(lambda: unet.predict(photo), lambda learn=learn: learn.predict(photo), rounds=rounds)
        note = "x".join(map(str, size)) + " for both"
        if learn is plain:
            note += "; ours answers at the picture's own size"
        compared(figures, "U-Net: one prediction from a file", timed, 1.3, short, note)
    prepared = unet.input.prepare(photo)[None]
    timed = in_turn(lambda: unet.predict(photo), lambda: unet.run(prepared), rounds=rounds)
    figure = Figure("U-Net: one prediction, and its bare graph", *timed, unit="s", lower_is_better=True, target="within 10 %")
    figure.reached = None if short else figure.ratio >= 1 / 1.1
    figure.note = "peer: onnxruntime on the prepared picture, {}x{}".format(*prepared.shape[1:3])
    figures.append(figure)
    light = found["light"]
    light.input = replace(light.input, size=height)
    with learn.no_bar():
        timed = in_turn(lambda: light.predict(photo), lambda: learn.predict(photo), rounds=rounds)
    note = f"peer: plain fastai's U-Net; {height}x{width} for both"
    compared(figures, "light: one prediction from a file", timed, 5, short, note)


def memory(figures: list[Figure], folder: Path, short: bool) -> None:
    """Peak memory of a fresh process on a small and on a large picture in own pixels, less what picture and mask take."""
    picture, beyond, notes = Image.open(next((ROADS / "images").glob("*"))), [], []
    for times in (1, 2 if short else 4):
        large = picture.resize((2312 * times, 1734 * times))
        large.save(folder / "large.jpg", quality=90)
        megapixels = large.width * large.height / 1e6
        command = [sys.executable, "-c", MEASURE, str(folder / "roads.pyz"), str(folder / "large.jpg")]
        began = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        peak = int(re.findall(r"\d+", done.stdout)[-1]) * 1024 / 1e6
        beyond.append(peak - STORED * megapixels)
        notes.append(f"{megapixels:.0f} megapixels {peak:.0f} MB, {seconds:.0f} s")
    figure = Figure("light: peak memory beyond picture and mask", beyond[1:], beyond[:1], "MB", True)
    figure.target, figure.reached = f"flat: within a tenth or {SLACK} MB", beyond[1] <= max(1.1 * beyond[0], beyond[0] + SLACK)
    figure.note = f"{'; '.join(notes)}; picture and mask: {STORED} bytes a pixel; peer: the small picture"
    figures.append(figure)


def parity(figures: list[Figure], name: str, learn: Learner, program: Program, short: bool) -> None:
    """The share of pixels that learner and program, which has passed its gate, agree on: test pictures and other sizes."""
    labelled, run, shares = learn.dls.labelled, pixel_network(learn), {}
    rows = np.flatnonzero(labelled.table.split == "test")[: 5 if short else 50].tolist()
    pictures = [labelled.picture(row) for row in rows]
    sizes = {f"{len(rows)} test pictures": pictures}
    sizes |= {f"{width}x{height}": [picture.resize((width, height)) for picture in pictures[:5]] for width, height in OTHER_SIZES}
    for what, some in sizes.items():
        same = [
            segment(one, run, segmentation_input=learn.dls.labelled.segmentation_input)
            == segment(one, program.run, segmentation_input=program.input)
            for one in some
        ]
        shares[what] = float(np.mean([part.mean() for part in same]))
    worst, note = min(shares.values()), ", ".join(f"{what} {share:.6f}" for what, share in shares.items())
    title, target = f"{name}: pixels that program and learner agree on", "at least 0.9999"
    figures.append(Figure(title, [worst], target=target, reached=worst >= 0.9999, note=f"the lowest of: {note}"))


def compared(figures: list[Figure], name: str, timed: tuple[list[float], list[float]], times: float, short: bool, note: str):
    """A figure of time with its target: at least so many times as fast as the peer."""
    figure = Figure(name, *timed, unit="s", lower_is_better=True, target=f"{times:g} times as fast", note=note)
    figure.reached = None if short else figure.ratio >= times
    figures.append(figure)


def mean_iou(scores: Scores, method: str) -> float:
    """The mean IoU of a method."""
    return scores.table[method]["mean IoU"].value


def simple_methods(scores: Scores) -> str:
    """The simple methods with their mean IoU, the best first."""
    others = sorted((name for name in scores.table if "network" not in name), key=lambda name: -mean_iou(scores, name))
    return ", ".join(f"{name} {mean_iou(scores, name):.3f}" for name in others)


def first_of(data: Path, place: Path, count: int) -> Path:
    """The first pictures and masks of each part of CamVid, linked: enough to see that everything runs."""
    for part in ("train", "val", "test"):
        for picture in sorted((data / part / "images").iterdir())[:count]:
            for file in (picture, plain_segmentation.mask_of(picture)):
                (place / part / file.parent.name).mkdir(parents=True, exist_ok=True)
                (place / part / file.parent.name / file.name).symlink_to(file.resolve())
    (place / "codes.txt").symlink_to((data / "codes.txt").resolve())
    return place


if __name__ == "__main__":
    sys.exit(main())
