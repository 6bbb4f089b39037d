"""Photographs of every kind: what becomes of their pixels, and what is refused as a problem."""

import io

import numpy as np
import pytest
from PIL import Image

from raysweep.data.listing import FaceRecord
from raysweep.data.prepare.crop import cut_out, find_face
from raysweep.data.prepare.decode import Unreadable, grey_square, read_photo
from tests.data.prepare.listings import photograph
from tests.data.reference import central_square


def read(path, scale=1.0):
    return np.asarray(read_photo(path, lambda width, height: scale).rgb)


def ramp(height=8, width=12):
    return np.add.outer(20 * np.arange(height), 5 * np.arange(width)).astype(np.uint8)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    grey = ramp().astype(np.uint16) * 257
    Image.fromarray(grey).save(tmp_path / "deep.png")
    Image.fromarray(grey).save(tmp_path / "deep.tif")
    for name in ("deep.png", "deep.tif"):
        assert np.array_equal(read(tmp_path / name), np.repeat(ramp()[:, :, None], 3, 2))


def test_sixteen_bits_of_colour(tmp_path):
    """Pillow cannot write them, so the chunks are written here."""
    import struct
    import zlib

    colour = np.stack([ramp(), ramp()[::-1], ramp()[:, ::-1]], 2)
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in colour)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 12, 8, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    assert np.array_equal(read(tmp_path / "deep.png"), colour)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_other_colour_models_are_converted(tmp_path, mode):
    source = Image.open(photograph(tmp_path / "a.png", 3)).convert(mode)
    source.save(tmp_path / "b.tif")
    try:
        Image.open(tmp_path / "b.tif").load()
    except OSError:  # YCbCr, before Pillow 13
        pytest.skip("this Pillow writes TIFF files of that kind that it cannot read")
    assert np.array_equal(read(tmp_path / "b.tif"), np.asarray(source.convert("RGB")))


def test_a_cmyk_jpeg_has_its_colours(tmp_path):
    Image.new("CMYK", (32, 32), (255, 0, 0, 0)).save(tmp_path / "ink.jpg")
    red, green, blue = read(tmp_path / "ink.jpg").reshape(-1, 3).mean(0)
    assert red < 40
    assert green > 120
    assert blue > 120


def test_transparent_pixels_become_black_in_palettes_too(tmp_path):
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0] + [0] * 762)
    palette.paste(0, (0, 0, 4, 8))
    palette.save(tmp_path / "p.png", transparency=0)
    layered = Image.new("RGBA", (8, 8), (0, 255, 0, 255))
    layered.paste((255, 0, 0, 0), (0, 0, 4, 8))
    layered.save(tmp_path / "rgba.webp", lossless=True)
    for name in ("p.png", "rgba.webp"):
        pixels = read(tmp_path / name)
        assert (pixels[:, :4] == 0).all()
        assert (pixels[:, 4:] == (0, 255, 0)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_photographs_are_turned_upright_once(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how to make it lie as the mark says
    upright = Image.fromarray(np.kron(np.array([[250, 10, 10], [10, 10, 120]]), np.ones((32, 32))).astype(np.uint8))
    lying = upright.transpose(turned[orientation]) if orientation > 1 else upright
    lying.save(tmp_path / f"a.{kind}", exif=exif)
    for scale in (1, 2):
        photo = read_photo(tmp_path / f"a.{kind}", lambda width, height, scale=scale: scale)
        assert (photo.width, photo.height) == (96, 64)
        square = np.asarray(photo.rgb.resize((96, 64)))[:, :, 0].astype(int)
        assert np.abs(square - np.asarray(upright)).mean() < 3


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_of_an_animation_the_first_picture(tmp_path, kind):
    pages = [Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    pages[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=pages[1:], lossless=True)
    assert np.abs(read(tmp_path / f"a.{kind}").astype(int) - (200, 0, 0)).max() < 3


def test_a_large_jpeg_is_decoded_smaller_where_the_crop_shrinks_it(tmp_path):
    path = photograph(tmp_path / "large.jpg", 1, size=(403, 301), quality=95)
    whole, half = (read_photo(path, lambda width, height, s=s: s) for s in (1.9, 2.5))
    assert (whole.rgb.size, half.rgb.size) == ((403, 301), (202, 151))
    assert (half.width, half.height) == (403, 301)
    record = FaceRecord(path, "neutral", "", box=(100, 50, 200, 160))
    crops = []
    for photo in (whole, half):
        place, _ = find_face(record, photo.width, photo.height, 0.1)
        crops.append(cut_out(photo, place, 64).astype(int))
    assert np.abs(crops[0] - crops[1]).mean() < 1.5


def test_the_central_square_is_that_of_an_unprepared_folder(tmp_path):
    path = photograph(tmp_path / "a.png", 1, size=(71, 50))
    photo = read_photo(path, lambda width, height: 50 / 32)
    place, _ = find_face(FaceRecord(path, "neutral", ""), photo.width, photo.height, 0.1)
    assert np.array_equal(cut_out(photo, place, 32), central_square(path, 32))


def broken_files(folder):
    whole = photograph(folder / "whole.jpg", 1, size=(200, 200)).read_bytes()
    png = photograph(folder / "whole.png", 1, size=(200, 200)).read_bytes()
    wide = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(wide, "PNG")
    floats = io.BytesIO()
    Image.fromarray(np.full((4, 4), 200, dtype=np.float32)).save(floats, "TIFF")
    return {
        "empty": (b"", "image unreadable"),
        "truncated.jpg": (whole[: len(whole) // 2], "image unreadable"),
        "truncated.png": (png[: len(png) // 2], "image unreadable"),
        "flipped.png": (png[:60] + bytes([png[60] ^ 255]) + png[61:], "image unreadable"),
        "text.png": (b"no picture at all", "image unreadable"),
        "bomb.png": (wide.getvalue(), "image unreadable"),
        "floats.tif": (floats.getvalue(), "image unreadable"),
    }


def test_what_is_no_picture_is_a_problem(tmp_path):
    for name, (content, kind) in broken_files(tmp_path).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unreadable) as reason:
            read_photo(tmp_path / name, lambda width, height: 1.0)
        assert reason.value.kind == kind, name
    with pytest.raises(Unreadable, match="image missing"):
        read_photo(tmp_path / "none.png", lambda width, height: 1.0)
    with pytest.raises(Unreadable, match="image unreadable"):
        read_photo(tmp_path, lambda width, height: 1.0)
    with pytest.raises(Unreadable, match="image unreadable"):
        read_photo(tmp_path / ("x" * 300), lambda width, height: 1.0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(13_000, 13_000), (90_000, 1_000), (1_000, 90_000)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_picture_of_absurd_size_is_refused_by_its_header_whatever_became_of_warnings(
    tmp_path, monkeypatch, size, kind
):
    file = tmp_path / "bomb"
    Image.new("1", size).save(file, kind, compression="group4" if kind == "TIFF" else None)
    monkeypatch.setattr("warnings.simplefilter", lambda *_: None)  # as where another thread resets them
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(Unreadable, match="pixels are more than 89,478,485"):
        read_photo(file, lambda width, height: 1.0)


def test_pixels_of_the_list_itself():
    photo = grey_square(bytes(range(16)))
    assert (photo.width, photo.height) == (4, 4)
    assert np.asarray(photo.rgb)[1, 2].tolist() == [6, 6, 6]
    for pixels in (b"", b"abc"):
        with pytest.raises(Unreadable, match="no square"):
            grey_square(pixels)
