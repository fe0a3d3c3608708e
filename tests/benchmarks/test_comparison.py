"""Adaptation runs beside each other: seeds, gains, tables and the report of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from made_results import reader

from experiment_kit.comparison import (
    compare,
    comparison_table,
    domain_table,
    group_runs,
    how_table,
    stability_table,
    work_comparison,
)
from experiment_kit.comparison_report import write_comparison
from mmkd_ext.evaluation.tables import markdown

ROOT = Path(__file__).parents[2]


@pytest.fixture
def read(tmp_path):
    return reader(tmp_path, bare=True)


def rows_of(table):
    return table.set_index(table.columns[0], drop=False).to_dict('index')


def two(read, method, seed, mean):
    """Returns a run of one round over two domains with that mean."""
    return read(method, seed=seed, rounds=1, order=('fog', 'night'),
                mious=[mean + 10, mean - 10])


@pytest.fixture
def runs(read):
    source = [two(read, 'Source', 0, 50.0)]
    dose = [two(read, 'DoSe', seed, mean) for seed, mean in enumerate((52., 54., 53.))]
    tent = [two(read, 'Tent', seed, mean) for seed, mean in enumerate((49., 52., 50.))]
    return [*tent, *dose, *source]


def test_seeds_are_one_row_with_mean_and_spread_and_the_source_stands_first(runs):
    content = compare(group_runs(runs))
    assert list(content['runs']) == ['Source', 'Tent', 'DoSe']
    found = content['runs']['DoSe']
    assert found['mIoU'] == {'mean': 53.0, 'std': 1.0, 'values': [52.0, 54.0, 53.0]}
    assert found['cells']['1']['fog']['mean'] == 63.0
    assert found['seeds'] == [0, 1, 2]
    # a single run has no spread
    assert content['runs']['Source']['mIoU']['std'] is None


def test_a_gain_within_the_spread_is_none(runs):
    content = compare(group_runs(runs))
    # gains by hand: 2, 4, 3 = 3 +- 1; and -1, 2, 0 = 0.33 +- 1.53
    dose, tent = (content['runs'][name]['gain'] for name in ('DoSe', 'Tent'))
    assert (dose['mean'], dose['std'], dose['verdict']) == (3.0, 1.0, 'gain')
    assert (tent['mean'], tent['std'], tent['verdict']) == (0.33, 1.53, 'none')
    assert 'gain' not in content['runs']['Source']
    text = markdown(comparison_table(content))
    assert 'none (+0.33 ± 1.53)' in text
    assert '53.0 ± 1.0' in text


def test_an_interrupted_seed_gives_its_cells_but_no_mean(read):
    runs = [read('Source', rounds=2), read(seed=0, rounds=2),
            read(seed=1, rounds=2, stop=6)]
    content = compare(group_runs(runs))
    found = content['runs']['DoSe']
    assert (found['finished'], found['missing']) == (1, {'1': 2})
    assert len(found['mIoU']['values']) == 1
    assert len(found['cells']['2']['fog']['values']) == 2
    assert len(found['cells']['2']['snow']['values']) == 1
    assert '1 of 2 finished' in markdown(comparison_table(content))


def test_what_the_mean_hides_stands_beside_it(runs):
    content = compare(group_runs(runs))
    # worst cells 42, 44, 43
    assert rows_of(stability_table(content))['DoSe']['worst cell'] == '43.0 ± 1.0'
    by_domain = rows_of(domain_table(content))['DoSe']
    assert by_domain['fog'] == '63.0 ± 1.0'
    assert by_domain['night'] == '43.0 ± 1.0'
    assert rows_of(work_comparison(content))['Tent']['forwards'] == '1.00 ± 0.00'
    how = rows_of(how_table(content))
    assert how['DoSe']['seeds'] == '0, 1, 2'
    assert how['Source']['learning rate'] == '-'


def test_a_comparison_has_a_page_and_one_for_each_run(read, tmp_path):
    runs = [read('Source', rounds=2, bare=True),
            *(read(rounds=2, seed=k, bare=True) for k in (0, 1))]
    found = write_comparison(tmp_path / 'out', runs)
    page = found[0].read_text()
    assert '± ' in page
    assert 'Gains are over <code>Source</code>' in page
    for name in ('source-seed-0', 'dose-seed-0', 'dose-seed-1'):
        assert (tmp_path / 'out' / name / 'report.html').is_file()
        assert f'href="{name}/report.html"' in page
    content = json.loads(found[3].read_text())
    assert content['comparison']['runs']['DoSe']['seeds'] == [0, 1]
    assert len(content['runs']) == 3


def test_the_command_compares_an_unfinished_run_too(read, tmp_path, capsys):
    path = ROOT / 'benchmarks' / 'adapt_compare.py'
    spec = importlib.util.spec_from_file_location('tool_adapt_compare', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    runs = [read('Source', rounds=1, bare=True), read(seed=0, rounds=1, bare=True),
            read(seed=1, rounds=1, stop=2, bare=True)]
    paths = [run.path for run in runs]
    assert tool.main([*paths, '--out', str(tmp_path / 'out')]) == 0
    assert '1 of 2 finished' in capsys.readouterr().out
    content = json.loads((tmp_path / 'out' / 'comparison.json').read_text())
    assert content['comparison']['runs']['DoSe']['missing'] == {'1': 2}
    assert tool.main([paths[0], paths[0]]) == 1
    assert 'given twice' in capsys.readouterr().err
