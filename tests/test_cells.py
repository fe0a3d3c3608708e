"""Tables of cells."""

from __future__ import annotations

import logging
import warnings

import cells
import pytest
import torch

from mmkd_ext.errors import ConfigError, ShapeError

CELLS = {
    'A': {'KD': '', 'LD': 'there are no boxes'},
    'B': {'KD': 'no classes', 'LD': 'there are no boxes'}}


def test_reasons_stand_below_each_once():
    text = cells.bare(cells.cells_text(CELLS))
    for line in ('| method | A | B |', '| KD | yes | 1 |', '| LD | 2 | 2 |',
                 '1. no classes.', '2. there are no boxes.'):
        assert line in text.splitlines()


def test_a_table_is_read_as_it_was_written():
    page = f'# A\n\n<!-- families -->\n\n{cells.cells_text(CELLS)}\n\n<!-- end -->\n'
    assert cells.read_cells(cells.read_block(page, 'families')) == CELLS


@pytest.mark.parametrize(('error', 'text'), [
    (ShapeError('`model.distiller.links.a`: one thing. Do this.'), 'one thing'),
    (ValueError('first\nsecond'), 'first'),
    (ValueError('is 1.5; so'), 'is 1.5')])
def test_an_error_is_made_short(error, text):
    assert cells.shorten(error) == text


def test_a_cell_leaves_warnings_logs_and_random_numbers_as_they_were():
    state, filters = torch.get_rng_state(), list(warnings.filters)
    silenced = logging.root.manager.disable
    with cells.Runner('mmseg').quiet():
        torch.rand(1)
        warnings.warn('quiet', UserWarning, stacklevel=1)
    assert warnings.filters == filters
    assert logging.root.manager.disable == silenced
    assert torch.equal(torch.get_rng_state(), state)


def test_widths_in_a_family_are_multiples_of_its_sides():
    model = dict(outs=['1w', '0.5w'], widen='0.03125w', type='Swin-w7')
    assert cells.scaled(model, 8) == dict(outs=[8, 4], widen=0.25, type='Swin-w7')


def test_a_field_that_a_family_lacks_is_its_answer_and_a_wrong_name_an_error():
    family = dict(tokens=None, missing=dict(tokens='no tokens'), scores=dict(at='x'))
    pair = cells.Pair(family, None, None)
    filled = pair.fill(dict(of='student', tap='$scores', connector='y'))
    assert filled == dict(of='student', at='x', connector='y')
    with pytest.raises(cells.CannotSay, match='no tokens'):
        pair.fill(['$tokens'])
    with pytest.raises(ConfigError, match='tokns'):
        pair.fill('$tokns')
