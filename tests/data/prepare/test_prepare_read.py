"""Opening what is prepared."""

import os
from types import SimpleNamespace

import numpy as np

from raysweep.data.prepare.manifest import IMAGES
from raysweep.data.prepare.reader import _images


def test_a_store_larger_than_the_memory_is_opened(tmp_path, monkeypatch):
    """Linux refuses to map more than there is where pages could be written, unless told that few will be."""
    size, memory = 512, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    count = 4 * memory // (3 * size * size)
    with (tmp_path / IMAGES).open("wb") as stream:
        shape = (count, 3, size, size)
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        stream.seek(count * 3 * size * size - 1, os.SEEK_CUR)  # takes no room: nothing is written there
        stream.write(b"\x07")
    monkeypatch.setattr(
        "raysweep.data.prepare.reader.altered_file", lambda folder, digests: None
    )  # reading takes minutes
    manifest = SimpleNamespace(images=count, size=size, files={IMAGES: SimpleNamespace(sha256="")})
    images = _images(tmp_path, manifest)
    assert images.shape == (count, 3, size, size)
    assert (int(images[0].sum()), int(images[-1, -1, -1, -1])) == (0, 7)
