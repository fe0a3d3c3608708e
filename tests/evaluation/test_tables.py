from __future__ import annotations

import io
import math
import statistics

import pytest

from mmkd_ext.errors import ShapeError
from mmkd_ext.evaluation.tables import Table, spread


def test_mean_and_sample_deviation_are_those_of_the_statistics_module():
    values = [37.6, 39.5, 41.25, 36.0]
    found = spread(values)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.std == pytest.approx(statistics.stdev(values))


def test_one_value_has_no_spread_and_prints_none():
    assert math.isnan(spread([4.0]).std)
    assert f'{spread([4.0]):.1f}' == '4.0'


def test_prints_mean_and_spread():
    assert f'{spread([1.0, 3.0]):.2f}' == '2.00 ± 1.41'


def test_no_values_are_an_error():
    with pytest.raises(ShapeError, match='at least one'):
        spread([])


def test_markdown_has_a_line_a_row_and_equal_widths():
    table = Table(['run', 'mIoU'], [['student', '1.0'], ['teacher, long', '22.0']])
    lines = table.markdown().splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split('|')[2].strip() == '1.0'


def test_a_bar_in_a_cell_does_not_split_it():
    text = Table(['a', 'b'], [['x|y', 'z']]).markdown()
    assert r'x\|y' in text


def test_html_escapes_cells_and_marks_the_bold_row():
    text = Table(['a'], [['<b>'], ['c']], bold=1).html()
    assert '&lt;b&gt;' in text
    assert '<b>' not in text
    assert text.index('class="bold"') > text.index('&lt;b&gt;')


def test_a_row_of_the_wrong_length_is_named():
    with pytest.raises(ShapeError, match=r'Row 1 .* has 1 cells, its header 2'):
        Table(['a', 'b'], [['1', '2'], ['1']])


def test_a_terminal_shows_brackets_as_they_are():
    rich = pytest.importorskip('rich.console')
    console = rich.Console(record=True, width=60, file=io.StringIO())
    console.print(Table(['a', 'b'], [['[bold]', '2']]).rich())
    assert '[bold]' in console.export_text()
