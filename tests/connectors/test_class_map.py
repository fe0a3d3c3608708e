"""ClassMap: names to columns, what is refused, and teaching through it."""

from __future__ import annotations

import distill_toys as toys
import pytest
import torch

from mmkd_ext.connectors import ClassMap
from mmkd_ext.connectors.build import build_connector
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.testing.toy import toy_batch

FINE = ['road', 'wall', 'house', 'rider', 'train', 'sky']
COARSE = ['sky', 'building', 'road', 'person']
MERGE = dict(building=['wall', 'house'], person='rider')


def test_columns_go_where_their_names_say():
    logits = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    p = logits[:, [0, 1, 2, 3, 5]].softmax(1)  # without the train
    found = ClassMap(FINE, COARSE, MERGE)(logits).softmax(1)
    expected = torch.stack([p[:, 4], p[:, 1] + p[:, 2], p[:, 0], p[:, 3]], 1)
    torch.testing.assert_close(found, expected)


def test_equal_names_need_no_merge():
    rows = torch.randn(7, 3)
    found = ClassMap(['a', 'b', 'c'], ['c', 'a'])(rows)
    torch.testing.assert_close(found, rows[:, [2, 0]])


def test_the_background_of_a_detector_goes_through():
    rows = torch.randn(7, 4)
    found = ClassMap(['a', 'b', 'c'], ['c', 'a'], background=True)(rows)
    torch.testing.assert_close(found, rows[:, [2, 0, 3]])


def test_each_level_of_a_pyramid_is_mapped():
    levels = (torch.randn(7, 3), torch.randn(2, 3))
    found = ClassMap(['a', 'b', 'c'], ['c', 'a'], sigmoid=True)(levels)
    assert [tuple(level.shape) for level in found] == [(7, 2), (2, 2)]


def test_one_class_is_enough_for_a_sigmoid_alone():
    assert ClassMap(['a', 'b'], ['b'], sigmoid=True)(torch.zeros(1, 2)).shape == (1, 1)
    with pytest.raises(ConfigError, match='always 1'):
        ClassMap(['a', 'b'], ['b'])


def test_half_logits_are_merged_in_float32():
    found = ClassMap(['a', 'b'], ['b', 'a'])(torch.zeros(1, 2).half())
    assert found.dtype is torch.float32


def test_the_map_is_told_in_words():
    words = ClassMap(FINE, COARSE, MERGE, background=True).describe()
    assert words == (
        'sky: sky; building: wall + house; road: road; person: rider; left out: train'
    )


@pytest.mark.parametrize(
    ('changes', 'path', 'words'),
    [
        (dict(merge=dict(MERGE, biulding=['wall'])), 'merge.biulding', '`building`'),
        (dict(merge=dict(MERGE, person=['ridr'])), 'merge.person', '`rider`'),
        (
            dict(merge=dict(building=['wall', 'house'], person=['rider', 'wall'])),
            'merge.person', "'wall' is taken by 'building' already",
        ),
        (dict(merge=dict(MERGE, person=['rider'] * 2)), 'merge.person', 'already'),
        (dict(source=[*FINE, 'sky']), 'source', "['sky'] twice"),
        (dict(target=[*COARSE, 'sky']), 'target', "['sky'] twice"),
        (dict(target=[]), 'target', 'names of classes'),
        (dict(source=19), 'source', 'names of classes'),
        (dict(target=['sky', 3]), 'target', 'names of classes'),
        (dict(merge=dict(person='rider')), 'target', "['sky', 'road', 'person']"),
        (dict(merge=dict(MERGE, sky=[])), 'target', "['sky'], which no class"),
        (dict(merge=None, target=['cow', 'sheep']), 'target', 'no class in common'),
        (dict(source='mmkd_ext.CamVidDatset'), 'source', '`mmkd_ext.CamVidDataset`'),
        (dict(source='mmkd_ext.ACDCDatase'), 'source', 'no data set'),
    ],
)  # fmt: skip
def test_mistakes_in_names_are_told_with_their_path(changes, path, words):
    config = dict(type='mmkd_ext.ClassMap', source=FINE, target=COARSE, merge=MERGE)
    with pytest.raises(ConfigError) as error:
        build_connector({**config, **changes}, 'links.loss_x.preds_T.connector')
    found = [p for p in error.value.problems if words in str(p)]
    assert [p.path for p in found] == [f'links.loss_x.preds_T.connector.{path}']


@pytest.mark.parametrize(
    ('shape', 'words'),
    [
        ((2, 7, 3, 3), 'background=True'),
        ((2, 18, 3, 3), 'FlattenPredictions'),
        ((2, 5), 'takes logits of 6 classes'),
        ((6,), 'takes logits of 6 classes'),
    ],
)
def test_logits_of_other_columns_are_refused(shape, words):
    with pytest.raises(ShapeError, match=words):
        ClassMap(FINE, COARSE, MERGE)(torch.zeros(shape))


@pytest.mark.mmseg
def test_names_come_from_data_sets():
    merge = dict(
        pavement='sidewalk', tree=['vegetation', 'terrain'], pedestrian='person',
        sign=['traffic light', 'traffic sign'], bicyclist=['rider', 'bicycle'],
    )  # fmt: skip
    folded = ClassMap('mmseg.CityscapesDataset', 'mmkd_ext.CamVidDataset', merge)
    # sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist
    assert folded.groups == [
        [10], [2], [5], [0], [1], [8, 9], [6, 7], [4], [13], [11], [12, 18],
    ]  # fmt: skip


# ---- in a distillation -------------------------------------------------------------

TEACHER = dict(type=toys.TOY, channels=12, classes=6)
TO_COARSE = dict(type='mmkd_ext.ClassMap', source=FINE, target=COARSE, merge=MERGE)


@pytest.mark.parametrize('loss', ['KDLoss', 'CWDLoss', 'DISTLoss', 'DKDPixelLoss'])
def test_a_teacher_of_more_classes_teaches(loss):
    labels = {}
    if loss == 'DKDPixelLoss':
        labels = dict(data_samples=dict(of='batch', at='data_samples'))
    links = toys.link(loss=loss, teacher=dict(connector=TO_COARSE), **labels)
    model = toys.build(links, teacher=TEACHER)
    (value,) = toys.losses_of(model, toy_batch()).values()
    value.backward()
    assert value > 0
    assert model.architecture.head.conv_seg.weight.grad.abs().sum() > 0


def test_without_it_the_message_names_it():
    (problem,) = toys.refused(toys.link(), teacher=TEACHER)
    assert '`mmkd_ext.ClassMap`' in str(problem)


def test_a_student_is_compared_in_what_both_know():
    common = ['sky', 'road', 'person']
    of_student = dict(type='mmkd_ext.ClassMap', source=COARSE, target=common)
    of_teacher = dict(TO_COARSE, target=common, merge=dict(person='rider'))
    taps = dict(
        student=dict(connector=of_student), teacher=dict(connector=of_teacher)
    )
    model = toys.build(toys.link(loss='KDLoss', **taps), teacher=TEACHER)
    assert next(iter(toys.losses_of(model).values())) > 0
    # but labels are those of all of its classes
    labels = dict(data_samples=dict(of='batch', at='data_samples'))
    problem, *_ = toys.refused(
        toys.link(loss='DKDPixelLoss', **taps, **labels), teacher=TEACHER
    )
    assert problem.path.endswith('preds_S.connector')
    assert "'data_samples'" in str(problem)
