from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_results import ORDER, make_results, write_results

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.compare import (
    Group,
    compare,
    comparison_table,
    domain_table,
    group_runs,
    how_table,
    stability_table,
    work_comparison,
)
from mmkd_ext.evaluation.adaptation.results import read_results
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
    """Makes runs and reads them; ``mious`` replaces what was made, cell by cell."""
    count = iter(range(1000))

    def make(method='DoSe', *, mious=None, **settings):
        content = make_results(method, images=10, **settings)
        for one, value in zip(content['cells'], mious or ()):
            one['mIoU'] = value
        return read_results(write_results(tmp_path / str(next(count)), content))

    return make


def rows_of(table):
    return {row[0]: dict(zip(table.header, row)) for row in table.rows}


def test_rounds_and_domains_with_means_and_what_is_missing(read):
    run = read(rounds=2, order=('fog', 'night'), mious=[60.0, 30.0, 62.0], stop=3)
    assert round_table(run).rows == [
        ['1', '60.0', '30.0', '45.0'],
        ['2', '62.0', 'missing', '-'],
        ['mean so far', '61.0', '30.0', '50.7'],
    ]
    assert ['mIoU, mean of 3 of 4 cells', '50.7'] in summary_table(run).rows


def test_of_many_rounds_some_are_shown_and_all_are_in_the_means(read):
    run = read(rounds=39, order=('fog',), mious=[float(i) for i in range(39)])
    rounds = [row[0] for row in round_table(run).rows]
    assert rounds == [*map(str, range(1, 40, 2)), 'mean']
    assert round_table(run).rows[-1] == ['mean', '19.0', '19.0']
    assert [row[0] for row in work_table(run).rows] == [*rounds[:-1], 'all']


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


@pytest.mark.parametrize('table', [settings_table])
def test_how_it_was_run_is_shown(read, table):
    found = rows_of(table(read(seed=3, lr=0.002, reset='domain')))
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


# ---- several runs -------------------------------------------------------------------


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
    text = comparison_table(content).markdown()
    assert 'none (+0.33 ± 1.53)' in text
    assert '53.0 ± 1.0' in text


def test_gains_are_taken_seed_by_seed_over_the_first_without_a_source(read):
    one = [two(read, 'Tent', seed, mean) for seed, mean in enumerate((50., 54., 52.))]
    other = [two(read, 'DoSe', seed, mean) for seed, mean in enumerate((53., 57., 55.))]
    gain = compare(group_runs([*one, *other]))['runs']['DoSe']['gain']
    assert gain['over'] == 'Tent'
    assert gain['values'] == [3.0, 3.0, 3.0]
    # three above a run whose seeds make two of it
    assert gain['verdict'] == 'gain'


def test_an_interrupted_seed_gives_its_cells_but_no_mean(read):
    runs = [read('Source', rounds=2), read(seed=0, rounds=2),
            read(seed=1, rounds=2, stop=6)]
    content = compare(group_runs(runs))
    found = content['runs']['DoSe']
    assert (found['finished'], found['missing']) == (1, {'1': 2})
    assert len(found['mIoU']['values']) == 1
    assert len(found['cells']['2']['fog']['values']) == 2
    assert len(found['cells']['2']['snow']['values']) == 1
    assert '1 of 2 finished' in comparison_table(content).markdown()


def test_a_method_that_never_finished_is_missing_and_not_zero(read):
    runs = [read('Source', rounds=2), read(rounds=2, stop=6)]
    content = compare(group_runs(runs))
    row = rows_of(comparison_table(content))['DoSe']
    assert (row['mean'], row['2 snow'], row['gain']) == ('missing', 'missing', '-')
    assert row['2 fog'] not in ('missing', '-')


def test_runs_over_other_cells_have_no_gain(read):
    runs = [read('Source', rounds=2), read(rounds=3)]
    content = compare(group_runs(runs))
    assert 'gain' not in content['runs']['DoSe']
    assert rows_of(comparison_table(content))['Source']['3 fog'] == '-'


def test_ten_rounds_are_shown_as_the_published_tables_show_them(read):
    table = comparison_table(compare(group_runs([read('Source'), read()])))
    assert table.header[1:5] == ['1 fog', '1 night', '1 rain', '1 snow']
    assert [name for name in table.header if name.endswith('fog')] == [
        '1 fog', '4 fog', '7 fog', '10 fog']
    assert table.header[-3:] == ['mean', 'seeds', 'gain']


def test_settings_that_differ_tell_two_rows_of_a_method_apart(read):
    runs = [read(rounds=1, lr=0.001), read(rounds=1, lr=0.01),
            read(rounds=1, lr=0.01, reset='domain')]
    labels = [group.label for group in group_runs(runs)]
    assert labels == ['DoSe, lr 0.001, reset never', 'DoSe, lr 0.01, reset never',
                      'DoSe, lr 0.01, reset domain']


def test_the_other_order_is_measured_by_the_same_source(read):
    runs = [read('Source', rounds=1), read(rounds=1, order=ORDER[::-1])]
    assert compare(group_runs(runs))['runs']['DoSe']['gain']['over'] == 'Source'


def test_equal_settings_and_seed_are_told_apart_by_their_folder(read):
    groups = group_runs([read(rounds=1), read(rounds=1)])
    assert [group.label for group in groups] == ['DoSe (0)', 'DoSe (1)']


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


def test_groups_need_runs_and_names_of_their_own(read):
    run = read(rounds=1)
    with pytest.raises(DataError, match='has no runs'):
        Group('x', [])
    with pytest.raises(DataError, match="Two groups are called 'x'"):
        compare([Group('x', [run]), Group('x', [run])])
