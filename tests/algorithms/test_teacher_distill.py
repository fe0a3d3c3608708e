"""One training step of a student with its teachers."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, TapError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch

LOGITS = 'head.conv_seg'


@pytest.fixture(autouse=True)
def _no_runner():
    """Positions of other tests' runners must not leak into schedules."""
    MessageHub.get_current_instance().runtime_info.clear()


def link(at=LOGITS, loss='CWDLoss', of='teacher', **more):
    return dict(
        loss=dict(type=f'mmkd_ext.{loss}'),
        preds_S=dict(of='student', at=at),
        preds_T=dict(of=of, at=at),
        **more,
    )


def build(links=None, teacher=None, **more):
    torch.manual_seed(0)
    config = dict(
        type='mmkd_ext.TeacherDistill',
        architecture=more.pop('architecture', dict(type='mmkd_ext.ToyModel')),
        distiller=dict(
            type='mmkd_ext.LinkDistiller', links=links or {'loss_cwd': link()}
        ),
        **more,
    )
    if 'teachers' not in more:
        config['teacher'] = teacher or dict(type='mmkd_ext.ToyModel', channels=12)
    return MODELS.build(config)


def problem(**config):
    with pytest.raises(ConfigError) as error:
        build(**config)
    return str(error.value)


# ---- what a step returns ----------------------------------------------------------


def test_a_step_has_task_and_distillation_losses():
    losses = build()(**toy_batch(), mode='loss')
    assert set(losses) == {
        'student.loss_seg',
        'student.loss_aux',
        'student.acc',
        'distill.loss_cwd',
    }


def test_the_distillation_loss_is_that_of_the_two_outputs():
    algorithm = build().eval()
    batch = toy_batch()
    got = algorithm(**batch, mode='loss')['distill.loss_cwd']
    loss = algorithm.distiller.distill_losses['loss_cwd']
    with torch.no_grad():
        expected = loss(
            algorithm.student(batch['inputs']), algorithm.teacher(batch['inputs'])
        )
    assert torch.allclose(got, expected)
    assert got > 0


def test_other_modes_are_the_plain_student():
    algorithm = build().eval()
    batch = toy_batch()
    assert torch.equal(
        algorithm(**batch, mode='tensor'), algorithm.student(**batch, mode='tensor')
    )
    assert len(algorithm(**batch, mode='predict')) == 2


def test_gradients_reach_the_student_only():
    algorithm = build()
    algorithm(**toy_batch(), mode='loss')['distill.loss_cwd'].backward()
    assert algorithm.student.backbone.stages[0].conv.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in algorithm.teacher.parameters())


def test_the_task_loss_can_be_left_out():
    losses = build(calculate_student_loss=False)(**toy_batch(), mode='loss')
    assert set(losses) == {'distill.loss_cwd'}


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
    for name in ('student.acc', 'distill.loss_cwd'):
        torch.testing.assert_close(half[name], whole[name])


def test_a_wrong_schedule_of_the_task_is_named():
    found = problem(calculate_student_loss=dict(type='constant', begins=2))
    assert '`model.calculate_student_loss.begins`' in found


def test_a_frozen_student_trains_connectors_only():
    algorithm = build(
        {'loss_x': link('backbone', 'FitNetsLoss')},
        student_trainable=False,
        calculate_student_loss=False,
    )
    sum(algorithm(**toy_batch(), mode='loss').values()).backward()
    assert all(p.grad is None for p in algorithm.student.parameters())
    assert all(p.grad is not None for p in algorithm.distiller.parameters())


def test_a_student_that_nobody_asks_is_not_run():
    side = dict(of='teacher', at='backbone', item=0)
    loss = dict(
        type='mmkd_ext.KAReconstructionLoss', channels=12, widths=(4,), strides=(2,)
    )
    algorithm = build(
        {'loss_x': dict(loss=loss, preds_S=side, preds_T=side)},
        student_trainable=False,
        calculate_student_loss=False,
    ).train()
    before = copy.deepcopy(algorithm.student.state_dict())
    losses = algorithm(**toy_batch(), mode='loss')
    assert set(losses) == {'distill.loss_x'}
    # not even statistics of normalisation
    for name, value in algorithm.student.state_dict().items():
        assert torch.equal(value, before[name])
    # DDP waits for every parameter that asks for a gradient
    losses['distill.loss_x'].backward()
    assert all(p.grad is not None for p in algorithm.parameters() if p.requires_grad)


