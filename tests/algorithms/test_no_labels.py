"""Without a task loss, pictures need no labels and the student runs to its last tap."""

from __future__ import annotations

import cells
import distill_toys as toys
import pytest
import torch
from mmengine.optim import OptimWrapper

from mmkd_ext.errors import DataError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch


def build(student, teacher, at, calculate_student_loss=False):
    more = dict(calculate_student_loss=calculate_student_loss)
    return toys.build(toys.link(at), student, teacher, **more)


def trained(algorithm, inputs, samples, steps=12, lr=0.02):
    """Trains with the runner's own step; returns the losses on the way."""
    optimizer = torch.optim.Adam(
        [p for p in algorithm.parameters() if p.requires_grad], lr=lr
    )
    wrapper = OptimWrapper(optimizer)
    data = {'inputs': list(inputs), 'data_samples': samples}
    algorithm.train()
    return [
        float(algorithm.train_step(data, wrapper)['distill.loss_x'])
        for _ in range(steps)
    ]


def test_the_student_stops_after_its_last_tap():
    algorithm = build(ToyModel(), ToyModel(), 'neck').train()
    called = []
    algorithm.student.head_shared.register_forward_hook(lambda *_: called.append(1))
    losses = algorithm(**toy_batch(), mode='loss')
    assert set(losses) == {'distill.loss_x'}
    assert not called
    losses['distill.loss_x'].backward()
    assert algorithm.student.backbone.stages[0].conv.weight.grad.abs().sum() > 0


def test_the_distillation_loss_is_the_one_beside_a_task_loss():
    torch.manual_seed(0)
    student, teacher = ToyModel(), ToyModel()
    batch = toy_batch()
    losses = [
        build(student, teacher, 'head.conv_seg', task).eval()(**batch, mode='loss')
        for task in (False, True)
    ]
    assert torch.equal(*(one['distill.loss_x'] for one in losses))


class Careful(ToyModel):
    """Needs labels in mode='loss', as the models of mmseg and mmdet do."""

    def _targets(self, inputs, data_samples):
        if data_samples is None:  # the dry run's
            return super()._targets(inputs, data_samples)
        return torch.cat([sample.gt_sem_seg.data for sample in data_samples])


@pytest.mark.parametrize('owner', ['student', 'teacher'])
def test_a_tap_that_needs_the_task_loss_says_that_it_needs_labels(owner):
    # auxiliary heads are called in mode='loss' only
    algorithm = build(Careful(), Careful(), 'aux_head').train()
    if owner == 'student':
        algorithm.teacher.__class__ = Careless
    batch = toy_batch()
    for sample in batch['data_samples']:
        del sample.gt_sem_seg
    with pytest.raises(DataError) as error:
        algorithm(**batch, mode='loss')
    assert "mode='loss'" in str(error.value)
    assert f"['aux_head'] of `{owner}`" in str(error.value)


class Careless(ToyModel):
    def _targets(self, inputs, data_samples):
        return super()._targets(inputs, None)


@pytest.mark.mmseg
def test_a_segmentor_learns_from_pictures_without_labels():
    structures = pytest.importorskip('mmseg.structures')

    def model(width):
        norm = dict(type='BN')
        head = dict(channels=8, num_classes=3, norm_cfg=norm, num_convs=1)
        return MODELS.build(
            dict(
                type='mmseg.EncoderDecoder',
                data_preprocessor=dict(type='mmseg.SegDataPreProcessor', size=(32, 32)),
                backbone=dict(
                    type='mmseg.ResNetV1c', depth=18, base_channels=width,
                    stem_channels=width, norm_cfg=norm, num_stages=2, strides=(1, 2),
                    dilations=(1, 1), out_indices=(0, 1),
                ),
                decode_head=dict(
                    type='mmseg.FCNHead', in_channels=2 * width, in_index=1, **head
                ),
                auxiliary_head=dict(
                    type='mmseg.FCNHead', in_channels=width, in_index=0, **head
                ),
                test_cfg=dict(mode='whole'),
            )
        )  # fmt: skip

    torch.manual_seed(0)
    algorithm = build(model(8), model(16), 'decode_head.conv_seg')
    shape = dict(img_shape=(32, 32), ori_shape=(32, 32), pad_shape=(32, 32))
    samples = [structures.SegDataSample(metainfo=shape) for _ in range(2)]
    losses = trained(algorithm, torch.randn(2, 3, 32, 32), samples)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.mmdet
def test_a_detector_learns_from_pictures_without_boxes():
    structures = pytest.importorskip('mmdet.structures')
    tool = cells.Runner('mmdet')
    with tool.quiet():
        family = tool.families['GFL']
        torch.manual_seed(0)
        student, teacher = (
            tool.model_of(family, who) for who in ('student', 'teacher')
        )
        algorithm = build(student, teacher, 'neck')
        shape = dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0))
        samples = [structures.DetDataSample(metainfo=shape) for _ in range(2)]
        pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
        losses = trained(algorithm, pictures, samples, lr=0.005)
    assert losses[-1] < 0.7 * losses[0]


def test_a_model_without_labels_runs_as_the_dry_run_found():
    assert build(ToyModel(), ToyModel(), 'neck').student_mode == 'tensor'
    assert build(ToyModel(), ToyModel(), 'aux_head').student_mode == 'loss'
