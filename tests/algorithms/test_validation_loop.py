"""MMRazor's loop that validates the teacher too, with the teacher's own input."""

from __future__ import annotations

import distill_toys as toys
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import mmkd_ext.razor  # noqa: F401  applies what mmrazor needs before it is imported
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

pytest.importorskip('mmrazor.engine')

STUDENT = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TEACHER = dict(mean=[10.0, 90.0, 30.0], std=[7.0, 80.0, 20.0], bgr_to_rgb=True)


def loader():
    return dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='mmkd_ext.ToyDataset', length=4, scale=255.0),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )


def runner_of(folder, model, loop='ValLoop', **more):
    return Runner.from_cfg(
        Config(
            dict(
                work_dir=str(folder),
                experiment_name=folder.name,
                log_level='ERROR',
                model=model,
                val_cfg=dict(type=loop),
                val_dataloader=loader(),
                val_evaluator=dict(type='mmkd_ext.ToyAccuracy'),
                **more,
            )
        )
    )


@pytest.fixture
def teacher(tmp_path):
    """The file of a teacher, and what it scores alone with its own input."""
    torch.manual_seed(5)
    model = ToyModel(classes=4, channels=12, **TEACHER)
    path = str(tmp_path / 'teacher.pth')
    torch.save({'state_dict': model.state_dict()}, path)
    config = dict(type='mmkd_ext.ToyModel', channels=12, **TEACHER)
    return path, runner_of(tmp_path / 'alone', config, load_from=path).val()['toy/acc']


def distillation(teacher_ckpt):
    models = [
        dict(type=toys.TOY, **STUDENT),
        dict(type=toys.TOY, channels=12, **TEACHER),
    ]
    return toys.config(None, *models, teacher_ckpt=teacher_ckpt)


def test_the_teacher_scores_as_it_does_alone(tmp_path, teacher):
    path, alone = teacher
    loop = 'mmrazor.SingleTeacherDistillValLoop'
    runner = runner_of(tmp_path / 'both', distillation(path), loop)
    runner.val()
    score = runner.message_hub.get_scalar('val/teacher.toy/acc').current()
    assert score == alone
    # the student keeps its own
    assert runner.model.data_preprocessor is runner.model.student.data_preprocessor
    assert runner.model.data_preprocessor.mean.flatten().tolist() == STUDENT['mean']


def test_a_replaced_preprocessor_is_taken_back_with_every_change_of_mode():
    algorithm = MODELS.build(distillation(None))
    own = algorithm.teacher.data_preprocessor
    algorithm.teacher.data_preprocessor = algorithm.data_preprocessor
    assert algorithm.eval().teacher.data_preprocessor is own


def test_a_teacher_without_statistics_takes_what_it_is_given():
    model = distillation(None)
    model['teacher'] = ToyModel(channels=12)
    model['teacher'].data_preprocessor = torch.nn.Identity()
    algorithm = MODELS.build(model)
    algorithm.teacher.data_preprocessor = algorithm.data_preprocessor
    assert algorithm.eval().teacher.data_preprocessor is algorithm.data_preprocessor
