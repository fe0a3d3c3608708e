"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from mmkd_ext.engine.fileio import (
    ATOMIC_BACKEND,
    AtomicLocalBackend,
    atomic_write,
    remove_leftovers,
)


def test_writes_what_it_is_given_and_makes_folders(tmp_path):
    atomic_write(tmp_path / 'a' / 'b.bin', b'123')
    assert (tmp_path / 'a' / 'b.bin').read_bytes() == b'123'
    assert [p.name for p in (tmp_path / 'a').iterdir()] == ['b.bin']


def test_the_old_file_stays_when_writing_fails(tmp_path, monkeypatch):
    file = tmp_path / 'x'
    atomic_write(file, b'old')

    def full(handle):
        raise OSError(errno.ENOSPC, 'no space left')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='no space') as error:
        atomic_write(file, b'new')
    assert error.value.filename == str(file)
    assert file.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['x']


def test_has_the_permissions_that_open_gives(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / 'x', b'')
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'x').stat().st_mode) == 0o640


def test_mmengine_finds_the_backend_by_name(tmp_path):
    backend = get_file_backend(backend_args=dict(backend=ATOMIC_BACKEND))
    assert isinstance(backend, AtomicLocalBackend)
    backend.put_text('ä', tmp_path / 't')
    assert (tmp_path / 't').read_bytes() == 'ä'.encode()


def test_a_reader_never_sees_half_a_file_of_a_killed_writer(tmp_path):
    # two contents of 4 MB, written in turn until the kill
    code = (
        'import sys; sys.path.insert(0, sys.argv[2])\n'
        'from mmkd_ext.engine.fileio import atomic_write\n'
        'turn = 0\n'
        'while True:\n'
        '    atomic_write(sys.argv[1], bytes([turn]) * 4_000_000)\n'
        '    turn = 1 - turn\n'
    )
    file, root = tmp_path / 'x', Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, '-c', code, str(file), str(root)])
    try:
        deadline = time.monotonic() + 60
        while not file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(20):
            content = file.read_bytes()
            assert len(content) == 4_000_000
            assert len(set(content)) == 1
    finally:
        process.kill()
        process.wait()
    assert len(file.read_bytes()) == 4_000_000
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['x']


def test_leftovers_are_told_from_other_files(tmp_path):
    for name in ('.x.pth.12345678.part', 'mine.part', '.hidden'):
        (tmp_path / name).touch()
    assert remove_leftovers(tmp_path) == ['.x.pth.12345678.part']
    assert {p.name for p in tmp_path.iterdir()} == {'mine.part', '.hidden'}
