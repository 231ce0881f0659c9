"""Drawn scenes with exact masks, and short ways to have the doctor look at them, for the tests of masks."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from toolkit.data.doctor import main
from toolkit.data.segmentation.class_mapping import read_class_mapping, read_mask
from toolkit.data.segmentation.mask_doctor import diagnose
from toolkit.data.segmentation.pairs import find_pairs

WIDTH, HEIGHT = 96, 64
CLASSES = ("ground", "disc", "box")
COLOURS = ((128, 64, 128), (0, 0, 142), (220, 20, 60))
PALETTE = np.array(COLOURS, dtype=np.uint8)
NAMED = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in zip(CLASSES, COLOURS, strict=True)}


def draw_labelled(seed, size=(WIDTH, HEIGHT)):
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


def make_labelled(folder, count=20, change=lambda mask, number: mask, suffix=".png", codes=CLASSES, size=(WIDTH, HEIGHT)):
    """`folder`/images and `folder`/masks with `count` pairs, the masks changed; `change` gives an array or a PIL image."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    if codes:
        (folder / "codes.txt").write_text("".join(f"{name}\n" for name in codes))
    for number in range(count):
        picture, mask = draw_labelled(number, size)
        picture.save(folder / "images" / f"{number:02d}.jpg", quality=92)
        changed = change(mask, number)
        changed = changed if isinstance(changed, Image.Image) else Image.fromarray(changed)
        changed.save(folder / "masks" / f"{number:02d}{suffix}")
    return folder


def examine(folder, quick=False, classes="", ignore="auto", **options):
    pairs = find_pairs(folder, **options)
    return diagnose(pairs, read_class_mapping(pairs.table["mask"].tolist(), classes, ignore=ignore), quick=quick)


def kinds(diagnosis):
    return {finding.kind: len(finding.files) for finding in diagnosis.findings}


def only(diagnosis):
    (finding,) = diagnosis.findings
    return finding


def mended(folder, *options):
    """Apply the doctor, look whether it finds nothing in what it made, and give the class numbers of each mask by name."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    target = folder.parent / "mended"
    main(["masks", str(folder / "images"), str(folder / "masks"), *options, "--apply", str(target)])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert main(["masks", str(folder / "images"), str(target)]) == 0
    return {path.stem: read_mask(path) for path in target.glob("*.png")}


def blended(mask, number, step=1):
    """Class numbers times `step`, shrunk and enlarged with smoothing."""
    image = Image.fromarray((mask * step).astype(np.uint8))
    return image.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)


def foreground(mask, number, value=255):
    return ((mask > 0) * value).astype(np.uint8)
