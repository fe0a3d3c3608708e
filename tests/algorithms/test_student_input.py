"""The student sees smaller pictures than its teacher, of the same places."""

from __future__ import annotations

from pathlib import Path

import distill_toys as toys
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import nn

from mmkd_ext.algorithms.student_input import StudentInput
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.testing.toy import toy_batch

HALF = dict(scale=0.5)


class Averages(BaseModel):
    """Maps of means over windows, so a map holds what the picture is at its places."""

    def __init__(self, stride):
        super().__init__()
        self.features = nn.AvgPool2d(stride)
        self.scale = nn.Conv2d(3, 3, 1, bias=False)
        self.scale.weight.data = torch.eye(3)[..., None, None]

    def forward(self, inputs, data_samples=None, mode='tensor'):
        found = self.scale(self.features(inputs))
        return {'loss_task': 0 * found.sum()} if mode == 'loss' else found


def ramp(height, width):
    """Each pixel says where its centre is, across and down."""
    across = (torch.arange(width) + 0.5).expand(height, width)
    down = (torch.arange(height)[:, None] + 0.5).expand(height, width)
    return torch.stack([across, down, across + down])[None]


@pytest.mark.parametrize('scale', [0.5, 0.25, 0.375, 0.75])
def test_a_ramp_stays_where_it_is(scale):
    """By hand: the centre of small pixel i lies at (i + 1/2) / scale."""
    found = StudentInput(dict(scale=scale))(ramp(32, 64), None)['inputs']
    assert torch.allclose(found * scale, ramp(int(32 * scale), int(64 * scale)))


@pytest.mark.parametrize('strides', [(4, 4), (4, 8), (8, 4)])
def test_maps_are_aligned_in_the_coordinates_of_the_picture(strides):
    student, teacher = map(Averages, strides)
    links = toys.link('scale', 'FitNetsLoss')
    model = toys.build(links, student, teacher, student_input=HALF)
    inputs = ramp(64, 96)
    model(inputs, None, mode='loss')
    sides = []
    model.distiller.distill_losses['loss_x'].register_forward_hook(
        lambda _, args, kwargs, out: sides.append(kwargs), with_kwargs=True
    )
    model(inputs, None, mode='loss')
    found, wanted = sides[0]['preds_S'], sides[0]['preds_T']
    assert found.shape == wanted.shape
    # beyond the outermost centres of the coarse map there is nothing to interpolate
    edge = strides[0] * 2 // strides[1]
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    assert torch.allclose(found[inner], wanted[inner])


def test_labels_are_those_at_the_centres():
    labels = torch.arange(36).reshape(1, 6, 6)
    sample = BaseDataElement(metainfo=dict(img_shape=(6, 6)))
    sample.gt_sem_seg = PixelData(data=labels)
    third = StudentInput(dict(scale=1 / 3))(torch.zeros(1, 3, 6, 6), [sample])
    (small,) = third['data_samples']
    # by hand: pixels 1 and 4 of each row and column
    assert small.gt_sem_seg.data.tolist() == [[[7, 10], [25, 28]]]
    assert small.img_shape == (2, 2)
    assert sample.gt_sem_seg.data is labels
    assert sample.img_shape == (6, 6)


def test_boxes_and_sizes_follow():
    shapes = dict(img_shape=(6, 7), pad_shape=(8, 8), batch_input_shape=(8, 8))
    sample = BaseDataElement(metainfo=dict(shapes, scale_factor=(2.0, 3.0)))
    boxes = torch.tensor([[1.0, 2.0, 5.0, 6.0]])
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([3]))
    sample.ignored_instances = InstanceData(bboxes=boxes[:0])
    (small,) = StudentInput(HALF)(torch.zeros(1, 3, 8, 8), [sample])['data_samples']
    assert small.gt_instances.bboxes.tolist() == [[0.5, 1.0, 2.5, 3.0]]
    assert small.gt_instances.labels.tolist() == [3]
    assert small.ignored_instances.bboxes.shape == (0, 4)
    assert (small.img_shape, small.batch_input_shape) == ((3, 4), (4, 4))
    assert small.scale_factor == (1.0, 1.5)
    assert sample.gt_instances.bboxes is boxes


@pytest.mark.mmdet
def test_boxes_of_mmdet_and_masks_follow():
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks

    mask = np.zeros((1, 8, 8), np.uint8)
    mask[:, 2:6, 4:8] = 1
    sample = BaseDataElement()
    sample.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor([[4.0, 2.0, 8.0, 6.0]])),
        masks=BitmapMasks(mask, 8, 8),
    )
    (small,) = StudentInput(HALF)(torch.zeros(1, 3, 8, 8), [sample])['data_samples']
    assert small.gt_instances.bboxes.tensor.tolist() == [[2.0, 1.0, 4.0, 3.0]]
    assert small.gt_instances.masks.masks[0].nonzero()[0].tolist() == [1, 1, 2, 2]
    assert small.gt_instances.masks.masks[0].nonzero()[1].tolist() == [2, 3, 2, 3]


