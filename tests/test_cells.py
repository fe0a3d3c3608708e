"""Tables of cells."""

from __future__ import annotations

import logging
import warnings

import cells
import pytest
import torch

from mmkd_ext.errors import ShapeError

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


def test_a_cell_leaves_warnings_logs_and_random_numbers_as_they_were():
    state, filters = torch.get_rng_state(), list(warnings.filters)
    silenced = logging.root.manager.disable
    with cells.Runner('mmseg', {}, dict).quiet():
        torch.rand(1)
        warnings.warn('quiet', UserWarning, stacklevel=1)
    assert warnings.filters == filters
    assert logging.root.manager.disable == silenced
    assert torch.equal(torch.get_rng_state(), state)
