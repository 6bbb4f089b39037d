"""Damage: what happens to files between those who make a data set and those who use it."""

import copy
import io
import json
import struct
import zlib
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

Mutation = Callable[[Random, bytes], bytes]

CELLS = [
    "",
    "0",
    "-2",
    "-5",
    "7",
    "8",
    "10",
    "11",
    "255",
    "1e999",
    "-1e999",
    "nan",
    "inf",
    "1_0",
    "0x1",
    "²",
    "９",
    "1,5",
]
CELLS += ["../../outside/secret.png", "..\\..\\outside\\secret.png", "/etc/passwd", "C:\\a.png", "//host/a", "a\0.png"]
CELLS += [
    ".",
    "..",
    "a/..",
    "~",
    "a.png/",
    "\r",
    '"',
    '""',
    "'",
    "#",
    ";",
    "1;2",
    "ü",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\x85",
]
CELLS += [
    "x" * 300,
    "x" * 140_000,
    "9" * 5000,
    "a/" * 3000,
    "Training",
    "train",
    "fear",
    "none",
    "a.png",
    "\U0001f600" * 99,
]
CELLS += ["9" * 400 + ".5", "1e-400", "-0", "True", "None", "2147483648", "18446744073709551616", "\ud800"]

TOKENS = [
    b"\0",
    b"\xff" * 8,
    b"\n",
    b"\r\n",
    b",",
    b";",
    b'"',
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"PK\x03\x04",
    b"\x80\x04",
    b"{",
    b"}",
]
TOKENS += [
    b"'descr': '|O'",
    b"'<U9999'",
    b"(9**9,)",
    b"-1",
    b"9" * 20,
    b"\x7f\xff\xff\xff",
    b"\xff\xd8",
    b"%PDF",
    b"GIF89a",
]


