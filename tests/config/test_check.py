"""The check as a whole: what it looks at, and what it leaves as it was."""

from __future__ import annotations

import copy
import gc
import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

from mmkd_ext.config.check import check_before_training, check_config, list_taps
from mmkd_ext.config.context import CHECKERS, checks
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

TOY = {'type': 'mmkd_ext.ToyModel', 'channels': 4}


def plain(**config):
    return Config({'default_scope': 'mmkd_ext', 'model': dict(TOY), **config})


# ---- kinds of models --------------------------------------------------------------


def test_a_plain_model_passes_and_is_counted():
    report = check_config(plain())
    assert report.ok
    (model,) = report.models
    assert (model.role, model.kind, model.parameters) == ('model', 'ToyModel', 688)
    assert report.links == report.terms == []


def test_a_plain_config_is_checked_for_keys_files_and_types_too(training):
    cfg = plain(
        lr_config={},
        load_from='gone.pth',
        custom_hooks=[{'type': 'No.Hook'}],
        **training({'train_dataloader.dataset.data_root': 'no/where'}),
    )
    cfg.model.chanels = 3
    root = 'train_dataloader.dataset.data_root'
    hook = 'custom_hooks[0].type'
    expected = ['lr_config', 'load_from', root, root, hook, 'model.chanels']
    assert [problem.path for problem in check_config(cfg).problems] == expected


def test_data_sets_need_not_be_looked_for(training):
    data = {'type': BaseDataset, 'data_root': 'no/where', 'ann_file': 'no.json'}
    cfg = plain(**training({'train_dataloader.dataset': data}))
    assert check_config(cfg, data=False).ok
    (problem,) = check_config(cfg).problems
    assert problem.path == 'train_dataloader.dataset.data_root'


@pytest.mark.parametrize('model', [None, 'a word', {'channels': 3}])
def test_a_config_without_a_model_is_a_problem(model):
    (problem,) = check_config(plain(model=model)).problems
    assert problem.path == 'model'
    assert '`type`' in problem.found


def test_an_unknown_model_is_a_problem():
    (problem,) = check_config(plain(model={'type': 'mmkd_ext.ToyModle'})).problems
    assert problem.path == 'model.type'
    assert '`mmkd_ext.ToyModel`' in problem.hint


def test_a_preprocessor_beside_a_plain_model_counts():
    processor = {'type': 'BaseDataPreprocessor', 'non_blcking': True}
    found = check_config(plain(data_preprocessor=processor)).problems
    # the toy takes none, and this one is wrong besides
    assert [problem.path for problem in found] == [
        'model.data_preprocessor',
        'model.data_preprocessor.non_blcking',
    ]


def test_mmrazors_algorithm_is_noted():
    recorder = {'type': 'ModuleOutputs', 'source': 'neck'}
    distiller = {'type': 'mmrazor.ConfigurableDistiller',
                 'student_recorders': {'n': recorder}}
    model = {'type': 'mmrazor.SingleTeacherDistill', 'architecture': TOY,
             'teacher': TOY, 'distiller': distiller}
    report = check_config(plain(model=model))
    assert 'mmkd_ext.TeacherDistill' in report.notes[0].hint


def test_other_projects_can_register_the_check_of_their_models(monkeypatch):
    monkeypatch.setattr('mmkd_ext.config.context.CHECKERS', CHECKERS)

    @MODELS.register_module()
    class CheckedBase(ToyModel):
        pass

    @MODELS.register_module()
    class CheckedChild(CheckedBase):
        pass

    @checks('CheckedBase')
    def check_it(context):
        context.report.warn('model', f'{context.cfg.model.type} was seen')

    try:
        report = check_config(plain(model={'type': 'mmkd_ext.CheckedChild'}))
    finally:
        del CHECKERS['CheckedBase']
    assert str(report.warnings[0]) == '`model`: mmkd_ext.CheckedChild was seen'


def test_a_name_that_disagrees_is_a_warning(tmp_path):
    folder = tmp_path / 'configs' / 'distill' / 'mmseg' / 'cwd'
    folder.mkdir(parents=True)
    file = folder / 'cwd_a_b_4xb2-80k_camvid.py'
    file.write_text(f'model = {TOY!r}\ntrain_cfg = dict(max_iters=7)\n')
    (warning,) = check_config(Config.fromfile(file)).warnings
    assert warning.path == 'train_cfg.max_iters'


# ---- before training --------------------------------------------------------------


def test_before_training_all_problems_are_raised_together():
    cfg = plain(lr_config={}, load_from='gone.pth')
    with pytest.raises(ConfigError, match=r'2 problem\(s\)') as error:
        check_before_training(cfg)
    paths = [problem.path for problem in error.value.problems]
    assert paths == ['lr_config', 'load_from']


