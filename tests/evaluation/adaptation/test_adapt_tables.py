from __future__ import annotations

import csv
import io

import pytest
from made_results import reader

from mmkd_ext.evaluation.adaptation.tables import (
    cells_csv,
    class_table,
    round_table,
    settings_table,
    summarise,
    summary_table,
    work_table,
)


@pytest.fixture
def read(tmp_path):
    return reader(tmp_path)


def rows_of(table):
    return table.set_index(table.columns[0], drop=False).to_dict('index')


def test_rounds_and_domains_with_means_and_what_is_missing(read):
    run = read(rounds=2, order=('fog', 'night'), mious=[60.0, 30.0, 62.0], stop=3)
    assert round_table(run).to_numpy().tolist() == [
        ['1', '60.0', '30.0', '45.0'],
        ['2', '62.0', 'missing', '-'],
        ['mean so far', '61.0', '30.0', '50.7'],
    ]
    assert rows_of(summary_table(run))['mIoU, mean of 3 of 4 cells']['value'] == '50.7'


def test_of_many_rounds_some_are_shown_and_all_are_in_the_means(read):
    run = read(rounds=39, order=('fog',), mious=[float(i) for i in range(39)])
    rounds = list(rows_of(round_table(run)))
    assert rounds == [*map(str, range(1, 40, 2)), 'mean']
    assert list(round_table(run).iloc[-1]) == ['mean', '19.0', '19.0']
    assert list(rows_of(work_table(run))) == [*rounds[:-1], 'all']


def test_the_summary_has_every_figure(read):
    run = read('Tent', rounds=2, order=('fog', 'night'), mious=[60., 30., 50., 20.])
    found = rows_of(summary_table(run))
    value = {name: row['value'] for name, row in found.items()}
    assert value['mIoU, mean'] == '40.0'
    assert value['worst cell'] == '20.0 (night, round 2)'
    assert value['round 2 minus round 1'] == '-10.0'
    assert value['updates / skipped / rolled back / resets'] == '32 / 8 / 0 / 0'
    assert value['forwards / backwards an image'] == '1.00 / 1.00'
    assert value['images/s'] == '3.50'
    assert value['forgetting: source mIoU, after minus before'] == '-0.2'


def test_work_is_told_round_by_round(read):
    table = rows_of(work_table(read('Tent', rounds=2)))
    assert table['1']['updates'] == '36'
    assert table['all']['updates'] == '72'
    assert table['2']['mIoU on source'] == '75.3'  # 75.5 - 0.12 * 2, rounded


def test_classes_have_a_row_and_absent_ones_no_figure(read):
    table = rows_of(class_table(read(rounds=2)))
    assert table['train']['fog'] == '-'
    assert table['train']['rain'] != '-'


def test_how_it_was_run_is_shown(read):
    found = rows_of(settings_table(read(seed=3, lr=0.002, reset='domain')))
    assert found['order']['value'] == 'fog, night, rain, snow'
    assert found['reset']['value'] == 'domain'
    assert found['learning rate']['value'] == '0.002'
    assert found['views']['value'] == '2: plain; flip=true'
    assert found['seed']['value'] == '3'


def test_the_csv_has_a_row_a_cell_and_empty_figures_where_missing(read):
    run = read(rounds=2, stop=5, seed=4, reset='round')
    rows = list(csv.DictReader(io.StringIO(cells_csv([run]))))
    assert len(rows) == 8
    assert rows[4]['mIoU'] != ''
    assert [row['mIoU'] for row in rows[5:]] == ['', '', '']
    assert rows[5]['domain'] == 'night'
    assert rows[0]['IoU.train'] == ''
    assert all(row['seed'] == '4' and row['reset'] == 'round' for row in rows)
    assert all(row['order'] == 'fog, night, rain, snow' for row in rows)


def test_the_summary_file_says_what_is_missing(read):
    found = summarise(read(rounds=1, stop=3))
    assert found['missing'] == [{'round': 1, 'domain': 'snow'}]
    assert found['events'] == {'skip': 1}