def any_bytes(draw: Random, content: bytes) -> bytes:
    """A few of: bits and bytes changed, parts cut out, doubled, swapped, put in; the end missing."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        start = draw.randrange(len(data) + 1)
        length = draw.choice((1, 2, 4, 16, 200, len(data)))
        how = draw.randrange(8)
        if how == 0 and start < len(data):
            data[start] ^= 1 << draw.randrange(8)
        elif how == 1 and start < len(data):
            data[start] = draw.choice((0, 1, 127, 128, 255))
        elif how == 2:
            del data[start : start + length]
        elif how == 3:
            data[start:start] = data[start : start + length] * draw.choice((1, 2, 50))
        elif how == 4:
            data[start:start] = draw.choice(TOKENS)
        elif how == 5:
            data[start : start + length] = draw.randbytes(min(length, 200))
        elif how == 6:
            other = draw.randrange(len(data) + 1)
            data[other : other + length] = data[start : start + length]
        else:
            del data[start:]
        if len(data) > 2_000_000:
            del data[2_000_000:]
    return bytes(data)


def something_else(draw: Random, content: bytes) -> bytes:
    """Another kind of file altogether."""
    return draw.choice(
        [
            lambda: b"",
            lambda: b"\0" * draw.choice((1, 512, 1_000_000)),
            lambda: draw.randbytes(draw.randrange(400)),
            lambda: b"x" * draw.choice((200, 200_000, 3_000_000)),
            lambda: b"\n" * draw.choice((1, 5000)),
            lambda: b"," * 100_000,
            lambda: b"<!DOCTYPE html><html>404</html>\n",
            lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            lambda: content.decode("latin-1").encode("utf-16"),
            lambda: b"\xef\xbb\xbf" * draw.choice((1, 2)) + content,
            lambda: zlib.compress(content),
            lambda: b"PK\x03\x04" + content,
            lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n/outfile (fuzz-was-here) (w) file def\n%%EOF\n",
            lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n../../../outside/secret.mp4\n#EXT-X-ENDLIST\n",
            lambda: b"ffconcat version 1.0\nfile secret.mp4\n",
        ]
    )()


def rows(draw: Random, content: bytes) -> bytes:
    """A list with its header gone, rows doubled, swapped, torn, joined, very long, or with other ends."""
    lines = content.split(b"\n")
    for _ in range(draw.choice((1, 1, 2, 5))):
        i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
        how = draw.randrange(9)
        if how == 0:
            del lines[0 if draw.random() < 0.5 else i]
        elif how == 1:
            lines.insert(j, lines[i])
        elif how == 2:
            lines[i], lines[j] = lines[j], lines[i]
        elif how == 3:
            lines[i] = lines[i][: draw.randrange(40)]
        elif how == 4:
            lines[i] += lines[j]
        elif how == 5:
            lines[i] = (lines[i] * draw.choice((2, 1000)))[:1_000_000]
        elif how == 6:
            lines[i] = b"x" * draw.choice((131_071, 131_072, 131_073, 400_000))
        elif how == 7:
            lines = [line + b"\r" for line in lines]
        else:
            lines[i] = draw.choice((b"", b"# a note", b"\0", b" " * 50, b"\xff\xfe", b'"', b"," * 9))
        lines = lines or [b""]
    return b"\n".join(lines)


def cells(draw: Random, content: bytes) -> bytes:
    """A list with values replaced or swapped, or columns that are missing, new, or in another order."""
    lines = content.decode("utf-8", "replace").split("\n")
    separator = "," if "," in lines[0] else ";" if ";" in lines[0] else " "
    table = [line.split(separator) for line in lines]
    for _ in range(draw.choice((1, 1, 2, 6))):
        row = draw.choice(table)
        i, j = draw.randrange(len(row)), draw.randrange(len(row))
        how = draw.randrange(6)
        if how < 3:
            row[i] = (
                draw.choice(CELLS)
                if draw.random() < 0.8
                else str(draw.choice((draw.gauss(0, 2), draw.randrange(-9, 99))))
            )
        elif how == 3:
            row[i], row[j] = row[j], row[i]
        elif how == 4:
            column = draw.randrange(len(table[0]))
            table = [[value for k, value in enumerate(r) if k != column] or [""] for r in table]
        else:
            table = [[*r, draw.choice(("extra", "1", r[-1]))] for r in table]
    return "\n".join(separator.join(row) for row in table).encode("utf-8", "surrogatepass")


ARRAYS = (
    lambda draw: np.array(draw.choice(CELLS[:20])),
    lambda draw: np.array(draw.choice((0, 1, 7, 8, 11, -1, 2**40, float("nan"), float("inf"), -2, 0.5, 1.5))),
    lambda draw: np.array([1.0] * draw.choice((0, 1, 2, 135, 136, 137))),
    lambda draw: np.array([str(draw.choice(CELLS[:20]))] * draw.choice((1, 136))),
    lambda draw: np.array(b"1"),
    lambda draw: np.array("2020-01-01", "datetime64[D]"),
    lambda draw: np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    lambda draw: np.array(1j),
    lambda draw: np.array(True),
    lambda draw: np.zeros((68, 2), draw.choice(("f2", ">f8", "u1", "i8"))),
    lambda draw: np.array("\U0001f600"),
)


def arrays(draw: Random, content: bytes) -> bytes:
    """An array of another type, shape or value, or of objects that only a pickle can hold."""
    stream = io.BytesIO()
    if draw.random() < 0.1:
        np.save(stream, np.array({"a": [1]}), allow_pickle=True)
    else:
        np.save(stream, draw.choice(ARRAYS)(draw))
    return stream.getvalue()


def pictures(draw: Random, content: bytes) -> bytes:
    """A picture of another kind: other modes, depths, sizes and marks of orientation."""
    mode = draw.choice(("L", "1", "P", "CMYK", "RGBA", "LA", "I;16", "RGB", "F"))
    kind = draw.choice(("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "MPO", "PPM", "ICO", "EPS"))
    side = draw.choice(((1, 1), (1, 300), (300, 2), (33, 47), (2, 2)))
    exif = Image.Exif()
    exif[0x0112] = draw.choice((0, 1, 3, 5, 6, 8, 9, 65535))
    stream = io.BytesIO()
    try:
        Image.new(mode, side).save(stream, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}))
    except (OSError, ValueError, KeyError):  # not all kinds hold all modes
        return content
    return any_bytes(draw, stream.getvalue()) if draw.random() < 0.5 else stream.getvalue()


def png_with_right_checksums(draw: Random, content: bytes) -> bytes:
    """A PNG whose header or palette says something else, with checksums that hide it."""
    width, height = draw.choice(
        ((0, 0), (1, 1), (8, 8), (9000, 9000), (65_535, 65_535), (2**31 - 1, 1), (1, 2**31 - 1))
    )
    header = struct.pack(
        ">IIBBBBB",
        width,
        height,
        draw.choice((1, 2, 8, 16, 3)),
        draw.choice((0, 2, 3, 4, 6, 7)),
        0,
        0,
        draw.choice((0, 1)),
    )
    pixels = zlib.compress(draw.randbytes(50) + b"\0" * draw.choice((0, 200, 200_000)))
    chunks = [(b"IHDR", header)]
    extra = draw.choice((b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"gAMA", b"pHYs"))
    chunks += [(extra, draw.randbytes(draw.choice((0, 1, 3, 9, 300))))] if draw.random() < 0.6 else []
    chunks += [(b"IDAT", pixels), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


WORDS = [
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x" * 5000,
    "\ud800",
    [],
    {},
    [[]],
    ["a"] * 3000,
    {"a": {"b": 1}},
    "nan",
    0.5,
]


def words(draw: Random, content: bytes) -> bytes:
    """A JSON file with values replaced, missing, added or deeply nested."""
    tree = json.loads(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        node = tree
        while isinstance(node, (dict, list)) and node:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw.choice(list(keys))
            if draw.random() < 0.5 or not isinstance(node[key], (dict, list)) or not node[key]:
                break
            node = node[key]
        if not isinstance(node, (dict, list)) or not node:
            continue
        if draw.random() < 0.25:
            del node[key]
        elif draw.random() < 0.1 and isinstance(node, dict):
            node["new"] = copy.deepcopy(draw.choice(WORDS))
        else:
            node[key] = copy.deepcopy(draw.choice(WORDS))
    text = json.dumps(tree, ensure_ascii=draw.random() < 0.5)
    if draw.random() < 0.05:
        text = "[" * 100_000
    return text.encode("utf-8", "surrogatepass")


def mutations_of(name: str) -> tuple[Mutation, ...]:
    """What can happen to a file of this name."""
    kind = name.rpartition(".")[2].lower()
    special: dict[str, tuple[Mutation, ...]] = {
        "csv": (rows, cells, cells),
        "txt": (rows, cells, cells),
        "pts": (rows, cells),
        "npy": (arrays,),
        "png": (pictures, png_with_right_checksums),
        "jpg": (pictures,),
        "json": (words, words),
    }
    return (any_bytes, any_bytes, something_else, *special.get(kind, ()))


def mutate(draw: Random, name: str, content: bytes) -> bytes:
    return draw.choice(mutations_of(name))(draw, content)