def test_before_training_warnings_are_printed_and_training_goes_on(
    capsys, distillation
):
    report = check_before_training(distillation())
    assert report.ok
    assert 'config check: `model.teacher_ckpt`' in capsys.readouterr().out
    assert {term.gradient for term in report.terms} == {None}


@pytest.mark.parametrize(('processes', 'gpus'), [('4', 4), (None, 1)])
def test_before_training_the_number_of_processes_is_known(processes, gpus, monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    if processes:
        monkeypatch.setenv('WORLD_SIZE', processes)
    assert check_before_training(plain()).training.gpus == gpus


# ---- what stays as it was ---------------------------------------------------------


def state():
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    )


def test_random_numbers_stay_as_they_were(monkeypatch, distillation):
    def fail(context):
        torch.rand(1), np.random.rand(), random.random()
        raise RuntimeError('what nobody expected')

    before = state()
    check_config(distillation())
    assert state() == before
    monkeypatch.setitem(CHECKERS, 'TeacherDistill', fail)
    with pytest.raises(RuntimeError, match='nobody expected'):
        check_config(distillation())
    assert state() == before
    assert 'mmkd_ext.config.check.logger' not in MMLogger._instance_dict


def test_two_checks_measure_the_same(distillation):
    first = check_config(distillation()).terms
    torch.rand(1)
    assert check_config(distillation()).terms == first


def test_mmengines_global_state_stays_as_it_was(distillation):
    def instances():
        return [
            list(cls._instance_dict) for cls in (MMLogger, MessageHub, DefaultScope)
        ]

    before = instances()
    check_config(distillation(default_scope='mmseg'))
    assert instances() == before
    assert 'mmkd_ext.config.check' not in str(before)


def test_the_config_stays_as_it_was(distillation):
    cfg = distillation(data_preprocessor={'type': 'BaseDataPreprocessor'})
    before = copy.deepcopy(cfg.to_dict())
    check_config(cfg)
    assert cfg.to_dict() == before


def test_a_built_model_in_the_config_stays_as_it_was(distillation):
    student, teacher = ToyModel(4), ToyModel(8)
    cfg = distillation()
    cfg.model.architecture, cfg.model.teacher = student, teacher
    before = copy.deepcopy(student.state_dict())
    assert check_config(cfg).ok
    after = student.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in after)
    assert student.training
    assert teacher.training
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_no_model_is_left_in_memory(distillation):
    def count():
        return sum(type(one) is ToyModel for one in gc.get_objects())

    gc.collect()
    before = count()
    check_before_training(distillation())
    assert count() == before


# ---- what could be tapped ---------------------------------------------------------


def named(modules):
    return {module.name: module for module in modules}


def test_lists_what_is_called_with_shapes_and_calls(distillation):
    modules = named(list_taps(distillation(), 'student'))
    assert 'backbone.stages' not in modules  # a container is never called
    shared = modules['head_shared']
    assert (shared.kind, shared.output) == ('Conv2d', 'Tensor(1, 4, 64, 64)')
    assert shared.calls == 3
    assert modules['aux_head'].mode == 'loss'
    assert modules['head.conv_seg'].mode == ''


def test_lists_the_taps_of_any_teacher(distillation):
    teachers = {'kd': {'model': {'type': 'mmkd_ext.ToyModel', 'channels': 6}}}
    cfg = distillation({'model.teacher': None, 'model.teachers': teachers})
    assert named(list_taps(cfg, 'kd'))['head_shared'].output == 'Tensor(1, 6, 64, 64)'
    assert list_taps(distillation(), 'teacher')


def test_a_plain_model_is_the_student():
    assert named(list_taps(plain(), 'student'))['neck'].kind == '_Neck'


@pytest.mark.parametrize('model', [TOY, None])
def test_says_which_models_there_are(model):
    with pytest.raises(ConfigError, match="no model 'techer'"):
        list_taps(plain(model=model), 'techer')


def test_a_model_that_cannot_be_built_has_no_taps():
    with pytest.raises(ConfigError, match='ToyModle'):
        list_taps(plain(model={'type': 'mmkd_ext.ToyModle'}), 'student')


def test_a_model_that_fails_in_one_mode_is_listed_for_the_other(monkeypatch):
    monkeypatch.setattr(ToyModel, '_targets', lambda *args: 1 / 0)
    modules = named(list_taps(plain(), 'student'))
    assert 'aux_head' not in modules
    assert 'head.conv_seg' in modules


def test_a_model_that_fails_in_every_mode_is_an_error(monkeypatch):
    monkeypatch.setattr(ToyModel, '_logits', lambda *args: 1 / 0)
    with pytest.raises(ConfigError, match='fails on a blank image: ZeroDivisionError'):
        list_taps(plain(), 'student')
