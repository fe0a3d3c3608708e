"""A teacher whose pictures are padded to more than the student's sees them so."""

from __future__ import annotations

import cells
import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import nn

from mmkd_ext.algorithms.preprocess import pad_batch, padding_divisor
from mmkd_ext.distillers.taps import _Record
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

STUDENT = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TEACHER = dict(mean=[100.0, 90.0, 80.0], std=[1.0, 2.0, 3.0], pad_value=7)


def toy(divisor, **statistics):
    model = ToyModel()
    model.data_preprocessor = ImgDataPreprocessor(
        pad_size_divisor=divisor, **statistics
    )
    return model


def build(student, teacher, at='neck', loss='FitNetsLoss', **more):
    return MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=student,
            teacher=teacher,
            distiller=dict(
                type='mmkd_ext.LinkDistiller',
                links=dict(
                    loss_x=dict(
                        loss=dict(type=f'mmkd_ext.{loss}'),
                        preds_S=dict(of='student', at=at),
                        preds_T=dict(of='teacher', at=at),
                    )
                ),
            ),
            **more,
        )
    )


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
    algorithm = build(student, teacher)
    images = [torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8) for _ in range(2)]
    batch = student.data_preprocessor({'inputs': images})['inputs']
    expected = teacher.data_preprocessor({'inputs': images})['inputs']
    seen = []
    teacher.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    algorithm(batch, None, mode='loss')
    assert seen[-1].shape == (2, 3, 24, 32)
    assert torch.allclose(seen[-1], expected, atol=1e-4)


def test_maps_are_compared_at_the_same_places():
    """Stride 2, 4 and 8 of a picture of 20 x 30: nothing of the padding is left."""
    torch.manual_seed(0)
    algorithm = build(toy(1), toy(8)).eval()
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


def test_values_that_are_no_maps_stay_whole():
    at = dict(type='ModuleInputs', source='head.conv_seg')
    algorithm = build(toy(1), toy(8), at=at)
    recorder = algorithm.distiller.recorders['teacher']
    rows = (torch.zeros(2, 5), torch.zeros(7, 3, 4, 4), torch.zeros(2, 3, 7, 7), 'x')
    recorder._records = {recorder.taps[0].source: [_Record(rows, [], [])]}
    recorder.crop((32, 32), (20, 30), 2)
    ((kept, *_),) = recorder._records[recorder.taps[0].source]
    assert [one.shape for one in kept[:3]] == [one.shape for one in rows[:3]]


def test_a_student_that_pads_enough_costs_the_teacher_nothing():
    algorithm = build(toy(32), toy(8))
    inputs = torch.randn(2, 3, 32, 32)
    seen = []
    algorithm.teacher.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    algorithm(inputs, None, mode='loss')
    assert seen[-1] is inputs


def test_a_teacher_can_be_fed_the_students_batch():
    model = dict(model=toy(8, **TEACHER), preprocess=False)
    algorithm = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=toy(1, **STUDENT),
            teachers=dict(big=model),
            distiller=dict(
                type='mmkd_ext.LinkDistiller',
                links=dict(
                    loss_x=dict(
                        loss=dict(type='mmkd_ext.CWDLoss'),
                        preds_S=dict(of='student', at='neck'),
                        preds_T=dict(of='big', at='neck'),
                    )
                ),
            ),
        )
    )
    inputs = torch.randn(2, 3, 20, 30)
    seen = []
    algorithm.teacher.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
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
        tap = dict(at='neck', item=[0, 1, 2])
        algorithm = MODELS.build(
            dict(
                type='mmkd_ext.TeacherDistill',
                architecture=student,
                teacher=tool.model_of(tool.families['RTMDet (CSPNeXt)'], 'teacher'),
                distiller=dict(
                    type='mmkd_ext.LinkDistiller',
                    links=dict(
                        loss_x=dict(
                            loss=dict(type='mmkd_ext.CWDLoss'),
                            preds_S=dict(of='student', **tap),
                            preds_T=dict(of='teacher', **tap),
                        )
                    ),
                ),
            )
        )
        batch = cells.detection_batch(nn.Module())
        batch['inputs'] = batch['inputs'].repeat(1, 1, 1, 2)[:, :, :100, :150]
        for sample in batch['data_samples']:
            shape = dict.fromkeys(('img_shape', 'pad_shape', 'batch_input_shape'))
            sample.set_metainfo(dict.fromkeys(shape, (100, 150)))
        losses = algorithm.train()(**batch, mode='loss')
    assert losses['distill.loss_x'] > 0
    assert losses['distill.loss_x'].isfinite()
