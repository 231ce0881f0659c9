"""Drawn scenes with exact masks, for the tests of masks."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 96, 64
CLASSES = ("ground", "disc", "box")
COLOURS = ((128, 64, 128), (0, 0, 142), (220, 20, 60))


def draw_scene(seed, size=(WIDTH, HEIGHT)):
    """(picture, class numbers) of a disc and a box on smooth ground; both always there."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(20, 90, (3, 4, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    mask = Image.new("L", size)
    for number, name in ((1, "ellipse"), (2, "rectangle")):
        colour = tuple(int(level) for level in rng.integers(120, 256, 3))
        x, y = int(rng.integers(0, size[0] - 34)), int(rng.integers(0, size[1] - 34))
        if number == 2 and mask.getbbox():
            x = (mask.getbbox()[0] + size[0] // 2) % (size[0] - 20)  # beside the disc
        box = [x, y, x + 14 + int(rng.integers(0, 12)), y + 14 + int(rng.integers(0, 12))]
        getattr(ImageDraw.Draw(picture), name)(box, fill=colour)
        getattr(ImageDraw.Draw(mask), name)(box, fill=number)
    return picture.filter(ImageFilter.GaussianBlur(0.6)), np.asarray(mask)


def make_scenes(folder, count=20, change=lambda mask, number: mask, suffix=".png", codes=CLASSES, size=(WIDTH, HEIGHT)):
    """`folder`/images and `folder`/masks with `count` pairs, the masks changed; `change` gives an array or a PIL image."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    if codes:
        (folder / "codes.txt").write_text("".join(f"{name}\n" for name in codes))
    for number in range(count):
        picture, mask = draw_scene(number, size)
        picture.save(folder / "images" / f"{number:02d}.jpg", quality=92)
        changed = change(mask, number)
        changed = changed if isinstance(changed, Image.Image) else Image.fromarray(changed)
        changed.save(folder / "masks" / f"{number:02d}{suffix}")
    return folder
