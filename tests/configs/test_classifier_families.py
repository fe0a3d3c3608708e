"""Classifiers as students and teachers: the page says what really happens."""

from __future__ import annotations

import json
from pathlib import Path

import cells
import pytest

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')

ROOT = Path(__file__).parents[2]
# one of each kind in the default run; all with the slow ones
QUICK = ('Small WRN', 'ShuffleNetV2', 'ViT')
REST = (
    'ResNet',
    'ResNet, CIFAR',
    'Small ResNet',
    'VGG',
    'MobileNetV2',
    'MobileNetV3',
    'DeiT',
    'Swin',
)


@pytest.fixture(scope='module')
def tool():
    """What writes the page."""
    return cells.Runner('mmpretrain')


@pytest.fixture(scope='module')
def table(tool):
    """What the page says."""
    page = tool.page.read_text(encoding='utf-8')
    return cells.read_cells(cells.read_block(page, 'families'))


def test_the_page_has_every_family_and_method(tool, table):
    assert {*table} == {*tool.families} == {*QUICK, *REST}
    for found in table.values():
        assert list(found) == list(tool.methods)
    page = tool.page.read_text(encoding='utf-8')
    places = cells.read_block(page, 'places')
    assert cells.bare(places) == cells.bare(cells.places_text(tool.families))


def test_no_cell_says_no_for_a_bug(table):
    reasons = {why for column in table.values() for why in column.values()}
    assert reasons == {
        '',
        'the backbone has no tokens',
        'the backbone has no maps of several stages',
        'the last layer takes another vector than the pooled one',
    }


@pytest.mark.parametrize(
    'family', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_family_does_what_the_page_says(tool, table, family):
    pair = tool.pair_of(tool.families[family])
    assert tool.column(pair) == table[family]


def test_tokens_of_a_loss_on_maps_are_told_what_to_do(tool):
    family = tool.families['ViT']
    taps = {
        f'preds_{who[0].upper()}': dict(of=who, at='backbone.layers.1')
        for who in cells.WIDTHS
    }
    links = dict(loss=dict(taps, loss=dict(type='mmkd_ext.ATLoss')))
    with pytest.raises(ValueError, match=r'tokens \(n l c\).*TokensToMap'):
        tool.step(family, links)


def test_the_share_has_reasons_for_all_that_fail():
    path = ROOT / 'benchmarks/results/check_share_mmpretrain.json'
    share = json.loads(path.read_text())
    assert share['package'] == 'mmpretrain'
    assert share['total']['buildable'] == sum(
        folder['buildable'] for folder in share['folders'].values()
    )
    for folder in share['folders'].values():
        assert all(row['problems'] or row['step'] for row in folder['failures'])
        count = sum(1 + len(row['equal']) for row in folder['failures'])
        assert folder['buildable'] - folder['step_runs'] == count