# ---- the teacher ------------------------------------------------------------------


def test_the_teacher_is_fully_in_eval_and_frozen():
    algorithm = build(teacher=dict(type='mmkd_ext.ToyModel', dropout=0.5)).train()
    assert algorithm.student.training
    assert not any(m.training for m in algorithm.teacher.modules())
    assert not any(p.requires_grad for p in algorithm.teacher.parameters())
    batch = toy_batch()
    recorder = algorithm.distiller.recorders['teacher']
    tap = algorithm.distiller.links[0].taps['preds_T']
    seen = []
    for _ in range(2):
        algorithm.teachers['teacher'].run(recorder, **batch)
        seen.append(recorder.value(tap))
    assert torch.equal(*seen)


def test_the_teacher_goes_back_to_eval_by_itself():
    algorithm = build()
    algorithm.teacher.train()
    algorithm(**toy_batch(), mode='loss')
    assert not algorithm.teacher.training


def test_teacher_statistics_do_not_move():
    algorithm = build().train()
    before = copy.deepcopy(algorithm.teacher.state_dict())
    algorithm(**toy_batch(), mode='loss')
    after = algorithm.teacher.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_train_returns_the_algorithm():
    algorithm = build()
    assert algorithm.train() is algorithm


def test_the_teacher_stops_after_its_last_tap():
    algorithm = build({'loss_x': link('backbone', 'FitNetsLoss')})
    called = []
    algorithm.teacher.neck.register_forward_hook(lambda *_: called.append(1))
    algorithm(**toy_batch(), mode='loss')
    assert not called


def test_the_teacher_runs_its_losses_only_where_a_tap_needs_them():
    algorithm = build({'loss_x': link('aux_head', 'KDLoss')})
    assert algorithm.teachers['teacher'].mode == 'loss'
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0
    assert build().teachers['teacher'].mode == 'tensor'


def test_the_teacher_sees_its_own_normalisation():
    mine = dict(mean=[10.0, 20.0, 30.0], std=[2.0, 2.0, 2.0])
    other = dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    algorithm = build(
        architecture=dict(type='mmkd_ext.ToyModel', **mine),
        teacher=dict(type='mmkd_ext.ToyModel', **other),
    )
    seen = []
    algorithm.teacher.backbone.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    batch = toy_batch()
    algorithm(**batch, mode='loss')
    mean = torch.tensor(mine['mean']).view(1, 3, 1, 1)
    assert torch.allclose(seen[0], batch['inputs'] * 2 + mean, atol=1e-5)


def test_the_teacher_follows_the_student_to_another_dtype():
    algorithm = build().double()
    assert next(algorithm.teacher.parameters()).dtype is torch.float64


# ---- what is saved, copied and kept -----------------------------------------------


def test_no_teacher_in_the_state_dict():
    algorithm = build({'loss_x': link('backbone', 'FitNetsLoss')})
    prefixes = {key.split('.')[0] for key in algorithm.state_dict()}
    assert prefixes == {'architecture', 'distiller'}
    assert not any(
        p is q for p in algorithm.parameters() for q in algorithm.teacher.parameters()
    )


def test_a_checkpoint_of_mmrazor_with_a_teacher_loads_strictly():
    algorithm = build()
    state = algorithm.state_dict()
    state.update({f'teacher.{k}': v for k, v in algorithm.teacher.state_dict().items()})
    algorithm.load_state_dict(state, strict=True)


def test_a_copy_shares_the_teacher_and_still_distils():
    algorithm = build()
    twin = copy.deepcopy(algorithm)
    assert twin.teacher is algorithm.teacher
    assert twin.student is not algorithm.student
    batch = toy_batch()
    assert torch.equal(
        twin(**batch, mode='loss')['distill.loss_cwd'],
        algorithm(**batch, mode='loss')['distill.loss_cwd'],
    )


def test_nothing_recorded_outlives_the_step():
    algorithm = build({'loss_x': link('backbone', 'FitNetsLoss')})
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


