"""Made pictures: shapes on noise, and photos as a camera might see them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_shape(name: str, rng: np.random.Generator, size: int = 32) -> Image.Image:
    """A disc, a box or a cross of a random colour, size and place on a noisy ground."""
    ground = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(ground)
    draw = ImageDraw.Draw(image)
    colour = tuple(int(level) for level in rng.integers(120, 256, 3))
    reach = int(rng.integers(size // 5, size // 3))
    x, y = (int(place) for place in rng.integers(reach, size - reach, 2))
    if name == "disc":
        draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=colour)
    elif name == "box":
        draw.rectangle([x - reach, y - reach, x + reach, y + reach], outline=colour, width=3)
    else:
        draw.line([x - reach, y - reach, x + reach, y + reach], fill=colour, width=3)
        draw.line([x - reach, y + reach, x + reach, y - reach], fill=colour, width=3)
    return image


def make_shapes(folder: Path, count: int = 20, names=("box", "cross", "disc"), seed: int = 0, size: int = 32) -> Path:
    """`count` PNG files of each shape, a folder for each."""
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            draw_shape(name, rng, size).save(folder / name / f"{name}_{number:03d}.png")
    return folder


def draw_photo(seed=0, size=(900, 600)):
    """A smooth coloured picture with shapes on it, as a camera might see it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = coarse.resize(size, Image.Resampling.BICUBIC)
    image.paste(draw_shape("disc", rng, 300), (int(rng.integers(0, 500)), 100))
    return image
