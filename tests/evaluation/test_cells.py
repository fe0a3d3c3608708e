"""Tables of cells."""

from __future__ import annotations

import pytest

from mmkd_ext.errors import ShapeError
from mmkd_ext.evaluation import cells

CELLS = {
    'A': {'KD': '', 'LD': 'there are no boxes'},
    'B': {'KD': 'no classes', 'LD': 'there are no boxes'},
}


def test_reasons_stand_below_each_once():
    assert cells.table(CELLS).splitlines() == [
        '| method | A | B |',
        '| :-- | :-: | :-: |',
        '| KD | yes | 1 |',
        '| LD | 2 | 2 |',
        '',
        '1. no classes.',
        '2. there are no boxes.',
    ]


def test_a_table_is_read_as_it_was_written():
    text = f'# Page\n\n{cells.table(CELLS)}\n\nText.\n\n| other |\n| :-- |\n| x |\n'
    assert cells.read_tables(text) == [CELLS]


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (ShapeError('`model.distiller.links.a`: one thing. Do this.'), 'one thing'),
        (ValueError('first\nsecond'), 'first'),
        (ValueError('is 1.5; so'), 'is 1.5'),
    ],
)
def test_an_error_is_made_short(error, text):
    assert cells._short(error) == text
