"""Rows of dense heads: their order, their levels, what they refuse."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.connectors import ConcatLevels, FlattenPredictions
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.registry import MODELS


def test_rows_go_through_images_then_lines_then_priors():
    # n=2, a=2, k=3, h=2, w=2; the value says where it stands: image, prior, class, y, x
    n, a, k, y, x = torch.meshgrid(
        *(torch.arange(size) for size in (2, 2, 3, 2, 2)), indexing='ij')
    place = n * 10000 + a * 1000 + k * 100 + y * 10 + x
    rows = FlattenPredictions(classes=3)(place.reshape(2, 6, 2, 2))
    assert rows.shape == (16, 3)
    assert rows[:5].tolist() == [
        [0, 100, 200], [1000, 1100, 1200], [1, 101, 201], [1001, 1101, 1201],
        [10, 110, 210]]
    assert rows[8].tolist() == [10000, 10100, 10200]


def test_a_pyramid_stays_one():
    maps = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)]
    rows = FlattenPredictions(classes=2)(maps)
    assert isinstance(rows, tuple)
    assert [tuple(level.shape) for level in rows] == [(16, 2), (4, 2)]


def test_any_memory_format_gives_the_same_rows():
    maps = torch.randn(2, 6, 3, 4)
    swapped = maps.contiguous(memory_format=torch.channels_last)
    assert torch.equal(FlattenPredictions(3)(maps), FlattenPredictions(3)(swapped))


def test_gradients_pass():
    maps = torch.randn(2, 6, 3, 4, requires_grad=True)
    ConcatLevels()((FlattenPredictions(3)(maps),)).sum().backward()
    assert maps.grad.eq(1).all()


@pytest.mark.parametrize('shape', [(2, 7, 3, 4), (2, 6), (2, 6, 3)])
def test_refuses_channels_that_are_no_multiple_and_what_is_no_map(shape):
    with pytest.raises(ShapeError, match='`classes`'):
        FlattenPredictions(classes=3)(torch.zeros(shape))


def test_refuses_no_classes():
    with pytest.raises(ConfigError, match='classes'):
        FlattenPredictions(classes=0)


def test_joins_rows_and_labels():
    rows = ConcatLevels()((torch.zeros(6, 3), torch.ones(2, 3)))
    assert rows.sum(1).tolist() == [0] * 6 + [3] * 2
    labels = ConcatLevels()([torch.tensor([1, 2]), torch.tensor([3])])
    assert labels.tolist() == [1, 2, 3]


def test_one_level_stays_itself():
    rows = torch.zeros(6, 3)
    assert ConcatLevels()((rows,)) is rows
    assert ConcatLevels()(rows) is rows


@pytest.mark.parametrize('levels', [
    (torch.zeros(6, 3), torch.zeros(2, 4)), (torch.zeros(6, 3), torch.zeros(2)),
    (torch.zeros(1, 3, 2, 2),), ()])
def test_refuses_to_join_what_differs(levels):
    with pytest.raises(ShapeError, match='`ConcatLevels` takes rows'):
        ConcatLevels()(levels)


HEADS = {
    'retinanet/retinanet_r50_fpn_1x_coco': 'retina_cls',
    'gfl/gfl_r50_fpn_1x_coco': 'gfl_cls',
    'atss/atss_r50_fpn_1x_coco': 'atss_cls',
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco': 'conv_cls',
}


@pytest.mark.mmdet
@pytest.mark.parametrize('config', HEADS)
def test_rows_are_those_that_the_head_hands_to_its_loss(config):
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmengine.config import ConfigDict
    from mmengine.hub import get_config
    from mmengine.structures import InstanceData

    from mmkd_ext.distillers.links import Source, Tap
    from mmkd_ext.distillers.taps import Recorder

    model = get_config(f'mmdet::{config}.py').model
    settings = ConfigDict(model.bbox_head, num_classes=3, in_channels=32,
                          feat_channels=32, stacked_convs=1,
                          train_cfg=model.get('train_cfg'))
    settings.pop('_scope_', None)
    head = MODELS.build(settings)
    samples = []
    for boxes in ([[4.0, 4, 60, 40]], []):  # the second image has none
        sample = DetDataSample(metainfo=dict(
            img_shape=(64, 96), pad_shape=(64, 96), batch_input_shape=(64, 96)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4),
            labels=torch.ones(len(boxes), dtype=torch.long))
        samples.append(sample)
    sizes = [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
    feats = tuple(torch.randn(2, 32, *size) for size in sizes)
    maps = Tap('student', Source('ModuleOutputs', HEADS[config]), (0, 1, 2, 3, 4))
    labels = '1.0' if 'gfl' in config else 1
    given, targets = (Tap('student', Source('ModuleInputs', 'loss_cls'), 'all', item)
                      for item in (0, labels))
    recorder = Recorder('student', [maps, given, targets])
    with recorder.recording(head):
        head.loss(feats, samples)
    ours = FlattenPredictions(classes=3)(recorder.value(maps))
    theirs = recorder.value(given)
    assert len(theirs) == (1 if 'fcos' in config else 5)
    assert torch.equal(ConcatLevels()(ours), ConcatLevels()(theirs))
    joined = ConcatLevels()(recorder.value(targets))
    assert joined.shape == (len(ConcatLevels()(ours)),)
    # positives, and the background as the label after the last class
    assert set(joined.tolist()) == {1, 3}


@pytest.mark.parametrize(('old', 'new', 'settings'), [
    ('DenseRows', FlattenPredictions, {'classes': 3}), ('JoinRows', ConcatLevels, {})])
def test_former_names_still_build_and_name_the_new_one(old, new, settings):
    with pytest.warns(FutureWarning, match=f'`mmkd_ext.{new.__name__}`'):
        built = MODELS.build({'type': f'mmkd_ext.{old}', **settings})
    assert isinstance(built, new)
