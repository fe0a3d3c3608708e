"""The command `mmkd` and the names of the package itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mmkd_ext
from mmkd_ext import cli


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_command_shows_its_help(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, '--help'])
    assert stopped.value.code == 0
    assert f'usage: mmkd {name}' in capsys.readouterr().out


def test_a_misspelt_command_is_suggested(capsys):
    assert cli.main(['distil']) == 2
    assert 'Did you mean `distill`?' in capsys.readouterr().err


def test_without_a_command_the_usage_is_shown(capsys):
    assert cli.main([]) == 2
    assert 'usage: mmkd' in capsys.readouterr().out


def test_the_argument_list_of_the_caller_is_left_alone():
    before = list(sys.argv)
    assert cli.main(['check', 'no_such_file.py']) == 1
    assert sys.argv == before


def test_every_public_name_is_what_its_module_has():
    assert len(mmkd_ext.__all__) <= 120
    assert len(set(mmkd_ext.__all__)) == len(mmkd_ext.__all__)
    for name in mmkd_ext.__all__:
        assert getattr(mmkd_ext, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match='no attribute'):
        _ = mmkd_ext.CWDLos


LEAN = {
    'mmkd_ext': ('torch', 'mmengine'),
    'mmkd_ext.cli': ('torch', 'mmengine'),
    'mmkd_ext.methods': ('mmcv', 'mmdet', 'mmseg', 'mmrazor'),
    'mmkd_ext.engine': ('mmdet', 'mmseg', 'mmrazor'),
}


@pytest.mark.parametrize('module', LEAN)
def test_an_import_loads_no_more_than_it_needs(module):
    code = f'import sys, {module}; print(*sys.modules)'
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & set(LEAN[module])
