"""Boxes and sizes out of samples of mmdet and of anything like them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmkd_ext.errors import DataError
from mmkd_ext.methods._boxes import boxes_of, image_sizes

META = dict(img_shape=(600, 800), pad_shape=(608, 800), batch_input_shape=(608, 832))


def sample(boxes, **meta):
    return SimpleNamespace(
        gt_instances=SimpleNamespace(bboxes=boxes), metainfo=meta or META)


def test_reads_boxes_and_sizes_of_anything_alike():
    boxes = torch.zeros(2, 4)
    assert boxes_of([sample(boxes)])[0] is boxes
    assert image_sizes([sample(boxes)]) == [(608, 832)]
    assert image_sizes([sample(boxes)], padded=False) == [(600, 800)]


@pytest.mark.mmdet
def test_reads_samples_of_mmdet():
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes
    from mmengine.structures import InstanceData

    boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    for wrapped in (boxes, HorizontalBoxes(boxes)):
        one = DetDataSample(metainfo=META)
        one.gt_instances = InstanceData(bboxes=wrapped)
        assert torch.equal(boxes_of([one])[0], boxes)
        assert image_sizes([one]) == [(608, 832)]


@pytest.mark.parametrize(
    'bad',
    [
        SimpleNamespace(), SimpleNamespace(gt_instances=SimpleNamespace()),
        sample(torch.zeros(4)), sample(torch.zeros(2, 5)), sample([[0, 0, 1, 1]])])
def test_says_which_sample_has_no_boxes(bad):
    with pytest.raises(
            DataError, match=r'`data_samples\[1\].gt_instances.bboxes` must'):
        boxes_of([sample(torch.zeros(0, 4)), bad])


@pytest.mark.parametrize(
    'bad', [SimpleNamespace(), sample(torch.zeros(0, 4), img_id=3)])
def test_says_which_sample_has_no_size(bad):
    with pytest.raises(
            DataError, match=r"`data_samples\[0\].metainfo` has no 'batch_in"):
        image_sizes([bad])


@pytest.mark.parametrize('nothing', [None, [], (), sample(torch.zeros(0, 4))])
def test_says_how_to_give_samples(nothing):
    for read in (boxes_of, image_sizes):
        with pytest.raises(DataError, match="data_samples=dict\\(of='batch'"):
            read(nothing)