def test_taps_are_released_when_the_step_raises():
    algorithm = build({'loss_x': link('backbone', 'FitNetsLoss')})
    algorithm.student.head.register_forward_pre_hook(lambda *_: 1 / 0)
    algorithm.student.head.conv.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        algorithm(**toy_batch(), mode='loss')
    for recorder in algorithm.distiller.recorders.values():
        with pytest.raises(TapError):
            recorder.value(recorder.taps[0])
    assert 'forward' not in vars(algorithm.student.backbone)


def test_building_leaves_random_numbers_and_modes_alone():
    torch.manual_seed(0)
    student, teacher = ToyModel(), ToyModel()
    links = {'loss_cwd': link()}
    state = torch.random.get_rng_state()
    algorithm = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=student,
            teacher=teacher,
            distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
        )
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(m.training for m in student.modules())
    assert algorithm.student is student
    assert int(student.backbone.stages[0].norm.num_batches_tracked) == 0


# ---- weights and schedules --------------------------------------------------------


def test_a_schedule_scales_the_loss_and_is_kept_in_the_checkpoint():
    links = {'loss_x': link(schedule=dict(type='linear', end=4, start=1.0, stop=0.0))}
    algorithm, batch = build(links).eval(), toy_batch()
    values = [
        float(algorithm(**batch, mode='loss')['distill.loss_x']) for _ in range(6)
    ]
    expected = [values[0] * f for f in (1, 0.75, 0.5, 0.25, 0, 0)]
    assert values == pytest.approx(expected)
    again = build(links).eval()
    algorithm = build(links).eval()
    for _ in range(2):
        algorithm(**batch, mode='loss')
    again.load_state_dict(algorithm.state_dict())
    assert float(again(**batch, mode='loss')['distill.loss_x']) == pytest.approx(
        values[2]
    )


def test_the_runner_says_where_training_is():
    links = {
        'loss_x': link(
            schedule=dict(type='multistep', milestones=[3], gamma=0.0, by_epoch=True)
        )
    }
    algorithm, batch = build(links), toy_batch()
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 100)
    hub.update_info('epoch', 2)
    assert algorithm(**batch, mode='loss')['distill.loss_x'] > 0
    hub.update_info('epoch', 3)
    assert algorithm(**batch, mode='loss')['distill.loss_x'] == 0


def test_at_weight_zero_the_teacher_does_not_run_but_parameters_are_touched():
    links = {
        'loss_x': link(
            'backbone', 'FitNetsLoss', schedule=dict(type='constant', value=0.0)
        )
    }
    algorithm = build(links)
    called = []
    algorithm.teacher.backbone.register_forward_hook(lambda *_: called.append(1))
    losses = algorithm(**toy_batch(), mode='loss')
    assert losses['distill.loss_x'] == 0
    assert not called
    losses['distill.loss_x'].backward()
    assert all(
        p.grad is not None and not p.grad.any()
        for p in algorithm.distiller.parameters()
    )


def test_mmrazors_stop_hook_stops_the_teacher_too():
    algorithm = build()
    called = []
    algorithm.teacher.backbone.register_forward_hook(lambda *_: called.append(1))
    algorithm.distillation_stopped = True
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_cwd'] == 0
    assert not called


def test_several_teachers_each_with_a_weight():
    teachers = dict(
        big=dict(model=dict(type='mmkd_ext.ToyModel', channels=16)),
        small=dict(model=dict(type='mmkd_ext.ToyModel'), weight=0.5),
    )
    links = {'loss_a': link(of='big'), 'loss_b': link(of='small')}
    algorithm, batch = build(links, teachers=teachers).eval(), toy_batch()
    losses = algorithm(**batch, mode='loss')
    with torch.no_grad():
        full = algorithm.distiller.distill_losses['loss_b'](
            algorithm.student(batch['inputs']),
            algorithm.teachers['small'].module(batch['inputs']),
        )
    assert torch.allclose(losses['distill.loss_b'], 0.5 * full)
    assert losses['distill.loss_a'] > 0


