"""Classes of models and of data: each head, each wrapper."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from torch import nn

from mmkd_ext.algorithms.sources import build_model
from mmkd_ext.config.classes import check_classes, class_count
from mmkd_ext.config.context import Report
from mmkd_ext.testing.toy import ToyDataset, ToyModel

DATA = 'train_dataloader.dataset'


class CountedPart(nn.Module):
    """Stands for a head, which holds its number of classes."""

    def __init__(self, **numbers):
        super().__init__()
        vars(self).update(numbers)


class STDCHead(CountedPart):
    """As mmseg's, which tells edges from the rest."""


class FusedSemanticHead(CountedPart):
    """As mmdet's, which learns from maps of stuff."""


def heads(**parts):
    """A model with a head at each dotted name; a number is its `num_classes`."""
    model = nn.Module()
    for name, part in parts.items():
        *parents, last = name.split('__')
        holder = model
        for one in parents:
            if not hasattr(holder, one):
                holder.add_module(one, nn.Module())
            holder = getattr(holder, one)
        made = CountedPart(num_classes=part) if isinstance(part, int) else part
        holder.add_module(last, made)
    return model


def dataset(count=8, **more):
    classes = [f'class {i}' for i in range(count)]
    return {'metainfo': {'classes': classes}, **more}


def compared(model, data):
    report = Report()
    cfg = Config({'train_dataloader': {'dataset': data}})
    check_classes(model, 'model.architecture', cfg, report)
    return report


def paths(found):
    return [one.path.removeprefix('model.architecture.') for one in found]


# ---- models --------------------------------------------------------------------------


@pytest.mark.parametrize('name', [
    'decode_head', 'auxiliary_head', 'bbox_head', 'mask_head', 'panoptic_head',
    'query_head', 'roi_head__bbox_head', 'roi_head__mask_head', 'segm_head',
])  # fmt: skip
def test_every_head_is_compared(name):
    (problem,) = compared(heads(**{name: 4}), dataset(8)).problems
    assert problem.path == f'model.architecture.{name.replace("__", ".")}.num_classes'
    assert 'is 4' in problem.found
    assert compared(heads(**{name: 8}), dataset(8)) == Report()
    assert paths(compared(heads(**{name: 9}), dataset(8)).warnings)


def test_stages_and_auxiliary_heads_are_written_as_the_config_has_them():
    stages = nn.ModuleList([CountedPart(num_classes=8), CountedPart(num_classes=4)])
    found = compared(heads(roi_head__bbox_head=stages), dataset(8))
    assert paths(found.problems) == ['roi_head.bbox_head[1].num_classes']


def test_heads_that_are_wrong_alike_are_told_once():
    found = compared(heads(decode_head=4, auxiliary_head=4), dataset(8))
    assert paths(found.problems) == ['decode_head.num_classes']
    found = compared(heads(decode_head=8, auxiliary_head=4), dataset(8))
    assert paths(found.problems) == ['auxiliary_head.num_classes']


def test_what_tells_other_classes_apart_is_left_alone():
    model = heads(
        backbone=1000, rpn_head=1, roi_head__bbox_head=8, dn_query_generator=5,
        roi_head__semantic_head=FusedSemanticHead(num_classes=183),
        auxiliary_head=STDCHead(num_classes=2),
        roi_head__mask_head=CountedPart(num_classes=1, class_agnostic=True),
    )  # fmt: skip
    assert compared(model, dataset(8)) == Report()
    assert class_count(model) == 8


def test_one_output_says_yes_and_no():
    head = CountedPart(num_classes=2, out_channels=1)
    assert compared(heads(decode_head=head), dataset(1)) == Report()
    assert paths(compared(heads(decode_head=head), dataset(3)).problems)


