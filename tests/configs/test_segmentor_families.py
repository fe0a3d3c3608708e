"""Segmentors of mmseg as students and teachers: the page says what really happens."""

from __future__ import annotations

import json
from pathlib import Path

import cells
import pytest

pytestmark = pytest.mark.mmseg

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    """What writes the page."""
    pytest.importorskip('mmseg')
    return cells.Runner('mmseg')


@pytest.fixture(scope='module')
def tables(tool):
    """What the page says: of families, of backbones."""
    page = tool.page.read_text(encoding='utf-8')
    names = ('families', 'backbones')
    return [cells.read_cells(cells.read_block(page, name)) for name in names]


# one of each kind in the default run; all with the slow ones
QUICK = ('PSPNet', 'SegFormer', 'PIDNet', 'Mask2Former')
REST = (
    'DeepLabV3',
    'DeepLabV3+',
    'FCN',
    'UPerNet',
    'STDC',
    'BiSeNetV1',
    'BiSeNetV2',
    'Fast-SCNN',
    'DDRNet',
)
BACKBONES = (
    'ResNet',
    'ResNeSt',
    'HRNet',
    'MobileNetV2',
    'MobileNetV3',
    'MiT',
    'Swin',
    'ViT (UPerNet)',
    'ViT (SETR)',
    'ViT (Segmenter)',
)


def test_the_page_has_every_family_backbone_and_method(tool, tables):
    families, backbones = tables
    assert {*families} == {*tool.families} == {*QUICK, *REST}
    assert tuple(backbones) == tuple(tool.backbones) == BACKBONES
    for found in (*families.values(), *backbones.values()):
        assert list(found) == list(tool.methods)


def test_the_page_says_where_the_families_are_tapped(tool):
    page = tool.page.read_text(encoding='utf-8')
    assert cells.read_block(page, 'places') == cells.places_text(tool.families)


def test_no_cell_says_no_for_a_bug(tables):
    """Each reason is one of these, none the text of an error."""
    reasons = {
        'the backbone has no tokens',
        'there is no auxiliary head',
        'the auxiliary classifiers run in training alone, and a teacher never trains',
        'the backbone returns one map in eval mode, in which a teacher is',
    }
    found = {why for table in tables for column in table.values()
             for why in column.values()}
    assert found <= {'', *reasons}


@pytest.mark.parametrize(
    'family', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_family_does_what_the_page_says(tool, tables, family):
    pair = tool.pair_of(tool.families[family])
    assert tool.column(pair) == tables[0][family]


@pytest.mark.parametrize(
    'backbone',
    [
        'ViT (Segmenter)',
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in BACKBONES
            if name != 'ViT (Segmenter)'
        ),
    ],
)
def test_a_backbone_does_what_the_page_says(tool, tables, backbone):
    pair = tool.pair_of(tool.backbones[backbone])
    assert tool.column(pair) == tables[1][backbone]


def test_tokens_without_their_connector_are_told_what_to_do(tool):
    family = tool.backbones['ViT (Segmenter)']
    taps = {
        f'preds_{who[0].upper()}': dict(of=who, at='backbone.layers.1')
        for who in cells.WIDTHS
    }
    links = dict(loss=dict(taps, loss=dict(type='mmkd_ext.CWDLoss')))
    with pytest.raises(ValueError, match=r'tokens \(n l c\).*TokensToMap'):
        tool.step(family, links)


def test_a_student_is_tapped_as_it_is_in_training(tool):
    """PIDNet's backbone returns three maps there, and a teacher's one."""
    family = tool.families['PIDNet']
    pair = tool.pair_of(family)
    assert len(pair.output('student', 'backbone')) == 3
    assert pair.output('teacher', 'backbone').dim() == 4
    links = tool.links('FitNets, last stage', pair)
    losses = tool.step(family, links)
    assert losses['distill.loss'] > 0
    assert 'student.decode.loss_bd' in losses


def test_a_link_from_which_nobody_learns_does_not_work(tool):
    family = tool.families['PSPNet']
    tap = dict(of='teacher', at='decode_head.conv_seg')
    link = dict(loss=dict(type='mmkd_ext.KDLoss'), preds_S=tap, preds_T=tap)
    with pytest.raises(ValueError, match='no gradient'):
        tool.step(family, {'loss': link})


def test_the_share_has_reasons_for_all_that_fail():
    share = json.loads((ROOT / 'benchmarks/results/check_share_mmseg.json').read_text())
    assert share['total']['buildable'] == sum(
        folder['buildable'] for folder in share['folders'].values()
    )
    for folder in share['folders'].values():
        assert all(row['problems'] or row['step'] for row in folder['failures'])
        count = sum(1 + len(row['equal']) for row in folder['failures'])
        assert folder['buildable'] - folder['step_runs'] == count
