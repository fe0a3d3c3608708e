"""KA: cases for the laws, both stages, the slow twin."""

from __future__ import annotations

import shutil
from math import inf, sqrt

import pytest
import torch
from slow_parts import as_map, columns, doubles
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError
from mmkd_ext.methods import (
    KAAdaptLoss,
    KAAffinityLoss,
    KAAutoEncoder,
    KAEncoder,
    KAReconstructionLoss,
)
from mmkd_ext.methods.ka import unit_distance
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

SMALL = {'channels': 3, 'widths': (4, 2), 'strides': (2, 2)}
LEARNS = {'zero_at_equality':
          'both sides are one feature; 0 only where the code loses nothing'}
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0),
                                   dtype=torch.float64))[0]


def passing_on(**arguments):
    """An auto-encoder of one layer that returns the positive part of what it gets."""
    loss = KAReconstructionLoss(2, widths=(2,), strides=(1,), **arguments)
    stage = loss.autoencoder.encoder[0]
    for conv in (stage[0], loss.autoencoder.decoder[0]):
        nn.init.dirac_(conv.weight)
    nn.init.zeros_(loss.autoencoder.decoder[0].bias)
    stage[1].eval().eps = 0.0
    return loss


FEATURE = [[[[1.0, -2.0]], [[0.0, 3.0]]]]
CASES = [
    LossCase(
        KAReconstructionLoss, SMALL, inputs=pair(2, 3, 4, 5), exempt=LEARNS),
    LossCase(
        KAReconstructionLoss, {**SMALL, 'error': 'sum', 'alpha': 0.1},
        inputs=pyramid((2, 3, 4, 4), (2, 3, 5, 3)), exempt=LEARNS),
    LossCase(
        passing_on, {'alpha': 0.5}, inputs=pair(2, 2, 3, 4), exempt=LEARNS,
        values=[KnownValue(FEATURE, FEATURE, 4 / 4 + 0.5 * 4,
                           'by hand: of 4 elements -2 is lost; the code is 1 + 3')]),
    LossCase(
        passing_on, {'alpha': 0.5, 'error': 'sum'}, inputs=pair(2, 2, 3, 4),
        exempt=LEARNS,
        values=[KnownValue(FEATURE, FEATURE, 4 + 0.5 * 4, 'as printed, by hand')]),
    LossCase(
        KAAdaptLoss,
        invariances={'a positive factor': lambda x: 3 * x},
        values=[KnownValue([[[[3.0]], [[4.0]]]], [[[[-30.0]], [[40.0]]]], 1.2,
                           '|0.6 + 0.6| + |0.8 - 0.8| by hand')]),
    LossCase(
        KAAdaptLoss, {'p': 2.0, 'q': 1.0},
        inputs=pyramid((2, 3, 2, 4), (2, 3, 2, 2)),
        values=[KnownValue([[[[3.0]], [[1.0]]]], [[[[1.0]], [[3.0]]]], 0.5**0.5,
                           'length of (3/4 - 1/4, 1/4 - 3/4) by hand')]),
    LossCase(
        KAAffinityLoss,
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)),
        free_axes=[1],
        invariances={'a rotation and a positive factor': lambda x: 2 * torch.einsum(
            'dc,nchw->ndhw', TURN.to(x), x)},
        values=[KnownValue([[[[1.0, 0.0]], [[0.0, 1.0]]]], [[[[2.0, 3.0]]]], 1.0,
                           'by hand: in each of 2 rows one cosine of 2 differs by 1; '
                           'L = 2 * 1 / 2')]),
]


# ---- the auto-encoder ---------------------------------------------------------------


@pytest.mark.parametrize(('size', 'strides'), [
    ((1, 1), (2, 2)), ((9, 13), (3, 2)), ((64, 33), (2, 1))])
