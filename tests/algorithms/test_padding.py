"""A teacher whose pictures are padded to more than the student's sees them so."""

from __future__ import annotations

import cells
import pytest
import torch
from distill_toys import build, link
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import nn

from mmkd_ext.algorithms.preprocess import pad_batch, padding_divisor
from mmkd_ext.testing.toy import ToyModel

STUDENT = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TEACHER = dict(mean=[100.0, 90.0, 80.0], std=[1.0, 2.0, 3.0], pad_value=7)


def toy(divisor, **statistics):
    model = ToyModel()
    model.data_preprocessor = ImgDataPreprocessor(
        pad_size_divisor=divisor, **statistics
    )
    return model


def inputs_of(module):
    seen = []
    module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    return seen


def test_a_batch_is_padded_to_multiples_and_its_samples_say_so():
    inputs = torch.ones(2, 3, 5, 8)
    shape = dict(img_shape=(5, 8), batch_input_shape=(5, 8))
    samples = [BaseDataElement(metainfo=shape) for _ in range(2)]
    padded, theirs = pad_batch(inputs, samples, 4, 7.0)
    assert padded.shape == (2, 3, 8, 8)
    assert (padded[:, :, :5] == 1).all()
    assert (padded[:, :, 5:] == 7).all()
    assert theirs[0].batch_input_shape == (8, 8)
    assert theirs[0].img_shape == (5, 8)
    # the student's stay as they are
    assert samples[0].batch_input_shape == (5, 8)


def test_what_fits_already_is_not_touched():
    inputs, samples = torch.ones(2, 3, 4, 8), [BaseDataElement()]
    assert pad_batch(inputs, samples, 4, 0.0) == (inputs, samples)


@pytest.mark.parametrize(
    ('model', 'divisor'), [(toy(1), 1), (toy(32), 32), (torch.nn.Identity(), 1)]
)
def test_reads_what_a_model_pads_to(model, divisor):
    assert padding_divisor(model) == divisor


def test_the_teacher_sees_what_its_own_preprocessor_makes():
    torch.manual_seed(0)
    student, teacher = toy(1, **STUDENT), toy(8, **TEACHER)
    algorithm = build(link('neck', 'FitNetsLoss'), student, teacher)
    images = [torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8) for _ in range(2)]
    batch = student.data_preprocessor({'inputs': images})['inputs']
    expected = teacher.data_preprocessor({'inputs': images})['inputs']
    seen = inputs_of(teacher.backbone)
    algorithm(batch, None, mode='loss')
    assert seen[-1].shape == (2, 3, 24, 32)
    assert torch.allclose(seen[-1], expected, atol=1e-4)


def test_maps_are_compared_at_the_same_places():
    """Stride 2, 4 and 8 of a picture of 20 x 30: nothing of the padding is left."""
    torch.manual_seed(0)
    algorithm = build(link('neck', 'FitNetsLoss'), toy(1), toy(8)).eval()
    inputs = torch.randn(2, 3, 20, 30)
    recorder = algorithm.distiller.recorders['teacher']
    algorithm.teachers['teacher'].run(recorder, inputs, None)
    maps = recorder.value(recorder.taps[0])
    padded = torch.nn.functional.pad(inputs, (0, 2, 0, 4))
    whole = algorithm.teacher.neck(algorithm.teacher.backbone(padded))
    for level, full in zip(maps, whole):
        height, width = level.shape[2:]
        assert torch.equal(level, full[:, :, :height, :width])
    assert [tuple(level.shape[2:]) for level in maps] == [(10, 15), (5, 8), (3, 4)]
    students = algorithm.student.neck(algorithm.student.backbone(inputs))
    assert [level.shape for level in students] == [level.shape for level in maps]


UNCHANGED = dict(model=toy(8, **TEACHER), preprocess=False)


@pytest.mark.parametrize(
    ('student', 'teacher', 'size'),
    [
        (toy(32), dict(teacher=toy(8)), (32, 32)),  # the student pads enough
        (
            toy(1, **STUDENT),
            dict(teachers=dict(teacher=UNCHANGED)),
            (20, 30),
        ),
    ],
)
def test_the_teacher_sees_the_students_batch(student, teacher, size):
    algorithm = build(link('neck', 'FitNetsLoss'), student, **teacher)
    inputs = torch.randn(2, 3, *size)
    seen = inputs_of(algorithm.teacher.backbone)
    algorithm(inputs, None, mode='loss')
    assert seen[-1] is inputs


@pytest.mark.mmdet
def test_rtmdet_teaches_a_detector_that_does_not_pad():
    """Its neck needs multiples of 32, and the picture has 100 x 150."""
    pytest.importorskip('mmdet')
    tool = cells.Runner('mmdet')
    with tool.quiet():
        student = tool.model_of(tool.families['RetinaNet'], 'student')
        student.data_preprocessor.pad_size_divisor = 1
        teacher = tool.model_of(tool.families['RTMDet (CSPNeXt)'], 'teacher')
        levels = dict(item=[0, 1, 2])
        links = link('neck', student=levels, teacher=levels)
        algorithm = build(links, student, teacher)
        batch = cells.detection_batch(nn.Module())
        batch['inputs'] = batch['inputs'].repeat(1, 1, 1, 2)[:, :, :100, :150]
        for sample in batch['data_samples']:
            shape = dict.fromkeys(('img_shape', 'pad_shape', 'batch_input_shape'))
            sample.set_metainfo(dict.fromkeys(shape, (100, 150)))
        losses = algorithm.train()(**batch, mode='loss')
    assert losses['distill.loss_x'] > 0
    assert losses['distill.loss_x'].isfinite()