def test_a_teacher_of_weight_zero_does_not_run():
    teachers = dict(big=dict(model=dict(type='mmkd_ext.ToyModel'), weight=0.0))
    algorithm = build({'loss_a': link(of='big')}, teachers=teachers)
    called = []
    algorithm.teacher.backbone.register_forward_hook(lambda *_: called.append(1))
    algorithm(**toy_batch(), mode='loss')
    assert not called


# ---- alignment and in-place operations --------------------------------------------


def test_alignment_exists_before_the_optimizer():
    algorithm = build({'loss_x': link('neck', 'FitNetsLoss')})
    (plan,) = algorithm.distiller.plans
    assert plan.alignment.count('1x1 conv 8->12') == 3
    assert any('aligners' in name for name, _ in algorithm.named_parameters())


def test_in_place_activations_that_overwrite_a_tap_are_turned_off():
    algorithm = build({'loss_x': link('backbone.stages.0.norm', 'FitNetsLoss')})
    assert not algorithm.student.backbone.stages[0].relu.inplace
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0


def test_in_place_activations_that_harm_nobody_stay():
    assert build().student.backbone.stages[0].relu.inplace


def test_in_place_activations_can_be_turned_off_or_kept():
    assert not build(module_inplace=False).student.backbone.stages[0].relu.inplace
    assert (
        not build(teacher_module_inplace=False).teacher.backbone.stages[0].relu.inplace
    )
    with pytest.raises(ConfigError, match='changed in place'):
        build(
            {'loss_x': link('backbone.stages.0.norm', 'FitNetsLoss')},
            module_inplace=True,
        )


# ---- numbers ----------------------------------------------------------------------


def test_under_autocast_losses_are_float32_and_finite():
    algorithm = build({'loss_cwd': link(), 'loss_f': link('neck', 'FitNetsLoss')})
    with torch.autocast('cpu', torch.bfloat16):
        losses = algorithm(**toy_batch(), mode='loss')
    for name in ('distill.loss_cwd', 'distill.loss_f'):
        assert losses[name].dtype is torch.float32
        assert losses[name].isfinite()


# ---- weights from files -----------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    model = ToyModel(channels=12)
    path = tmp_path / 'teacher.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return str(path), model.state_dict()


def test_the_teacher_is_filled_from_its_checkpoint(weights):
    path, state = weights
    algorithm = build(teacher_ckpt=path)
    algorithm.init_weights()
    got = algorithm.teacher.state_dict()
    assert all(torch.equal(got[key], state[key]) for key in state)
    assert algorithm.teachers['teacher'].report.share == 1.0


def test_the_teacher_is_filled_even_if_nobody_calls_init_weights(weights):
    path, state = weights
    algorithm = build(teacher_ckpt=path)
    algorithm(**toy_batch(), mode='loss')
    assert torch.equal(
        algorithm.teacher.state_dict()['head.conv.bias'], state['head.conv.bias']
    )


def test_the_student_is_filled_from_its_checkpoint(weights):
    path, state = weights
    algorithm = build(
        architecture=dict(type='mmkd_ext.ToyModel', channels=12), student_ckpt=path
    )
    algorithm.init_weights()
    assert torch.equal(
        algorithm.student.state_dict()['head.conv.bias'], state['head.conv.bias']
    )


def test_a_teacher_that_came_built_keeps_its_weights():
    teacher = ToyModel()
    before = copy.deepcopy(teacher.state_dict())
    algorithm = build(teacher=teacher)
    algorithm.init_weights()
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())


def test_a_checkpoint_of_another_model_is_refused(weights):
    algorithm = build(
        teacher=dict(type='mmkd_ext.ToyModel', channels=5), teacher_ckpt=weights[0]
    )
    with pytest.raises(CheckpointError, match='teacher'):
        algorithm.init_weights()


def test_a_missing_file_is_named_before_anything_runs():
    assert '`model.teacher_ckpt`' in problem(teacher_ckpt='nowhere.pth')


# ---- mistakes ---------------------------------------------------------------------