def test_gives_back_the_size_it_got_also_where_strides_do_not_divide_it(size, strides):
    autoencoder = KAAutoEncoder(3, widths=(4, 2), strides=strides).eval()
    feature = torch.randn(2, 3, *size)
    code = autoencoder.encode(feature)
    sides = list(size)
    for stride in strides:
        sides = [-(-side // stride) for side in sides]
    assert code.shape == (2, 2, *sides)
    assert autoencoder(feature).shape == feature.shape


@pytest.mark.parametrize('arguments', [
    {'widths': (4, 2), 'strides': (2,)}, {'widths': (), 'strides': ()}])
def test_refuses_other_numbers_of_widths_and_strides(arguments):
    with pytest.raises(ConfigError, match='must be as many'):
        KAAutoEncoder(3, **arguments)


@pytest.mark.parametrize('module', [
    KAAutoEncoder(3, (4,), (2,)), KAEncoder(3, (4,), (2,), checkpoint=None)])
@pytest.mark.parametrize('shape', [(2, 4, 8, 8), (2, 3, 8)])
def test_says_that_the_feature_is_another(module, shape):
    with pytest.raises(ShapeError, match=r'takes \(n 3 h w\), but got .*`channels`'):
        module(torch.zeros(shape))


# ---- from stage one to stage two ----------------------------------------------------


@pytest.fixture
def stage_one(tmp_path):
    """A checkpoint of an auto-encoder that has seen something."""
    torch.manual_seed(1)
    loss = KAReconstructionLoss(**SMALL, teacher='teacher-a.pth')
    loss(*[torch.randn(4, 3, 8, 8)] * 2)
    path = tmp_path / 'stage_one.pth'
    state = {f'distiller.distill_losses.loss_ka.{k}': v
             for k, v in loss.state_dict().items()}
    torch.save({'state_dict': {'architecture.w': torch.ones(1), **state}}, path)
    return loss, str(path)


def test_the_encoder_of_stage_two_is_that_of_stage_one(stage_one):
    loss, path = stage_one
    encoder = KAEncoder(**SMALL, teacher='teacher-a.pth', checkpoint=path)
    feature = torch.randn(2, 3, 8, 8)
    wanted = loss.eval().autoencoder.encode(feature)
    torch.testing.assert_close(encoder(feature), wanted)


def test_the_encoder_stays_frozen_and_in_eval_mode(stage_one):
    encoder = KAEncoder(**SMALL, teacher='teacher-a.pth', checkpoint=stage_one[1])
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    assert not any(module.training for module in encoder.train().modules())
    code = encoder(torch.randn(2, 3, 8, 8, requires_grad=True))
    assert not code.requires_grad
    assert not any(p.requires_grad for p in encoder.parameters())
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[name])


def refusal(path, **changes):
    with pytest.raises(CheckpointError) as error:
        KAEncoder(**{**SMALL, 'teacher': 'teacher-a.pth', 'checkpoint': str(path),
                     **changes})
    return str(error.value)


def test_refuses_the_code_of_another_teacher(stage_one):
    found = refusal(stage_one[1], teacher='teacher-b.pth')
    assert 'teacher-a.pth' in found
    assert 'teacher-b.pth' in found


@pytest.mark.parametrize('changes', [
    {'channels': 5}, {'widths': (4, 3)}, {'widths': (4,), 'strides': (2,)}])
def test_refuses_an_encoder_of_other_sizes(stage_one, changes):
    assert 'encoder of other sizes: `' in refusal(stage_one[1], **changes)


def test_says_that_stage_one_is_missing_and_how_to_train_it(tmp_path, monkeypatch):
    assert 'nothing.pth' in refusal(tmp_path / 'nothing.pth')
    monkeypatch.chdir(tmp_path)
    config = 'configs/ka/ka-autoencoder_x.py'
    found = refusal(None, checkpoint=None, stage_one=config)
    assert str(tmp_path / 'work_dirs' / 'ka-autoencoder_x') in found
    assert f'tools/train.py {config}' in found


def test_finds_the_last_checkpoint_of_stage_one_by_its_config(
        stage_one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / 'work_dirs' / 'ka-autoencoder_x'
    run.mkdir(parents=True)
    shutil.copy(stage_one[1], run / 'iter_7.pth')
    for saved in ('work_dirs/ka-autoencoder_x/iter_7.pth', '/moved/away/iter_7.pth'):
        (run / 'last_checkpoint').write_text(saved)
        encoder = KAEncoder(**SMALL, teacher='teacher-a.pth',
                            stage_one='configs/ka/ka-autoencoder_x.py')
        ours, wanted = encoder.encoder, stage_one[0].autoencoder.encoder
        torch.testing.assert_close(ours.state_dict(), wanted.state_dict())
    # the folder of a run is as good as its file
    KAEncoder(**SMALL, teacher='teacher-a.pth', checkpoint=str(run))


@pytest.mark.parametrize('own', [None, 'elsewhere'])
def test_finds_stage_one_from_any_folder(own, stage_one, tmp_path, monkeypatch):
    config = tmp_path / 'project' / 'configs' / 'ka-autoencoder_x.py'
    usual = tmp_path / 'project' / 'work_dirs' / 'ka-autoencoder_x'
    run = usual if own is None else tmp_path / own
    for folder in (config.parent, run, tmp_path / 'other'):
        folder.mkdir(parents=True)
    config.write_text('' if own is None else f'work_dir = {str(run)!r}')
    shutil.copy(stage_one[1], run / 'iter_7.pth')
    (run / 'last_checkpoint').write_text('iter_7.pth')
    monkeypatch.chdir(tmp_path / 'other')
    KAEncoder(**SMALL, teacher='teacher-a.pth', stage_one=str(config))


# ---- both stages, as links ----------------------------------------------------------


TEACHER = {'type': 'mmkd_ext.ToyModel', 'channels': 6}
CODE = {'channels': 6, 'widths': (5, 4), 'strides': (1, 2), 'teacher': 'toy'}


def built(links, connectors=None, **more):
    pytest.importorskip('mmrazor', reason='builds a whole distillation')
    from mmkd_ext.registry import MODELS
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='mmkd_ext.TeacherDistill', architecture=dict(type='mmkd_ext.ToyModel'),
        teacher=TEACHER, distiller=dict(type='mmkd_ext.LinkDistiller', links=links,
                                        connectors=connectors), **more))