def test_the_teacher_sees_the_picture_and_the_student_half_of_it():
    model = toys.build(student_input=HALF)
    seen = {}
    for name, one in model.models.items():
        one.backbone.register_forward_pre_hook(
            lambda _, args, name=name: seen.update({name: tuple(args[0].shape)})
        )
    batch = toy_batch()
    losses = model(**batch, mode='loss')
    assert all(value.isfinite() for value in losses.values())
    n, c, h, w = batch['inputs'].shape
    assert seen == dict(teacher=(n, c, h, w), student=(n, c, h // 2, w // 2))
    # a prediction is of the picture that the pipeline gives
    model.eval()(batch['inputs'], mode='tensor')
    assert seen['student'] == (n, c, h, w)
    # planned before the optimizer is built
    assert model.distiller.plans[0].alignment == 'bilinear to the teacher'


@pytest.mark.mmseg
def test_it_learns_labels_of_half_the_size_and_predicts_at_the_original_one():
    import adapt_toys
    from mmengine.registry import init_default_scope
    from mmseg.structures import SegDataSample

    init_default_scope('mmseg')
    links = toys.link('decode_head.conv_seg', 'KDLoss')
    networks = adapt_toys.segmentor(), adapt_toys.segmentor(width=16)
    model = toys.build(links, *networks, student_input=HALF)
    seen = []
    model.architecture.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(tuple(args[0].shape[2:]))
    )
    classes = model.architecture.decode_head.num_classes
    sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
    sample.gt_sem_seg = PixelData(data=torch.randint(classes, (1, 64, 96)))
    losses = model(torch.randn(2, 3, 64, 96), [sample, sample.clone()], mode='loss')
    assert losses['distill.loss_x'] > 0
    # the pipeline of a test makes the picture small, and says what it was
    meta = dict(img_shape=(32, 48), ori_shape=(64, 96), scale_factor=(0.5, 0.5))
    small = SegDataSample(metainfo=dict(meta, padding_size=[0] * 4))
    (found,) = model.eval()(torch.randn(1, 3, 32, 48), [small], mode='predict')
    assert found.pred_sem_seg.shape == (64, 96)
    assert seen == [(32, 48), (32, 48)]


@pytest.mark.mmdet
@pytest.mark.parametrize(
    ('name', 'large', 'small'),
    [
        ('camvid/rakd_fpn-r18-w32_fpn-r18-w8', (480, 360), (240, 180)),
        ('camvid/rakd-kd_fpn-r18-w32_fpn-r18-w8', (480, 360), (240, 180)),
        ('bccd/rakd_gfl-r18-w24_gfl-r18-w8', (640, 480), (320, 240)),
        ('cifar10/rakd_resnet56_resnet20', (32, 32), 16),
    ],
)
def test_a_config_tests_its_student_at_the_size_at_which_it_learned(name, large, small):
    pytest.importorskip('mmpretrain')
    root = Path(__file__).parents[2] / 'benchmarks/configs'
    config = Config.fromfile(root / f'{name}.py')
    assert config.model.student_input['scale'] * large[0] in np.atleast_1d(small)
    (step,) = (
        step
        for step in config.test_dataloader.dataset.pipeline
        if step['type'] == 'Resize'
    )
    assert step['scale'] == small
    steps = config.train_dataloader.dataset.pipeline
    resized = [step['scale'] for step in steps if 'Resize' in step['type']]
    assert resized in ([], [large])


def test_sides_that_do_not_divide_are_refused():
    model = toys.build(student_input=dict(scale=0.375))
    with pytest.raises(ShapeError, match=r'\(20, 64\).*3/8.*multiples of 8'):
        model(torch.zeros(2, 3, 20, 64), None, mode='loss')


@pytest.mark.parametrize(
    ('given', 'path', 'words'),
    [
        (dict(sclae=0.5), 'model.student_input.sclae', '`scale`'),
        (dict(scale=0), 'model.student_input', '>= 0.015625'),
        (dict(scale=2), 'model.student_input', '<= 1'),
        ({}, 'model.student_input', 'None'),
        (0.5, 'model.student_input', 'dict'),
    ],
)
def test_what_is_no_scale_is_told_with_its_path(given, path, words):
    with pytest.raises(ConfigError) as error:
        toys.build(student_input=given)
    (problem,) = error.value.problems
    assert problem.path == path
    assert words in str(problem)
