"""`tools/check_config.py` on the command line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'check_config.py'
GOOD = """
from mmkd_ext.testing import toy
default_scope = 'mmkd_ext'
side = dict(at='head.conv_seg')
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(type='mmkd_ext.ToyModel', channels=4),
    teacher=dict(type='mmkd_ext.ToyModel', channels=8),
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_cwd=dict(
        loss=dict(type='mmkd_ext.CWDLoss'),
        preds_S=dict(of='student', **side), preds_T=dict(of='teacher', **side)))))
del toy
"""


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('check_config', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(GOOD)
    return str(file)


def test_a_good_config_has_exit_status_0(main, config, capsys):
    assert main([config]) == 0
    assert 'No problem' in capsys.readouterr().out


def test_a_problem_has_exit_status_1(main, config, capsys):
    assert main([config, '--cfg-options', 'load_from=gone.pth', '--no-gradients']) == 1
    assert "no file 'gone.pth'" in capsys.readouterr().out


def test_json_is_json(main, config, capsys):
    assert main([config, '--json', '--cfg-options', 'load_from=gone.pth']) == 1
    found = json.loads(capsys.readouterr().out)
    assert found['problems'][0]['path'] == 'load_from'


def test_several_configs_are_checked_in_turn(main, config, tmp_path, capsys):
    other = tmp_path / 'other.py'
    other.write_text('model = (')
    assert main([config, str(other), '--json', '--no-data']) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one['ok'] for one in found] == [True, False]
    assert 'cannot be read: SyntaxError' in found[1]['problems'][0]['found']


def test_a_file_that_is_not_there_is_a_clear_message(main, config, capsys):
    assert main([config.replace('config.py', 'confg.py'), '--debug']) == 1
    out, err = capsys.readouterr()
    assert 'There is no config file' in out
    assert 'Did you mean `config.py`' in ' '.join(out.split())
    assert 'Traceback' in err


def test_lists_taps_as_table_and_as_json(main, config, capsys):
    assert main([config, '--taps', 'student']) == 0
    assert 'head.conv_seg' in capsys.readouterr().out
    assert main([config, '--taps', 'teacher', '--json']) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {
        'name': 'neck.convs.0',
        'kind': 'Conv2d',
        'output': 'Tensor(1, 8, 64, 64)',
        'calls': 1,
        'mode': '',
    } in rows


def test_taps_of_an_unknown_model_have_exit_status_1(main, config, capsys):
    assert main([config, '--taps', 'techer', '--debug']) == 1
    assert 'Did you mean `teacher`' in capsys.readouterr().err
    assert main([config, '--taps', 'techer']) == 1
    assert 'Traceback' not in capsys.readouterr().err