def first_stage():
    feature = dict(of='teacher', at='backbone', item=0)
    return built({'loss_ka': dict(
        loss=dict(type='mmkd_ext.KAReconstructionLoss', **CODE),
        preds_S=feature, preds_T=feature)},
        student_trainable=False, calculate_student_loss=False)


def test_stage_one_trains_the_auto_encoder_alone():
    from mmkd_ext.testing.toy import toy_batch
    model = first_stage()
    losses = model(**toy_batch(), mode='loss')
    assert set(losses) == {'distill.loss_ka'}
    losses['distill.loss_ka'].backward()
    touched = {name for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {
        name for name, _ in model.named_parameters() if '.autoencoder.' in name}


def test_stage_two_trains_student_and_adapters_on_the_code_of_stage_one(tmp_path):
    from mmkd_ext.testing.toy import toy_batch
    path = tmp_path / 'iter_2.pth'
    torch.save({'state_dict': first_stage().state_dict()}, path)
    adapter = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=4,
                   kernel_size=3, norm=True, act=True)
    model = built(
        {name: dict(
            loss=dict(type=f'mmkd_ext.{loss}'),
            preds_S=dict(of='student', at='backbone', item=0, connector=adapter),
            preds_T=dict(of='teacher', at='backbone', item=0, connector='encoder'))
         for name, loss in [('loss_adapt', 'KAAdaptLoss'),
                            ('loss_affinity', 'KAAffinityLoss')]},
        {'encoder': dict(type='mmkd_ext.KAEncoder', **CODE, checkpoint=str(path))})
    losses = model.train()(**toy_batch(), mode='loss')
    total = losses['distill.loss_adapt'] + losses['distill.loss_affinity']
    total.backward()
    assert total > 0
    assert model.architecture.backbone.stages[0].conv.weight.grad.any()
    for name in ('loss_adapt_preds_S', 'loss_affinity_preds_S'):
        assert model.distiller.connectors[name].conv.weight.grad.any()
    encoder = model.distiller.connectors['encoder']
    assert not encoder.training
    assert all(p.grad is None for p in encoder.parameters())


# ---- which teacher it is ------------------------------------------------------------


def second_stage(path):
    both = dict(of='student', at='backbone', item=0, connector=dict(
        type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=4))
    return built({'loss_adapt': dict(
        loss=dict(type='mmkd_ext.KAAdaptLoss'), preds_S=both,
        preds_T=dict(of='teacher', at='backbone', item=0, connector=dict(
            type='mmkd_ext.KAEncoder', **CODE, checkpoint=path)))})


def both_stages(tmp_path):
    """Stage one, and stage two of the same teacher, not yet initialised."""
    first = first_stage()
    first.init_weights()
    torch.save({'state_dict': first.state_dict()}, tmp_path / 'x.pth')
    second = second_stage(str(tmp_path / 'x.pth'))
    second.teacher.load_state_dict(first.teacher.state_dict())
    return first, second


def test_stage_two_takes_the_teacher_of_stage_one(tmp_path):
    first, second = both_stages(tmp_path)
    assert first.distiller.distill_losses['loss_ka'].autoencoder.teacher_mark.any()
    with torch.no_grad():
        second.teacher.aux_head.weight.add_(1)  # what no link asks for may differ
    second.init_weights()


