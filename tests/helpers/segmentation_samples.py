"""Small scenes with masks for the tests: a sky above, a ground below, boxes on the ground; and masks without a picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from toolkit.data.segmentation.class_mapping import IGNORED

CLASSES = ("sky", "ground", "box")
COLOURS = ((130, 180, 230), (110, 100, 90), (200, 40, 40))


def draw_labelled(seed, size=(80, 64)):
    """A noisy picture and its mask of class numbers."""
    rng = np.random.default_rng(seed)
    width, height = size
    horizon = int(rng.integers(height // 4, height // 2))
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    draw.rectangle([0, horizon, width, height], fill=1)
    for _ in range(2):
        side = int(rng.integers(height // 6, height // 3))
        left, top = int(rng.integers(0, width - side)), int(rng.integers(horizon, height - side))
        draw.rectangle([left, top, left + side, top + side], fill=2)
    colours = np.array(COLOURS)[np.asarray(mask)] + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8)), mask


def make_labelled(folder: Path, count=24, size=(80, 64), groups=6) -> Path:
    """`count` pictures and masks in parallel folders, frames of `groups` drives, with codes.txt."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture, mask = draw_labelled(number, size)
        name = f"drive{number % groups}_{number:03d}.png"
        picture.save(folder / "images" / name)
        mask.save(folder / "masks" / name)
    (folder / "codes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def mask(*rows):
    return np.array([[int(letter) if letter != "-" else IGNORED for letter in row] for row in rows], dtype=np.uint8)


def random_pairs(pictures=30, classes=4, skill=0.6, seed=0, ignored=0.1):
    """Blocky truths, and answers that are right at a share of the pixels that is each picture's own."""
    rng = np.random.default_rng(seed)
    for _ in range(pictures):
        truth = np.kron(rng.integers(0, classes, (4, 5)), np.ones((6, 6), int)).astype(np.uint8)
        keep = rng.random(truth.shape) < np.clip(skill + rng.normal(0, 0.15), 0, 1)
        said = np.where(keep, truth, rng.integers(0, classes, truth.shape)).astype(np.uint8)
        yield np.where(rng.random(truth.shape) < ignored, IGNORED, truth).astype(np.uint8), said
