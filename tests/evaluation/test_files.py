from __future__ import annotations

import json

import pytest

from mmkd_ext.evaluation.files import write_atomically, write_json


def test_makes_missing_folders_and_leaves_nothing_beside(tmp_path):
    path = write_atomically(tmp_path / 'a' / 'b.txt', 'text')
    assert path.read_text() == 'text'
    assert [p.name for p in path.parent.iterdir()] == ['b.txt']


def test_a_write_that_fails_keeps_the_old_file_and_no_leftover(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / 'x', b'old')

    def full(handle):
        raise OSError('no space left')

    monkeypatch.setattr('mmkd_ext.evaluation.files.os.fsync', full)
    with pytest.raises(OSError, match='no space'):
        write_atomically(path, b'new')
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['x']


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = write_json(tmp_path / 'x.json', {'a': 1})
    with pytest.raises(TypeError):
        write_json(path, {'a': object()})
    assert json.loads(path.read_text()) == {'a': 1}