def test_stage_two_refuses_a_teacher_of_other_weights_under_the_same_name(tmp_path):
    _, second = both_stages(tmp_path)
    with torch.no_grad():
        second.teacher.backbone.stages[2].conv.weight.add_(1)
    with pytest.raises(CheckpointError, match=r'loss_adapt.preds_T`.*other weights'):
        second.init_weights()


def test_stage_one_is_not_resumed_with_another_teacher():
    first, again = first_stage(), first_stage()
    first.init_weights()
    with torch.no_grad():
        again.teacher.backbone.stages[0].conv.weight.add_(1)
    again.init_weights()
    with pytest.raises(CheckpointError, match='other weights'):
        again.load_state_dict(first.state_dict())


def test_a_checkpoint_that_knows_no_teacher_is_taken(tmp_path):
    first = first_stage()
    first.init_weights()
    state = {k: v for k, v in first.state_dict().items()
             if not k.endswith('teacher_mark')}
    torch.save({'state_dict': state}, tmp_path / 'x.pth')
    second = second_stage(str(tmp_path / 'x.pth'))
    with torch.no_grad():
        second.teacher.backbone.stages[0].conv.weight.add_(1)
    second.init_weights()


@pytest.mark.parametrize(('tapped', 'counts'), [
    ('backbone.stages.0', True), ('backbone.stages.0.relu', True),
    ('neck', False), ('no.module', True), ('', True)])
def test_the_fingerprint_is_that_of_the_tapped_module_or_what_is_around_it(
        tapped, counts):
    from mmkd_ext.methods._identity import fingerprint
    from mmkd_ext.testing.toy import ToyModel
    teacher = ToyModel()
    before = fingerprint(teacher, tapped)
    assert torch.equal(fingerprint(teacher.to(memory_format=torch.channels_last),
                                   tapped), before)
    teacher.backbone.stages[0].norm.num_batches_tracked.add_(1)
    assert torch.equal(fingerprint(teacher, tapped), before)
    teacher.backbone.stages[0].norm.running_mean.add_(1e-3)
    assert torch.equal(fingerprint(teacher, tapped), before) is not counts



# ---- directions ---------------------------------------------------------------------


@pytest.mark.parametrize('q', [1.0, 2.0, inf])
def test_opposite_directions_differ_by_two_in_their_own_norm(q):
    student = doubles(2, 3, 2, 3)
    torch.testing.assert_close(unit_distance(student, -3 * student, p=q, q=q),
                               torch.full((2, 2, 3), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(('p', 'q'), [(1.0, 2.0), (2.0, 1.0), (3.0, 3.0)])
def test_gradient_of_directions_is_right(p, q):
    student = doubles(2, 3, 1, 2).requires_grad_()
    teacher = doubles(2, 3, 1, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: unit_distance(s, t, p=p, q=q),
                                    (student, teacher))


def test_a_feature_without_direction_gets_no_gradient_but_a_number():
    student = torch.zeros(1, 3, 1, 2, requires_grad=True)
    value = unit_distance(student, torch.ones(1, 3, 1, 2))
    torch.testing.assert_close(value, torch.full((1, 1, 2), sqrt(3)))
    value.sum().backward()
    assert not student.grad.any()


# ---- the slow twin, in plain loops from the equation --------------------------------


def norm(values, order):
    if order == inf:
        return max(abs(value) for value in values)
    return sum(abs(value)**order for value in values)**(1 / order)


def slow_unit_distance(student, teacher, p, q):
    """KA's adapter term at each position: ``[n][h][w]``."""
    def unit(values):
        length = norm(values, q)
        return [value / length if length else 0.0 for value in values]

    return [as_map([norm([x - y for x, y in zip(unit(a), unit(b))], p)
                    for a, b in zip(columns(s), columns(t))], s)
            for s, t in zip(student, teacher)]


@pytest.mark.parametrize(('p', 'q'), [(1.0, 3.0), (2.0, 2.0), (inf, 1.0), (2.0, inf)])
@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (2, 3, 4, 5)])
def test_equals_its_twin(shape, p, q):
    student, teacher = doubles(*shape), doubles(*shape, seed=1)
    slow = slow_unit_distance(student.tolist(), teacher.tolist(), p, q)
    torch.testing.assert_close(unit_distance(student, teacher, p=p, q=q),
                               torch.tensor(slow, dtype=torch.float64))
