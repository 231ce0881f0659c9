"""A picture is read once and the same way everywhere, whatever its file holds."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from toolkit.converters import RESIZE_METHODS, fit_image, read_image
from toolkit.errors import ConversionError, ToolkitError


def gradient(height=40, width=60):
    """An upright picture whose every pixel is different."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8))


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def saved(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees
    turned = read_image(saved(gradient(), "PNG", exif=exif))
    assert turned.size == (40, 60)
    assert np.array_equal(np.asarray(turned), np.asarray(gradient().transpose(Image.Transpose.ROTATE_270)))


def test_sixteen_bit_grey_keeps_its_full_scale(tmp_path):
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    path = tmp_path / "deep.png"
    Image.fromarray(levels).save(path)
    read = np.asarray(read_image(path))
    assert read.min() == 0
    assert read.max() == 255
    assert np.array_equal(read[..., 0], levels // 257)
    assert np.array_equal(read, np.asarray(read_image(levels)))


def test_palette_and_cmyk_become_rgb():
    palette = gradient().quantize(16)
    assert np.array_equal(np.asarray(read_image(saved(palette, "PNG"))), np.asarray(palette.convert("RGB")))
    cmyk = read_image(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    assert cmyk.getpixel((4, 4)) == (255, 0, 0)


def test_transparency_is_laid_over_white():
    hidden = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert read_image(saved(hidden, "PNG")).getpixel((3, 3)) == (255, 255, 255)


def test_path_bytes_image_and_array_give_the_same_pixels(tmp_path):
    path = tmp_path / "名前 with spaces é.png"
    gradient().save(path)
    wanted = np.asarray(gradient())
    for source in (path, str(path), path.read_bytes(), Image.open(path), wanted):
        assert np.array_equal(np.asarray(read_image(source)), wanted)


def test_the_callers_image_is_left_as_it_was():
    image = gradient().convert("L")
    read_image(image)
    assert image.mode == "L"
    assert image.tobytes() == gradient().convert("L").tobytes()


def test_a_phones_photo_with_a_preview_is_one_picture():
    stream = saved(gradient(), "MPO", save_all=True, append_images=[gradient()])
    assert read_image(stream).size == (60, 40)


def huge_png(width=20_000, height=15_000):
    """The header of a picture of 300 megapixels, in a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"")]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no picture at all", "not a picture"),
        (saved(noise(), "JPEG")[:-600], "truncated"),
        (saved(noise(), "PNG")[:-600], "truncated"),
        (saved(gradient(), "GIF", save_all=True, append_images=[ImageOps.invert(gradient())]), "animation .* 2 pictures"),
        (huge_png(), "megapixels"),
        (saved(Image.new("F", (4, 4)), "TIFF"), "floating-point"),
    ],
    ids=["zero bytes", "not a picture", "half a JPEG", "half a PNG", "animated", "300 megapixels", "floating point"],
)
def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path, content, reason):
    path = tmp_path / "suspect.png"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=reason) as caught:
        read_image(path)
    assert caught.value.source == str(path)
    with pytest.raises(ConversionError, match=reason):
        read_image(content)


@pytest.mark.parametrize("source", [np.zeros((4, 4), float), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), 7, None])
def test_what_is_no_item_at_all_is_refused(source):
    with pytest.raises(ConversionError, match="expected"):
        read_image(source)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConversionError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ConversionError, match="a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("method", RESIZE_METHODS)
@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (33, 33), (7, 90)])
def test_resizing_gives_the_size_asked_for_and_equals_fastais(method, shape):
    from fastai.vision.augment import PadMode, Resize
    from fastai.vision.core import PILImage

    image = gradient(*shape)
    fitted = fit_image(image, (24, 24), method=method)
    assert fitted.size == (24, 24)
    theirs = Resize(24, method=method, pad_mode=PadMode.Zeros)(PILImage.create(np.asarray(image)), split_idx=1)
    assert np.array_equal(np.asarray(fitted), np.asarray(theirs))


def test_an_unknown_resize_method_lists_the_known_ones():
    with pytest.raises(ToolkitError, match="squish, crop, pad"):
        fit_image(gradient(), (8, 8), method="stretch")
