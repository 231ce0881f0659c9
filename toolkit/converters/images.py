"""Reading a picture, once and the same way everywhere: what training sees is what the program sees.

A photo is the one raw input that is an image already: no converter, but a reading that must not differ by a grey level between
the training machine and the place where the program runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError, ToolkitError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jfif")
MAX_PIXELS = 89_478_485  # Pillow's own bound: 268 MB once decoded to RGB
RESIZE_METHODS = ("squish", "crop", "pad")

Source = Path | str | bytes | Image.Image | np.ndarray


def read_image(source: Source, at_least: int = 0) -> Image.Image:
    """Read a picture as upright 8-bit RGB.

    `source` is a path, the bytes of a file, a PIL image, or an array: (height, width), (height, width, 1), (…, 3) or
    (…, 4), uint8, or uint16 for grey. EXIF rotation is applied. 16-bit grey is divided by 257, so full scale stays full scale.
    Transparency is laid over white. CMYK and palettes become RGB. With `at_least`, a JPEG is decoded at the smallest of
    1/1, 1/2, 1/4 and 1/8 of its size whose sides are both at least so many pixels: a photo of 12 megapixels takes a
    fraction of the time and memory (libjpeg scales in its cosine transform). A PIL image or an array is taken at its size.

    Raises `ConversionError` for a file that is missing, empty, truncated, an animation, over `MAX_PIXELS`, or not a
    picture, and for arrays of another shape or type.
    """
    name = source_name(source)
    with decoding(name), _open(source, name) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: phones' photo plus preview
        if frames > 1:
            raise ConversionError(name, f"an animation or a document of {frames} pictures: save the one you want")
        megapixels = image.width * image.height / 1e6
        if at_least:
            image.draft(None, (at_least, at_least))  # does nothing for other formats
        if image.width * image.height > MAX_PIXELS:
            raise ConversionError(name, f"{megapixels:.0f} megapixels, more than {MAX_PIXELS / 1e6:.0f}: save it smaller")
        ImageOps.exif_transpose(image, in_place=True)  # without: a second copy of the pixels
        return _to_rgb(image, name)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Whatever a damaged file called `name` makes a decoder raise in the block becomes a `ConversionError`."""
    try:
        yield
    except ConversionError:
        raise
    except Image.DecompressionBombError as error:
        raise ConversionError(name, f"more than {2 * MAX_PIXELS / 1e6:.0f} megapixels: save it smaller") from error
    except Image.UnidentifiedImageError as error:
        raise ConversionError(name, "not a picture in a format Pillow knows") from error
    except OSError as error:
        raise ConversionError(name, error.strerror or f"cannot be decoded ({error})") from error
    except Exception as error:  # a damaged file can make a decoder raise anything: ValueError, SyntaxError, struct.error
        raise ConversionError(name, f"cannot be decoded ({type(error).__name__}: {error})") from error


def picture_size(path: Path | str) -> tuple[int, int] | None:
    """(width, height) in pixels as the file's header says, before EXIF rotation; None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # a damaged file can make a decoder raise anything; reading it will say what
        return None


def fit_image(image: Image.Image, size: tuple[int, int], *, method: str = "squish") -> Image.Image:
    """Bring an RGB image to `size` = (height, width) in pixels, bilinear with antialiasing.

    `squish` changes the proportions, `crop` cuts the longer side around the centre, `pad` adds black bars. The pixels
    are those of fastai's `Resize` in validation.
    """
    if method not in RESIZE_METHODS:
        raise ToolkitError(f"resize method {method!r}; choose from {', '.join(RESIZE_METHODS)}")
    height, width = size
    if image.size == (width, height):
        return image
    if method != "squish":
        scales = image.width / width, image.height / height
        scale = min(scales) if method == "crop" else max(scales)
        box_width, box_height = int(scale * width), int(scale * height)
        left, top = int((image.width - box_width) / 2), int((image.height - box_height) / 2)
        image = image.crop((left, top, left + box_width, top + box_height))  # black where it reaches outside
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _open(source: Source, name: str) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()  # the caller's stays open, and as it was
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    return Image.open(check_source(source, "a path, bytes, a PIL image or an array"))


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8)
    if not shape_fits or array.dtype not in (np.uint8, np.uint16) or 0 in array.shape:
        raise ConversionError(name, "expected (height, width) or (height, width, 3) of uint8, or grey of uint16")
    return Image.fromarray(array)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode.startswith("I"):  # 16-bit grey; mode I is its 32-bit container
        levels = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return Image.fromarray((levels // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ConversionError(name, "floating-point pixels: save it as 8 or 16 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