# one by one they are in `tests/config/test_distillation.py`, which takes this path
@pytest.mark.parametrize(('config', 'path', 'word'), [
    ({'links': {'loss_x': link('head.conv_sge')}}, 'preds_T.at', '`head.conv_seg`'),
    ({'links': {'loss_x': link(mask=dict(of='student', at='neck'))}}, 'loss_x.mask',
     'argument'),
    ({'teachers': dict(student=dict(model=dict(type='mmkd_ext.ToyModel')))},
     'teachers', "'student'"),
    ({'teacher_trainable': True}, 'teacher_trainable', 'frozen'),
])  # fmt: skip
def test_mistakes_are_named(config, path, word):
    text = problem(**config)
    assert path in text
    assert word in text


def test_all_problems_of_all_links_come_together():
    text = problem(links={'loss_x': link('nek'), 'loss_y': link('heat')})
    assert text.startswith('4 problem(s)')


def test_one_teacher_or_several_but_not_both_or_none():
    config = dict(
        type='mmkd_ext.TeacherDistill',
        architecture=ToyModel(),
        distiller=dict(type='mmkd_ext.LinkDistiller', links={'loss_x': link()}),
    )
    both = dict(teacher=ToyModel(), teachers={'a': dict(model=ToyModel())})
    for given in ({}, both):
        with pytest.raises(ConfigError, match='either `teacher` or `teachers`'):
            MODELS.build(dict(config, **given))


def test_a_tap_that_is_silent_later_says_so():
    algorithm = build()
    algorithm.student.head.forward = lambda x: nn.functional.pad(x[:, :4], (0, 0))
    with pytest.raises(TapError, match=r'`head\.conv_seg` of `student` was not called'):
        algorithm(**toy_batch(), mode='loss')


def test_a_foreign_distiller_is_refused():
    with pytest.raises(ConfigError, match='LinkDistiller'):
        MODELS.build(
            dict(
                type='mmkd_ext.TeacherDistill',
                architecture=ToyModel(),
                teacher=ToyModel(),
                distiller=dict(type='BYOTDistiller'),
            )
        )


# ---- MMRazor's keys ---------------------------------------------------------------


def test_mmrazors_keys_compute_the_same():
    recorders = dict(logits=dict(type='ModuleOutputs', source=LOGITS))
    theirs = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=ToyModel(),
            teacher=ToyModel(),
            distiller=dict(
                type='ConfigurableDistiller',
                student_recorders=recorders,
                teacher_recorders=recorders,
                distill_losses=dict(loss_cwd=dict(type='ChannelWiseDivergence')),
                loss_forward_mappings=dict(
                    loss_cwd=dict(
                        preds_S=dict(from_student=True, recorder='logits'),
                        preds_T=dict(from_student=False, recorder='logits'),
                    )
                ),
            ),
        )
    ).eval()
    batch = toy_batch()
    got = theirs(**batch, mode='loss')['distill.loss_cwd']
    ours = MODELS.build(dict(type='mmkd_ext.CWDLoss'))
    with torch.no_grad():
        expected = ours(
            theirs.student(batch['inputs']), theirs.teacher(batch['inputs'])
        )
    assert torch.allclose(got, expected)


def test_a_recorder_that_is_not_about_modules_works():
    links = {
        'loss_x': dict(
            loss=dict(type='mmkd_ext.FitNetsLoss'),
            preds_S=dict(
                of='student',
                at=dict(
                    type='MethodOutputs', source='mmkd_ext.testing.toy.ToyModel._logits'
                ),
            ),
            preds_T=dict(of='teacher', at=LOGITS),
        )
    }
    algorithm = build(links)
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0


def test_the_student_starts_as_it_would_alone():
    alone = dict(type='mmkd_ext.ToyModel')
    torch.manual_seed(3)
    plain = MODELS.build(alone)
    drawn_after = torch.rand(1)
    torch.manual_seed(3)
    algorithm = MODELS.build(dict(
        type='mmkd_ext.TeacherDistill', architecture=alone,
        teacher=dict(type='mmkd_ext.ToyModel', channels=12),
        distiller=dict(type='mmkd_ext.LinkDistiller',
                       links={'loss_x': link('backbone', 'FitNetsLoss')})))
    assert torch.equal(torch.rand(1), drawn_after)
    own = algorithm.student.state_dict()
    assert all(torch.equal(own[k], v) for k, v in plain.state_dict().items())
