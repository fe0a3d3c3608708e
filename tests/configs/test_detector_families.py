"""Detectors of mmdet as students and teachers: the page says what really happens."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from cells import read_tables

pytestmark = pytest.mark.mmdet

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    """The tool that writes the page."""
    pytest.importorskip('mmdet')
    path = ROOT / 'docs' / 'detector_table.py'
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
QUICK = ('RetinaNet', 'GFL', 'Faster R-CNN', 'YOLOX', 'DETR')
REST = (
    'FCOS',
    'ATSS',
    'RepPoints',
    'Cascade R-CNN',
    'Mask R-CNN (Swin)',
    'SOLO',
    'RTMDet (CSPNeXt)',
    'Deformable DETR',
    'DINO',
)
BACKBONES = ('ResNet', 'ResNeXt', 'Swin', 'MobileNetV2', 'CSPNeXt')


def test_the_page_has_every_family_backbone_and_method(tool, tables):
    families, backbones = tables
    assert tuple(families) == tuple(tool.FAMILIES)
    assert set(families) == {*QUICK, *REST}
    assert tuple(backbones) == tuple(tool.BACKBONES) == BACKBONES
    assert all(tuple(found) == tuple(tool.present()) for found in families.values())


def test_what_is_read_off_a_page_writes_it_again(tool, tables):
    families, backbones = tables
    assert tool.page(families, backbones) == tool.PAGE.read_text(encoding='utf-8')


@pytest.mark.parametrize(
    'family', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_family_does_what_the_page_says(tool, tables, family):
    pair = tool.pair_of(tool.FAMILIES[family])
    assert tool.differences(pair, tables[0][family]) == {}


@pytest.mark.parametrize('family', REST)
def test_every_family_is_student_and_teacher_of_a_neck_method(tool, family):
    pair = tool.pair_of(tool.FAMILIES[family])
    losses = tool.step(pair.family, tool.METHODS['CWD'][1](pair))
    assert losses['distill.loss'] > 0
    assert any(name.startswith('student.loss') for name in losses)


@pytest.mark.slow
@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_backbone_does_what_the_page_says(tool, tables, backbone):
    pair = tool.pair_of(tool.BACKBONES[backbone])
    assert tool.differences(pair, tables[1][backbone]) == {}


@pytest.mark.parametrize('backbone', ['ResNeXt', 'MobileNetV2'])
def test_a_backbone_is_student_and_teacher_of_a_neck_method(tool, backbone):
    pair = tool.pair_of(tool.BACKBONES[backbone])
    assert tool.step(pair.family, tool.METHODS['CWD'][1](pair))['distill.loss'] > 0


def test_a_cell_that_fails_gives_the_reason(tool):
    pair = tool.pair_of(tool.FAMILIES['RetinaNet'])
    why = 'the head predicts no distributions of box edges'
    assert tool.cell('LD', pair) == why
    broken = {'loss': {**tool.METHODS['CWD'][1](pair)['loss']}}
    broken['loss']['preds_S'] = dict(of='student', at='nekc')
    tool.METHODS['broken'] = ('CWDLoss', lambda pair: broken)
    try:
        assert 'no module `nekc`' in tool.cell('broken', pair)
        assert tool.differences(pair, {'CWD': '', 'broken': ''}).keys() == {'broken'}
    finally:
        del tool.METHODS['broken']
