"""One training step of a student with its teachers."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from distill_toys import (
    LOGITS,
    TOY,
    build,
    calls_of,
    config,
    equal_states,
    link,
    losses_of,
    refused,
    toy_batch,
)
from mmengine.logging import MessageHub
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, TapError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

FEATURES = link('backbone', 'FitNetsLoss')
NORM = link('backbone.stages.0.norm', 'FitNetsLoss')
WITHOUT_STUDENT = dict(student_trainable=False, calculate_student_loss=False)


# ---- what a step returns ----------------------------------------------------------


def test_a_step_has_task_and_distillation_losses():
    losses = build()(**toy_batch(), mode='loss')
    task = {'student.loss_seg', 'student.loss_aux', 'student.acc'}
    assert set(losses) == {*task, 'distill.loss_x'}
    losses = build(calculate_student_loss=False)(**toy_batch(), mode='loss')
    assert set(losses) == {'distill.loss_x'}


def test_the_distillation_loss_is_that_of_the_two_outputs():
    algorithm, batch = build().eval(), toy_batch()
    loss = algorithm.distiller.distill_losses['loss_x']
    with torch.no_grad():
        models = algorithm.student, algorithm.teacher
        expected = loss(*(model(batch['inputs']) for model in models))
    assert torch.allclose(losses_of(algorithm, batch)['loss_x'], expected)
    assert expected > 0


def test_other_modes_are_the_plain_student():
    algorithm, batch = build().eval(), toy_batch()
    plain = algorithm.student(**batch, mode='tensor')
    assert torch.equal(algorithm(**batch, mode='tensor'), plain)
    assert len(algorithm(**batch, mode='predict')) == 2


def test_gradients_reach_the_student_only():
    algorithm = build()
    losses_of(algorithm)['loss_x'].backward()
    assert algorithm.student.backbone.stages[0].conv.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in algorithm.teacher.parameters())


def test_a_schedule_leaves_the_task_loss_out_for_a_while():
    first = {'loss_x': link('backbone', 'FitNetsLoss',
                            schedule=dict(type='constant', end=2))}
    algorithm = build(first, calculate_student_loss=dict(type='constant', begin=2))
    for step in range(3):
        algorithm.zero_grad()
        losses = algorithm(**toy_batch(), mode='loss')
        tasks = {name for name in losses if name.startswith('student.')}
        assert tasks == (set() if step < 2 else {
            'student.loss_seg', 'student.loss_aux', 'student.acc'})
        assert bool(losses['distill.loss_x'] > 0) is (step < 2)
        algorithm.parse_losses(losses)[0].backward()
        # without the task nothing is learned behind the tap
        head = algorithm.student.head.conv_seg.weight.grad
        assert (head is None) is (step < 2)


def test_a_schedule_weights_what_is_a_loss_of_the_task():
    whole = build()(**toy_batch(), mode='loss')
    half = build(calculate_student_loss=dict(type='constant', value=0.5))(
        **toy_batch(), mode='loss')
    for name in ('student.loss_seg', 'student.loss_aux'):
        torch.testing.assert_close(half[name], whole[name] / 2)
    for name in ('student.acc', 'distill.loss_x'):
        torch.testing.assert_close(half[name], whole[name])


def test_a_wrong_schedule_of_the_task_is_named():
    with pytest.raises(ConfigError) as caught:
        build(calculate_student_loss=dict(type='constant', begins=2))
    assert caught.value.problems[0].path == 'model.calculate_student_loss.begins'


def test_a_frozen_student_trains_connectors_only():
    algorithm = build(FEATURES, **WITHOUT_STUDENT)
    losses_of(algorithm)['loss_x'].backward()
    assert all(p.grad is None for p in algorithm.student.parameters())
    assert all(p.grad is not None for p in algorithm.distiller.parameters())


def test_a_student_that_no_link_taps_is_not_run():
    loss = dict(channels=12, widths=(4,), strides=(2,))
    one = link('backbone', student=dict(of='teacher', item=0), teacher=dict(item=0))
    one['loss'] = dict(type='mmkd_ext.KAReconstructionLoss', **loss)
    algorithm = build(one, **WITHOUT_STUDENT).train()
    before = copy.deepcopy(algorithm.student.state_dict())
    losses = losses_of(algorithm)
    # not even statistics of normalisation
    assert equal_states(before, algorithm.student.state_dict())
    # DDP waits for every parameter that asks for a gradient
    losses['loss_x'].backward()
    assert all(p.grad is not None for p in algorithm.parameters() if p.requires_grad)


# ---- the teacher ------------------------------------------------------------------


def test_the_teacher_is_fully_in_eval_and_frozen():
    algorithm = build(teacher=dict(type=TOY, dropout=0.5))
    assert algorithm.train() is algorithm
    assert algorithm.student.training
    assert not any(m.training for m in algorithm.teacher.modules())
    assert not any(p.requires_grad for p in algorithm.teacher.parameters())
    before = copy.deepcopy(algorithm.teacher.state_dict())
    algorithm.teacher.train()
    losses_of(algorithm)
    assert not algorithm.teacher.training
    assert equal_states(before, algorithm.teacher.state_dict())


def test_the_teacher_stops_after_its_last_tap():
    algorithm = build(FEATURES)
    calls = calls_of(algorithm.teacher.neck)
    losses_of(algorithm)
    assert not calls


def test_the_teacher_runs_its_losses_only_where_a_tap_needs_them():
    algorithm = build(link('aux_head', 'KDLoss'))
    assert algorithm.teachers['teacher'].mode == 'loss'
    assert losses_of(algorithm)['loss_x'] > 0
    assert build().teachers['teacher'].mode == 'tensor'


def test_the_teacher_follows_the_student_to_another_dtype():
    assert next(build().double().teacher.parameters()).dtype is torch.float64


# ---- what is saved, copied and kept -----------------------------------------------


def test_no_teacher_in_the_state_dict_and_mmrazors_is_left_out():
    algorithm = build(FEATURES)
    state, teacher = algorithm.state_dict(), algorithm.teacher
    assert {key.split('.')[0] for key in state} == {'architecture', 'distiller'}
    assert {*algorithm.parameters()}.isdisjoint(teacher.parameters())
    state.update({f'teacher.{k}': v for k, v in teacher.state_dict().items()})
    algorithm.load_state_dict(state, strict=True)


def test_a_copy_shares_the_teacher_and_still_distils():
    algorithm = build()
    twin = copy.deepcopy(algorithm)
    assert twin.teacher is algorithm.teacher
    assert twin.student is not algorithm.student
    assert equal_states(losses_of(twin), losses_of(algorithm))


def test_nothing_recorded_outlives_the_step():
    algorithm = build(FEATURES)
    alive = []
    algorithm.student.backbone.register_forward_hook(
        lambda _, __, out: alive.extend(weakref.ref(x) for x in out)
    )
    losses = algorithm(**toy_batch(), mode='loss')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    del losses
    gc.collect()
    assert len(alive) == 3
    assert all(ref() is None for ref in alive)


def test_taps_are_cleared_when_the_step_raises():
    algorithm = build(FEATURES)
    algorithm.student.head.conv.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        losses_of(algorithm)
    for recorder in algorithm.distiller.recorders.values():
        with pytest.raises(TapError):
            recorder.value(recorder.taps[0])
    assert 'forward' not in vars(algorithm.student.backbone)


def test_building_leaves_random_numbers_and_modes_alone():
    torch.manual_seed(0)
    student, teacher = ToyModel(), ToyModel()
    state = torch.random.get_rng_state()
    algorithm = MODELS.build(config(student=student, teacher=teacher))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(m.training for m in student.modules())
    assert algorithm.student is student
    assert int(student.backbone.stages[0].norm.num_batches_tracked) == 0


def test_the_student_starts_as_it_would_alone():
    torch.manual_seed(0)
    plain = ToyModel()
    drawn_after = torch.rand(1)
    algorithm = build(FEATURES)
    assert torch.equal(torch.rand(1), drawn_after)
    assert equal_states(plain.state_dict(), algorithm.student.state_dict())


# ---- weights and schedules --------------------------------------------------------


def test_a_schedule_scales_the_loss_and_is_kept_in_the_checkpoint():
    links = link(schedule=dict(type='linear', end=4, start=1.0, stop=0.0))
    algorithm = build(links).eval()
    values = [losses_of(algorithm)['loss_x'].item() for _ in range(6)]
    factors = (1, 0.75, 0.5, 0.25, 0, 0)
    assert values == pytest.approx([values[0] * f for f in factors])
    again, algorithm = build(links).eval(), build(links).eval()
    for _ in range(2):
        losses_of(algorithm)
    again.load_state_dict(algorithm.state_dict())
    assert losses_of(again)['loss_x'].item() == pytest.approx(values[2])


def test_the_position_of_the_runner_counts():
    schedule = dict(type='multistep', milestones=[3], gamma=0.0, by_epoch=True)
    algorithm = build(link(schedule=schedule))
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 100)
    hub.update_info('epoch', 2)
    assert losses_of(algorithm)['loss_x'] > 0
    hub.update_info('epoch', 3)
    assert losses_of(algorithm)['loss_x'] == 0


ZERO = dict(FEATURES, schedule=dict(type='constant', value=0.0))
UNWEIGHTED = dict(big=dict(model=dict(type=TOY, channels=12), weight=0.0))


@pytest.mark.parametrize(
    ('links', 'more'),
    [
        (ZERO, {}),
        (link('backbone', 'FitNetsLoss', of='big'), dict(teachers=UNWEIGHTED)),
        (FEATURES, dict(stopped=True)),  # as MMRazor's hook does it
    ],
)
def test_at_weight_zero_the_teacher_rests_and_parameters_are_touched(links, more):
    stopped = more.pop('stopped', False)
    algorithm = build(links, **more)
    algorithm.distillation_stopped = stopped
    calls = calls_of(algorithm.teacher.backbone)
    loss = losses_of(algorithm)['loss_x']
    assert loss == 0
    assert not calls
    loss.backward()
    parameters = list(algorithm.distiller.parameters())
    assert parameters
    assert all(p.grad is not None and not p.grad.any() for p in parameters)


def test_several_teachers_each_with_a_weight():
    teachers = dict(
        big=dict(model=dict(type=TOY, channels=16)),
        small=dict(model=dict(type=TOY), weight=0.5),
    )
    links = {'loss_a': link(of='big'), 'loss_b': link(of='small')}
    algorithm, batch = build(links, teachers=teachers).eval(), toy_batch()
    losses = losses_of(algorithm, batch)
    with torch.no_grad():
        full = algorithm.distiller.distill_losses['loss_b'](
            algorithm.student(batch['inputs']),
            algorithm.teachers['small'].module(batch['inputs']),
        )
    assert torch.allclose(losses['loss_b'], 0.5 * full)
    assert losses['loss_a'] > 0


# ---- alignment, in-place operations, numbers ---------------------------------------


def test_alignment_exists_before_the_optimizer():
    algorithm = build(link('neck', 'FitNetsLoss'))
    (plan,) = algorithm.distiller.plans
    assert plan.alignment.count('1x1 conv 8->12') == 3
    assert any('aligners' in name for name, _ in algorithm.named_parameters())


def test_in_place_activations_go_only_where_they_overwrite_a_tap():
    algorithm = build(NORM)
    assert not algorithm.student.backbone.stages[0].relu.inplace
    assert losses_of(algorithm)['loss_x'] > 0
    assert build().student.backbone.stages[0].relu.inplace
    assert not build(module_inplace=False).student.backbone.stages[0].relu.inplace
    teacher = build(teacher_module_inplace=False).teacher
    assert not teacher.backbone.stages[0].relu.inplace
    with pytest.raises(ConfigError, match='changed in place'):
        build(NORM, module_inplace=True)


def test_under_autocast_losses_are_float32_and_finite():
    algorithm = build({'loss_cwd': link(), 'loss_f': link('neck', 'FitNetsLoss')})
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(algorithm)
    for loss in losses.values():
        assert loss.dtype is torch.float32
        assert loss.isfinite()


# ---- weights from files -----------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    model = ToyModel(channels=12)
    path = tmp_path / 'teacher.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return str(path), model.state_dict()


@pytest.mark.parametrize('initialised', [True, False])
def test_the_teacher_is_filled_from_its_checkpoint(weights, initialised):
    algorithm = build(teacher_ckpt=weights[0])
    if initialised:
        algorithm.init_weights()
    else:
        losses_of(algorithm)
    assert equal_states(weights[1], algorithm.teacher.state_dict())
    assert algorithm.teachers['teacher'].report.share == 1.0


def test_the_student_is_filled_from_its_checkpoint(weights):
    algorithm = build(student=dict(type=TOY, channels=12), student_ckpt=weights[0])
    algorithm.init_weights()
    assert equal_states(weights[1], algorithm.student.state_dict())


def test_a_teacher_that_came_built_keeps_its_weights():
    teacher = ToyModel()
    before = copy.deepcopy(teacher.state_dict())
    build(teacher=teacher).init_weights()
    assert equal_states(before, teacher.state_dict())


def test_a_checkpoint_of_another_model_is_refused(weights):
    algorithm = build(teacher=dict(type=TOY, channels=5), teacher_ckpt=weights[0])
    with pytest.raises(CheckpointError, match='teacher'):
        algorithm.init_weights()


# ---- mistakes ---------------------------------------------------------------------


# one by one they are in `tests/config/test_distillation.py`, which takes this path
@pytest.mark.parametrize(
    ('given', 'path', 'word'),
    [
        (dict(links=link(mask=dict(of='student', at='neck'))), 'loss_x.mask', 'mask'),
        (dict(links=link('head.conv_sge')), 'preds_S.at', '`head.conv_seg`'),
        (dict(teachers=dict(student=dict(model=dict(type=TOY)))), 'teachers', 'called'),
        (dict(teacher_norm_eval=False), 'teacher_norm_eval', 'frozen'),
        (dict(teacher_ckpt='nowhere.pth'), 'model.teacher_ckpt', 'nowhere.pth'),
        (dict(teachers=UNWEIGHTED, teacher=ToyModel()), '', 'either'),
        (dict(distiller=dict(type='BYOTDistiller')), 'distiller.type', 'BYOT'),
    ],
)
def test_mistakes_are_named(given, path, word):
    model = config(**given)
    if 'teacher' in given:
        model['teacher'] = given['teacher']
    with pytest.raises(ConfigError) as error:
        MODELS.build(model)
    problem = error.value.problems[0]
    assert path in problem.path
    assert word in str(problem)


def test_all_problems_of_all_links_come_together():
    assert len(refused({'loss_x': link('nek'), 'loss_y': link('heat')})) == 4


def test_a_tap_that_is_silent_later_is_named():
    algorithm = build()
    algorithm.student.head.forward = lambda x: nn.functional.pad(x[:, :4], (0, 0))
    with pytest.raises(TapError, match=r'`head\.conv_seg` of `student`'):
        losses_of(algorithm)


# ---- MMRazor's keys ---------------------------------------------------------------


def test_mmrazors_keys_compute_the_same():
    recorders = dict(logits=dict(type='ModuleOutputs', source=LOGITS))
    mapping = {
        f'preds_{side}': dict(from_student=side == 'S', recorder='logits')
        for side in 'ST'
    }
    distiller = dict(
        type='ConfigurableDistiller',
        links=None,
        student_recorders=recorders,
        teacher_recorders=recorders,
        distill_losses=dict(loss_cwd=dict(type='ChannelWiseDivergence')),
        loss_forward_mappings=dict(loss_cwd=mapping),
    )
    theirs, ours = build(distiller=distiller).eval(), build().eval()
    torch.testing.assert_close(losses_of(theirs)['loss_cwd'], losses_of(ours)['loss_x'])


def test_a_recorder_that_is_not_about_modules_works():
    method = dict(type='MethodOutputs', source='mmkd_ext.testing.toy.ToyModel._logits')
    algorithm = build(link(loss='FitNetsLoss', student=dict(at=method)))
    assert losses_of(algorithm)['loss_x'] > 0
