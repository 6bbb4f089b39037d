"""Versions of a node against the launch's."""

from dataclasses import replace

import pytest

import raysweep
from raysweep.core.errors import UserError
from raysweep.core.version import code_digest
from raysweep.engine.nodes.versions import Versions, check_versions

MINE = Versions("0.1.0", "aaaaaaaa", "3.11.7", "2.60.0", "2.9.0+cu128")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"raysweep": ""}, "raysweep is not installed there: install 0.1.0"),
        (
            {"raysweep": "0.2.0"},
            r"its raysweep is 0\.2\.0 \(code aaaaaaaa\), the launch's is 0\.1\.0 \(code aaaaaaaa\)",
        ),
        ({"code": "bbbbbbbb"}, r"\(code bbbbbbbb\), the launch's is 0\.1\.0 \(code aaaaaaaa\): install the same"),
        ({"code": ""}, r"its raysweep is 0\.1\.0 \(code unknown\)"),
        ({"python": "3.12.1"}, r"its Python is 3\.12\.1, the launch's is 3\.11\.7: use 3\.11 there"),
        ({"ray": "2.61.0"}, r"its Ray is 2\.61\.0, the launch's is 2\.60\.0: pip install ray==2\.60\.0 there"),
        ({"torch": ""}, r"torch is not installed there: pip install torch==2\.9\.0 there"),
    ],
)
def test_a_node_that_cannot_work(other, said):
    import re

    assert re.search(said, MINE.fault_of(replace(MINE, **other)))


def test_what_a_node_may_differ_in():
    node = replace(MINE, python="3.11.9", torch="2.9.0+cpu")
    assert (MINE.fault_of(node), MINE.warning_of(node)) == ("", "")
    older = replace(MINE, torch="2.8.1")
    assert MINE.fault_of(older) == ""
    assert MINE.warning_of(older).endswith("pip install torch==2.9.0 there")


def test_a_process_of_other_code_refuses_work():
    here = Versions.here().describe()
    check_versions(here)
    check_versions({})  # this machine's own Ray: not compared
    with pytest.raises(UserError, match="install the same there"):
        check_versions({**here, "code": "00000000"})


def test_the_digest_is_of_every_file_of_the_package_but_studies(tmp_path, monkeypatch):
    def digest(**files):
        for name, text in files.items():
            path = tmp_path / "raysweep" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".py").write_text(text)
        code_digest.cache_clear()
        return code_digest()

    monkeypatch.setattr(raysweep, "__file__", str(tmp_path / "raysweep" / "__init__.py"))
    try:
        first = digest(one="a = 1", sub__two="b = 2")
        assert digest(search_spaces__mine="c = 3") == first
        assert digest(sub__two="b = 3") != first
        assert digest(sub__two="b = 2") == first
    finally:
        code_digest.cache_clear()
