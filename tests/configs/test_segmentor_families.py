"""Segmentors of mmseg as students and teachers: the page says what really happens."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from cells import read_tables

pytestmark = pytest.mark.mmseg

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    """The tool that writes the page."""
    pytest.importorskip('mmseg')
    path = ROOT / 'docs' / 'segmentor_table.py'
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def tables(tool):
    """What the page says: of families, of backbones."""
    return read_tables(tool.PAGE.read_text(encoding='utf-8'))


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
    assert {*families} == {*tool.FAMILIES} == {*QUICK, *REST}
    assert tuple(backbones) == tuple(tool.BACKBONES) == BACKBONES
    for found in (*families.values(), *backbones.values()):
        assert list(found) == tool.RUNNER.present() == list(tool.METHODS)


def test_what_is_read_off_a_page_writes_it_again(tool, tables):
    assert tool.page(*tables) == tool.PAGE.read_text(encoding='utf-8')


def test_no_cell_says_no_for_a_bug(tables):
    """Each reason is one of these, none the text of an error."""
    reasons = {
        'the backbone has no tokens',
        'there is no auxiliary head',
        'the auxiliary classifiers run in training alone, and a teacher never trains',
        'the backbone returns one map in eval mode, in which a teacher is',
    }
    found = {why for table in tables for cells in table.values()
             for why in cells.values()}
    assert found <= {'', *reasons}


@pytest.mark.parametrize(
    'family', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_family_does_what_the_page_says(tool, tables, family):
    pair = tool.RUNNER.pair_of(tool.FAMILIES[family])
    assert tool.RUNNER.differences(pair, tables[0][family]) == {}


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
    pair = tool.RUNNER.pair_of(tool.BACKBONES[backbone])
    assert tool.RUNNER.differences(pair, tables[1][backbone]) == {}


def test_tokens_without_their_connector_are_told_what_to_do(tool):
    family = tool.BACKBONES['ViT (Segmenter)']
    tap = dict(at='backbone.layers.1')
    links = {'loss': tool._link('CWDLoss', {}, tool._taps(tap, tap))}
    with pytest.raises(ValueError, match=r'tokens \(n l c\).*TokensToMap'):
        tool.RUNNER.step(family, links)


def test_a_student_is_tapped_as_it_is_in_training(tool):
    """PIDNet's backbone returns three maps there, and a teacher's one."""
    family = tool.FAMILIES['PIDNet']
    pair = tool.RUNNER.pair_of(family)
    assert len(tool._output(pair, 'student', 'backbone')) == 3
    assert tool._output(pair, 'teacher', 'backbone').dim() == 4
    links = tool.METHODS['FitNets, last stage'][1](pair)
    losses = tool.RUNNER.step(family, links)
    assert losses['distill.loss'] > 0
    assert 'student.decode.loss_bd' in losses


def test_a_link_from_which_nobody_learns_does_not_work(tool):
    family = tool.FAMILIES['PSPNet']
    tap = dict(of='teacher', at='decode_head.conv_seg')
    link = dict(loss=dict(type='mmkd_ext.KDLoss'), preds_S=tap, preds_T=tap)
    with pytest.raises(ValueError, match='no gradient'):
        tool.RUNNER.step(family, {'loss': link})


def test_the_share_has_reasons_for_all_that_fail(tool):
    share = json.loads(tool.SHARE.read_text())
    assert share['total']['buildable'] == sum(
        folder['buildable'] for folder in share['folders'].values()
    )
    for folder in share['folders'].values():
        assert all(row['problems'] or row['step'] for row in folder['failures'])
        count = sum(1 + len(row['equal']) for row in folder['failures'])
        assert folder['buildable'] - folder['step_runs'] == count
