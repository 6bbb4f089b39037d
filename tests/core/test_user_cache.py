"""The user's cache: what is kept is found again, and a cache that is damaged or read-only is no error."""

from raysweep.core.user_cache import cache_values, cached_values, user_cache


def test_what_is_kept_is_found_under_its_kind_and_key(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_values("one", "a", {"x": [1.5, None]})
    assert cached_values("one", "a") == {"x": [1.5, None]}
    assert cached_values("one", "b") is None
    assert cached_values("two", "a") is None
    assert [file.name for file in (user_cache() / "one").iterdir()] == ["a.json"]


def test_a_damaged_file_is_as_none(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_values("one", "a", 1)
    for content in (b"{", b"\xff", b"[" * 100_000, b""):
        (user_cache() / "one" / "a.json").write_bytes(content)
        assert cached_values("one", "a") is None


def test_a_cache_that_cannot_be_written_keeps_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache_values("one", "a", 1)
    assert cached_values("one", "a") is None
