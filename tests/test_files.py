"""A file is there whole, or as it was before."""

import os

import pytest

from toolkit.errors import RunError
from toolkit.files import PART, locked, replacing, write_json, write_text


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "scores.json"
    write_text(path, "old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.json"]


def test_folders_are_made_and_text_is_utf8(tmp_path):
    write_json(tmp_path / "deep" / "er" / "x.json", {"label": "猫"})
    assert "猫" in (tmp_path / "deep" / "er" / "x.json").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write .*file/x.txt"):
        write_text(tmp_path / "file" / "x.txt", "text")


def test_the_lock_ends_with_the_block(tmp_path):
    mine = tmp_path / f".half{PART}"
    with locked(tmp_path):
        mine.write_text("being written")
        with pytest.raises(RunError, match="another process"), locked(tmp_path):
            pass
        assert mine.exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    theirs, foreign = tmp_path / "run" / f".half{PART}", tmp_path / ".download.part"
    theirs.write_text("being written")
    foreign.write_text("somebody else's")
    with locked(tmp_path):
        assert not mine.exists()
        assert theirs.exists()
        assert foreign.exists()
