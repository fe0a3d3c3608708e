"""tools/adapt_report.py, as a person calls it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from made_results import make_results, write_results

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    path = ROOT / 'tools' / 'adapt_report.py'
    spec = importlib.util.spec_from_file_location('tool_adapt_report', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def result(tmp_path):
    def write(name, *args, **settings):
        content = make_results(*args, rounds=2, bare=True, **settings)
        return str(write_results(tmp_path / name, content))

    return write


def test_one_run_is_shown_and_written_beside_it(tool, result, tmp_path, capsys):
    assert tool.main([result('a', seed=5)]) == 0
    shown = capsys.readouterr().out
    for word in ('DoSe', 'worst cell', 'learning rate', '0.0001', 'snow', 'seed'):
        assert word in shown
    written = {path.name for path in (tmp_path / 'a' / 'report').iterdir()}
    assert written == {'report.html', 'report.md', 'report.csv', 'report.json',
                       'pictures'}
    assert not [p for p in (tmp_path / 'a' / 'report').iterdir()
                if p.name.startswith('.')]  # nothing half-written is left


@pytest.mark.parametrize('text', ['', '{"schema": 1', '[]', '{"schema": 9}'])
def test_wrong_input_is_a_message_and_not_a_traceback(tool, tmp_path, capsys, text):
    (tmp_path / 'x.json').write_text(text)
    assert tool.main([str(tmp_path / 'x.json')]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith('error: ')
    assert 'x.json' in shown.err
    assert shown.out == ''


def test_a_missing_file_and_a_file_in_the_way_are_told(tool, result, tmp_path, capsys):
    assert tool.main([str(tmp_path / 'nothing.json')]) == 2
    assert 'nothing.json' in capsys.readouterr().err
    (tmp_path / 'file').write_text('')
    assert tool.main([result('a'), '--out', str(tmp_path / 'file')]) == 2
    assert 'error: ' in capsys.readouterr().err