def test_things_and_stuff_are_counted_apart():
    data = {'metainfo': {'classes': list('abcde'), 'thing_classes': list('abc'),
                         'stuff_classes': list('de')}}  # fmt: skip

    def wrong(boxes, things, stuff, whole):
        head = CountedPart(
            num_classes=whole, num_things_classes=things, num_stuff_classes=stuff
        )
        model = heads(roi_head__bbox_head=boxes, semantic_head=head)
        return paths(compared(model, data).problems)

    # mmdet's head of stuff counts all things as one class
    assert wrong(3, 3, 2, 3) == []
    assert wrong(2, 3, 2, 3) == ['roi_head.bbox_head.num_classes']
    assert wrong(3, 3, 1, 2) == ['semantic_head.num_stuff_classes']
    assert wrong(3, 2, 2, 3) == ['semantic_head.num_things_classes']


def test_a_model_tells_as_many_classes_apart_as_its_head():
    assert class_count(ToyModel(classes=7)) == 7
    assert class_count(nn.Identity()) is None
    assert class_count(heads(rpn_head=1)) is None
    stages = nn.ModuleList([CountedPart(num_classes=2), CountedPart(num_classes=19)])
    assert class_count(heads(decode_head=stages)) == 19
    assert class_count(heads(decode_head=11, auxiliary_head=19)) == 11


@pytest.mark.mmdet
@pytest.mark.parametrize(('name', 'count'), [
    ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 80),
    ('cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco', 80),
    ('retinanet/retinanet_r50_fpn_1x_coco', 80),
    ('detr/detr_r50_8xb2-150e_coco', 80),
    ('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco', 133),
])  # fmt: skip
def test_models_of_mmdet_fit_the_data_that_they_were_made_for(name, count):
    model = build_model(f'mmdet::{name}.py', 'model')
    kind = 'CocoPanopticDataset' if count == 133 else 'CocoDataset'
    data = {'type': f'mmdet.{kind}'}
    assert compared(model, data) == Report()
    assert class_count(model) == count
    assert compared(model, dataset(count + 1)).problems


# ---- data ----------------------------------------------------------------------------


def wrapped(kind, inner, **more):
    return {'type': kind, 'dataset': inner, **more}


@pytest.mark.parametrize('data', [
    dataset(8), wrapped('RepeatDataset', dataset(8), times=2),
    wrapped('ClassBalancedDataset', dataset(8), oversample_thr=0.1),
    wrapped('MultiImageMixDataset', dataset(8), pipeline=[]),
    {'type': 'ConcatDataset', 'datasets': [dataset(8), dataset(8)]},
    wrapped('MultiImageMixDataset', {'type': 'ConcatDataset',
     'datasets': [{'type': 'Unknown'}, wrapped('RepeatDataset', dataset(8), times=2)]}),
    [dataset(8), dataset(8)], ToyDataset(classes=8),
])  # fmt: skip
def test_wrappers_have_the_classes_of_what_they_wrap(data):
    found = compared(heads(decode_head=4), data)
    assert 'has 8 classes' in found.problems[0].found
    assert compared(heads(decode_head=8), data) == Report()


def test_names_may_stand_in_a_file(tmp_path):
    file = tmp_path / 'classes.txt'
    file.write_text('cat\ndog\nbird\n')
    data = wrapped('RepeatDataset', {'metainfo': {'classes': str(file)}})
    assert paths(compared(heads(bbox_head=2), data).problems)
    assert compared(heads(bbox_head=3), data) == Report()


def test_a_name_that_is_no_file_is_told():
    data = wrapped('RepeatDataset', {'metainfo': {'classes': 'cat'}})
    (problem,) = compared(heads(bbox_head=1), data).problems
    assert problem.path == f'{DATA}.dataset.metainfo.classes'
    assert "('cat',)" in problem.hint


@pytest.mark.parametrize('data', [None, 3, {}, {'type': 'Nobody'}, {'datasets': []}])
def test_data_that_names_no_classes_passes(data):
    assert compared(heads(bbox_head=1), data) == Report()
