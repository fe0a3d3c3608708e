"""Detectors of mmdet as students and teachers: the page says what really happens."""

from __future__ import annotations

import cells
import pytest

pytestmark = pytest.mark.mmdet


@pytest.fixture(scope='module')
def tool():
    """What writes the page."""
    pytest.importorskip('mmdet')
    return cells.Runner('mmdet')


@pytest.fixture(scope='module')
def tables(tool):
    """What the page says: of families, of backbones."""
    page = tool.page.read_text(encoding='utf-8')
    names = ('families', 'backbones')
    return [cells.read_cells(cells.read_block(page, name)) for name in names]


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
    assert {*families} == {*tool.families} == {*QUICK, *REST}
    assert tuple(backbones) == tuple(tool.backbones) == BACKBONES
    for found in (*families.values(), *backbones.values()):
        assert list(found) == list(tool.methods)


@pytest.mark.parametrize(
    'family', [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_family_does_what_the_page_says(tool, tables, family):
    pair = tool.pair_of(tool.families[family])
    assert tool.column(pair) == tables[0][family]


@pytest.mark.parametrize('family', REST)
def test_every_family_is_student_and_teacher_of_a_neck_method(tool, family):
    pair = tool.pair_of(tool.families[family])
    losses = tool.step(pair.family, tool.links('CWD', pair))
    assert losses['distill.loss'] > 0
    assert any(name.startswith('student.loss') for name in losses)


@pytest.mark.slow
@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_backbone_does_what_the_page_says(tool, tables, backbone):
    pair = tool.pair_of(tool.backbones[backbone])
    assert tool.column(pair) == tables[1][backbone]


@pytest.mark.parametrize('backbone', ['ResNeXt', 'MobileNetV2'])
def test_a_backbone_is_student_and_teacher_of_a_neck_method(tool, backbone):
    pair = tool.pair_of(tool.backbones[backbone])
    assert tool.step(pair.family, tool.links('CWD', pair))['distill.loss'] > 0


def test_a_cell_that_fails_gives_the_reason(tool):
    pair = tool.pair_of(tool.families['RetinaNet'])
    why = 'the head predicts no distributions of box edges'
    assert tool.cell('LD', pair) == why
    links = tool.links('CWD', pair)
    links['loss']['preds_S'] = dict(of='student', at='nekc')
    tool.methods['broken'] = dict(links=links)
    try:
        assert 'no module `nekc`' in tool.cell('broken', pair)
        found = tool.column(pair, ['CWD', 'broken'])
        assert found['CWD'] == '' != found['broken']
    finally:
        del tool.methods['broken']
