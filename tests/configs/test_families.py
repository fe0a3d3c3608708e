"""Models of all packages as students and teachers: the pages say what happens."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cells
import pytest

ROOT = Path(__file__).parents[2]
mmdet, mmseg, slow = pytest.mark.mmdet, pytest.mark.mmseg, pytest.mark.slow
MARKS = {'mmdet': mmdet, 'mmseg': mmseg, 'mmpretrain': pytest.mark.skipif(
    importlib.util.find_spec('mmpretrain') is None, reason='the extra `cls`')}

#: Families of each page, then backbones; first those of the default run.
FAMILIES = {
    'mmdet': (('RetinaNet', 'GFL', 'Faster R-CNN', 'YOLOX', 'DETR'),
              ('FCOS', 'ATSS', 'RepPoints', 'Cascade R-CNN', 'Mask R-CNN (Swin)',
               'SOLO', 'RTMDet (CSPNeXt)', 'Deformable DETR', 'DINO')),
    'mmseg': (('PSPNet', 'SegFormer', 'PIDNet', 'Mask2Former'),
              ('DeepLabV3', 'DeepLabV3+', 'FCN', 'UPerNet', 'STDC', 'BiSeNetV1',
               'BiSeNetV2', 'Fast-SCNN', 'DDRNet')),
    'mmpretrain': (('Small WRN', 'ShuffleNetV2', 'ViT'),
                   ('ResNet', 'ResNet, CIFAR', 'Small ResNet', 'VGG', 'MobileNetV2',
                    'MobileNetV3', 'DeiT', 'Swin'))}
BACKBONES = {
    'mmdet': ((), ('ResNet', 'ResNeXt', 'Swin', 'MobileNetV2', 'CSPNeXt')),
    'mmseg': (('ViT (Segmenter)',),
              ('ResNet', 'ResNeSt', 'HRNet', 'MobileNetV2', 'MobileNetV3', 'MiT',
               'Swin', 'ViT (UPerNet)', 'ViT (SETR)'))}
#: Why a method may not work on a family: never the text of an error.
REASONS = {
    'mmseg': {
        '', 'the backbone has no tokens', 'there is no auxiliary head',
        'the auxiliary classifiers run in training alone, and a teacher never trains',
        'the backbone returns one map in eval mode, in which a teacher is'},
    'mmpretrain': {
        '', 'the backbone has no tokens',
        'the backbone has no maps of several stages',
        'the last layer takes another vector than the pooled one'}}


def package(name, *values, more=()):
    marks = [MARKS[name], *more]
    return pytest.param(name, *values, marks=marks, id='-'.join([name, *values[:2]]))


def cases(names):
    return [package(name, one, more=more) for name, (quick, rest) in names.items()
            for more, found in (((), quick), ((slow,), rest)) for one in found]


@pytest.fixture(scope='module')
def tools():
    """What writes the pages, made once for each package."""
    made = {}
    return lambda name: made.setdefault(name, cells.Runner(name))


def tables(tool):
    """What the page says: of families, of backbones."""
    page = tool.page.read_text(encoding='utf-8')
    names = ('families', 'backbones') if tool.backbones else ('families',)
    return [cells.read_cells(cells.read_block(page, name)) for name in names]


@pytest.mark.parametrize('name', map(package, FAMILIES))
def test_the_page_has_every_family_backbone_and_method(tools, name):
    tool = tools(name)
    known = {'families': (tool.families, FAMILIES), 'backbones': (
        tool.backbones, BACKBONES)}  # fmt: skip
    for table, (ours, listed) in zip(tables(tool), known.values()):
        assert {*table} == {*ours} == {*sum(listed[name], ())}
        for found in table.values():
            assert list(found) == list(tool.methods)
            assert set(found.values()) <= REASONS.get(name, {*found.values()})


@pytest.mark.parametrize('name', [package('mmseg'), package('mmpretrain')])
def test_the_page_says_where_the_families_are_tapped(tools, name):
    tool = tools(name)
    shown = cells.read_block(tool.page.read_text(encoding='utf-8'), 'places')
    assert cells.bare(shown) == cells.bare(cells.places_text(tool.families))


@pytest.mark.parametrize(('name', 'family'), cases(FAMILIES))
def test_a_family_does_what_the_page_says(tools, name, family):
    tool = tools(name)
    assert tool.column(tool.pair_of(tool.families[family])) == tables(tool)[0][family]


@pytest.mark.parametrize(('name', 'backbone'), cases(BACKBONES))
def test_a_backbone_does_what_the_page_says(tools, name, backbone):
    tool = tools(name)
    pair = tool.pair_of(tool.backbones[backbone])
    assert tool.column(pair) == tables(tool)[1][backbone]


@mmdet
@pytest.mark.parametrize('family', [*FAMILIES['mmdet'][1], 'ResNeXt', 'MobileNetV2'])
def test_every_detector_is_student_and_teacher_of_a_neck_method(tools, family):
    tool = tools('mmdet')
    pair = tool.pair_of({**tool.backbones, **tool.families}[family])
    losses = tool.step(pair.family, tool.links('CWD', pair))
    assert losses['distill.loss'] > 0
    assert any(name.startswith('student.loss') for name in losses)


@mmdet
def test_a_cell_that_fails_gives_the_reason(tools, monkeypatch):
    tool = tools('mmdet')
    pair = tool.pair_of(tool.families['RetinaNet'])
    why = 'the head predicts no distributions of box edges'
    assert tool.cell('LD', pair) == why
    links = tool.links('CWD', pair)
    links['loss']['preds_S'] = dict(of='student', at='nekc')
    monkeypatch.setitem(tool.methods, 'broken', dict(links=links))
    assert 'no module `nekc`' in tool.cell('broken', pair)
    found = tool.column(pair, ['CWD', 'broken'])
    assert found['CWD'] == '' != found['broken']


def pair_of_taps(at):
    return {f'preds_{who[0].upper()}': dict(of=who, at=at) for who in cells.WIDTHS}


TEACHER = dict(of='teacher', at='decode_head.conv_seg')
TOKENS, TOLD = pair_of_taps('backbone.layers.1'), r'tokens \(n l c\).*TokensToMap'


@pytest.mark.parametrize(('name', 'where', 'family', 'loss', 'taps', 'told'), [
    package('mmseg', 'backbones', 'ViT (Segmenter)', 'CWDLoss', TOKENS, TOLD),
    package('mmpretrain', 'families', 'ViT', 'ATLoss', TOKENS, TOLD),
    # nobody learns
    package('mmseg', 'families', 'PSPNet', 'KDLoss',
            dict(preds_S=TEACHER, preds_T=TEACHER), 'no gradient')])
def test_a_step_that_makes_no_sense_is_told(tools, name, where, family, loss, taps,
                                            told):
    tool = tools(name)
    links = dict(loss=dict(taps, loss=dict(type=f'mmkd_ext.{loss}')))
    with pytest.raises(ValueError, match=told):
        tool.step(getattr(tool, where)[family], links)


@mmseg
def test_a_student_is_tapped_as_it_is_in_training(tools):
    """PIDNet's backbone returns three maps there, and a teacher's one."""
    tool = tools('mmseg')
    pair = tool.pair_of(tool.families['PIDNet'])
    assert len(pair.output('student', 'backbone')) == 3
    assert pair.output('teacher', 'backbone').dim() == 4
    losses = tool.step(pair.family, tool.links('FitNets, last stage', pair))
    assert losses['distill.loss'] > 0
    assert 'student.decode.loss_bd' in losses


@pytest.mark.parametrize('package', ['mmseg', 'mmpretrain'])
def test_the_share_has_reasons_for_all_that_fail(package):
    path = ROOT / f'benchmarks/results/check_share_{package}.json'
    share = json.loads(path.read_text())
    assert share.get('package', package) == package
    folders = share['folders'].values()
    total = sum(folder['buildable'] for folder in folders)
    assert share['total']['buildable'] == total
    for folder in folders:
        assert all(row['problems'] or row['step'] for row in folder['failures'])
        count = sum(1 + len(row['equal']) for row in folder['failures'])
        assert folder['buildable'] - folder['step_runs'] == count
