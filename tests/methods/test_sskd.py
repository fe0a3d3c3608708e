"""SSKD: cases for the laws, the slow twins, ranked selection, and both stages."""

from __future__ import annotations

from math import exp, log, sqrt
from types import SimpleNamespace

import pytest
import torch
from slow_parts import doubles, two_sides

from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError
from mmkd_ext.methods import (
    KDLoss,
    SSKDHead,
    SSKDHeadLoss,
    SSKDPlainLoss,
    SSKDSimilarityLoss,
    SSKDTaskLoss,
    SSKDTeacherHead,
    SSKDTransformedLoss,
)
from mmkd_ext.methods.sskd import kept_by_rank, view_similarity
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.laws import KnownValue, LossCase, pair
from mmkd_ext.testing.toy import ToyModel, toy_batch

ORDER = {'batch_order_does_not_matter':
         'the order says which view a picture is; test_pictures_may_change_places'}
# One picture in four views. Teacher (3/4, 1/4), student (1/2, 1/2) where they differ.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
FLAT, SKEWED = [0.0, 0.0], [log(3), 0.0]
# Two pictures; the student finds each turned view to be the first, the teacher none.
FOUND = [[1.0, 0.0], [0.0, 2.0], *[[3.0, 0.0]] * 6]
LOST = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], *[[0.0, 0.0, 1.0]] * 6]
SIMILAR = 0.5 * log(0.5 * (1 + exp(1)) / exp(1)) + 0.5 * log(0.5 * (1 + exp(1)))
LABELS = {'labels': torch.zeros(4).long()}
CASES = [
    LossCase(
        SSKDSimilarityLoss, {'tau': 1.0}, inputs=pair(8, 3, teacher=(8, 4)),
        free_axes=[1], exempt=ORDER,
        invariances={'a factor for each row': lambda x: x * torch.arange(
            1, 1 + len(x), dtype=x.dtype)[:, None]},
        values=[KnownValue(FOUND, LOST, SIMILAR,
                           'cosines (1, 0) and (0, 0), by hand')]),
    LossCase(
        SSKDPlainLoss, {'tau': 1.0}, inputs=pair(8, 3), exempt=ORDER,
        temperature='tau',
        values=[KnownValue([FLAT] * 4, [SKEWED, FLAT, FLAT, SKEWED], KL, 'by hand')]),
    LossCase(
        SSKDTransformedLoss, {'tau': 1.0}, inputs=pair(8, 3), exempt=ORDER,
        temperature='tau',
        values=[KnownValue([FLAT] * 4, [SKEWED, SKEWED, FLAT, FLAT], KL / 3,
                           'one of three turned views differs')]),
    LossCase(
        SSKDTransformedLoss, {'tau': 1.0, 'keep': 0.5}, inputs=pair(8, 3), exempt=ORDER,
        extras=lambda generator: {
            'labels': torch.randint(3, (8,), generator=generator)},
        values=[KnownValue([FLAT] * 4, [FLAT, SKEWED, [0.0, log(3)], [0.0, log(3)]], KL,
                           'the label is the first class: of two wrong rows one stays',
                           LABELS)]),
]


def test_pictures_may_change_places_if_all_views_do():
    student, teacher = doubles(12, 5), doubles(12, 5, seed=1)
    order = torch.tensor([1, 2, 0])
    order = torch.cat([order + 3 * view for view in range(4)])
    labels = torch.arange(12) % 5
    for loss, extras in ((SSKDSimilarityLoss(keep=1), {}), (SSKDPlainLoss(), {}),
                         (SSKDTransformedLoss(), {'labels': labels})):
        turned = {name: value[order] for name, value in extras.items()}
        torch.testing.assert_close(loss(student[order], teacher[order], **turned),
                                   loss(student, teacher, **extras))


def test_the_first_view_alone_is_kd_of_it():
    student, teacher = doubles(12, 5), doubles(12, 5, seed=1)
    torch.testing.assert_close(SSKDPlainLoss()(student, teacher),
                               KDLoss(tau=4.0)(student[:3], teacher[:3]))
    torch.testing.assert_close(SSKDTransformedLoss()(student, teacher),
                               KDLoss(tau=4.0)(student[3:], teacher[3:]))


@pytest.mark.parametrize(('keep', 'wanted'), [
    (0, [True, False, False, False]), (0.34, [True, False, True, False]),
    (0.75, [True, True, True, False]), (1, [True] * 4)])
def test_of_the_wrong_the_least_wrong_stay_and_the_right_ones_all(keep, wanted):
    # ranks 0, 1, 1, 3 after the second: of equal ranks the first stays
    scores = torch.tensor([[4.0, 3, 2, 1]] * 4)
    targets = torch.tensor([0, 2, 1, 3])
    assert kept_by_rank(scores, targets, keep=keep).tolist() == wanted


def test_leaves_out_by_label_only_where_asked():
    student, teacher = doubles(4, 3), doubles(4, 3, seed=1)
    with pytest.raises(ConfigError, match='add labels='):
        SSKDTransformedLoss(keep=0.5)(student, teacher)
    samples = [SimpleNamespace(gt_label=torch.tensor(0))] * 4
    torch.testing.assert_close(
        SSKDTransformedLoss(keep=0.5)(student, teacher, labels=samples),
        SSKDTransformedLoss(keep=0.5)(student, teacher, **LABELS))
    with pytest.raises(ShapeError, match='smoothed and mixed labels'):
        SSKDTransformedLoss(keep=0.5)(student, teacher, labels=torch.ones(4, 3))


def test_the_task_is_on_the_first_view():
    logits, labels = doubles(8, 5), torch.tensor([1, 4] * 4)
    wanted = torch.nn.functional.cross_entropy(logits[:2], labels[:2])
    torch.testing.assert_close(SSKDTaskLoss(loss_weight=0.1)(logits, labels=labels),
                               0.1 * wanted)
    half = logits.half().requires_grad_()
    value = SSKDTaskLoss()(half, labels=labels)
    assert value.dtype == torch.float32
    value.backward()
    assert not half.grad[2:].any()


def test_one_picture_is_similar_to_itself_alone():
    student = doubles(4, 3).requires_grad_()
    value = SSKDSimilarityLoss()(student, doubles(4, 3, seed=1))
    value.backward()
    assert value == 0
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('call', [
    lambda x: SSKDSimilarityLoss()(x, x), lambda x: SSKDPlainLoss()(x, x),
    lambda x: SSKDTransformedLoss()(x, x), lambda x: SSKDHeadLoss(3)(x),
    lambda x: SSKDTaskLoss()(x, labels=torch.zeros(6).long())])
def test_says_that_the_batch_has_no_four_views(call):
    with pytest.raises(ShapeError, match='batch of 6 does not hold four views'):
        call(torch.zeros(6, 3))


@pytest.mark.parametrize(('build', 'name'), [
    (lambda: SSKDSimilarityLoss(tau=0), 'tau'),
    (lambda: SSKDSimilarityLoss(keep=1.5), 'keep'),
    (lambda: SSKDTransformedLoss(keep=-1), 'keep'), (lambda: SSKDHead(0), 'channels')])
def test_refuses_arguments_out_of_range(build, name):
    with pytest.raises(ConfigError, match=f'`{name}`'):
        build()


# ---- two stages ----------------------------------------------------------------------

FEATURE = dict(at='backbone', item=2)


def algorithm(links, teacher, **more):
    return MODELS.build(dict(
        type='mmkd_ext.TeacherDistill',
        architecture=dict(type='mmkd_ext.ToyModel', channels=4),
        teacher=dict(type='mmkd_ext.ToyModel', channels=8),
        teacher_ckpt=str(teacher), calculate_student_loss=False,
        distiller=dict(type='mmkd_ext.LinkDistiller', links=links), **more))


def stage_one(teacher):
    link = dict(loss=dict(type='mmkd_ext.SSKDHeadLoss', channels=8),
                features=dict(of='teacher', **FEATURE))
    return algorithm({'loss_head': link}, teacher, student_trainable=False)


def stage_two(teacher, file):
    link = dict(
        loss=dict(type='mmkd_ext.SSKDSimilarityLoss'),
        preds_S=dict(of='student', **FEATURE,
                     connector=dict(type='mmkd_ext.SSKDHead', channels=4)),
        preds_T=dict(of='teacher', **FEATURE, connector=dict(
            type='mmkd_ext.SSKDTeacherHead', channels=8, checkpoint=str(file))))
    return algorithm({'loss_similarity': link}, teacher)


def four_views(pictures=3):
    inputs = toy_batch(pictures)['inputs']
    return torch.cat([torch.rot90(inputs, turns, (2, 3)) for turns in range(4)])


@pytest.fixture
def files(tmp_path):
    made = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        made[seed] = tmp_path / f'teacher{seed}.pth'
        torch.save({'state_dict': ToyModel(channels=8).state_dict()}, made[seed])
    model = stage_one(made[0])
    model.init_weights()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.5)
    values = []
    for _ in range(4):
        values.append(model.loss(four_views(), None)['distill.loss_head'])
        optimizer.zero_grad()
        values[-1].backward()
        optimizer.step()
    assert values[-1] < values[0]
    made['head'] = tmp_path / 'head.pth'
    torch.save({'state_dict': model.state_dict()}, made['head'])
    return made


def test_the_second_stage_has_the_head_of_the_first_and_keeps_it(files):
    model = stage_two(files[0], files['head'])
    model.init_weights()
    head = model.distiller.connectors['loss_similarity_preds_T']
    state = torch.load(files['head'], weights_only=True)['state_dict']
    before = {k: v.clone() for k, v in head.state_dict().items()}
    for name, value in before.items():
        key = f'distiller.distill_losses.loss_head.head.{name}'
        assert torch.equal(value, state[key])
    losses = model.loss(four_views(), None)
    losses['distill.loss_similarity'].backward()
    assert all(p.grad is None for p in head.parameters())
    own = model.distiller.connectors['loss_similarity_preds_S']
    assert all(p.grad is not None for p in own.parameters())
    assert model.student.backbone.stages[0].conv.weight.grad.any()


def test_a_head_of_another_teacher_is_refused(files):
    with pytest.raises(CheckpointError, match='a teacher of other weights'):
        stage_two(files[1], files['head']).init_weights()
    other = stage_one(files[1])
    other.init_weights()
    with pytest.raises(CheckpointError, match='Resume with that teacher'):
        other.load_state_dict(
            torch.load(files['head'], weights_only=True)['state_dict'], strict=False)


def test_says_that_there_is_no_head_or_one_of_another_width(files, tmp_path):
    with pytest.raises(CheckpointError, match="Train the teacher's head first"):
        SSKDTeacherHead(8, checkpoint=str(tmp_path / 'nothing.pth'))
    with pytest.raises(CheckpointError, match="no teacher's heads"):
        SSKDTeacherHead(8, checkpoint=str(files[0]))
    with pytest.raises(CheckpointError, match=r'for 8 channels, but .* given 6'):
        SSKDTeacherHead(6, checkpoint=str(files['head']))


# ---- the slow twins, in plain loops from the equations -------------------------------


def cosine(one, other):
    lengths = [sqrt(sum(a * a for a in x)) for x in (one, other)]
    product = sum(a * b for a, b in zip(one, other))
    return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def slow_view_similarity(features):
    pictures = len(features) // 4
    return [[cosine(turned, plain) for plain in features[:pictures]]
            for turned in features[pictures:]]


def slow_kept_by_rank(scores, targets, keep):
    ranks = [sorted(row, reverse=True).index(row[target])
             for row, target in zip(scores, targets)]
    wrong = sorted((rank, i) for i, rank in enumerate(ranks) if rank)
    staying = {i for _, i in wrong[:int(keep * len(wrong))]}
    return [rank == 0 or i in staying for i, rank in enumerate(ranks)]


def softened(row, tau):
    total = sum(exp(value / tau) for value in row)
    return [exp(value / tau) / total for value in row]


def slow_similarity_loss(student, teacher, tau, keep):
    ours, theirs = slow_view_similarity(student), slow_view_similarity(teacher)
    targets = [row % len(ours[0]) for row in range(len(ours))]
    kept = slow_kept_by_rank(theirs, targets, keep)
    values = [tau**2 * sum(p * log(p / q) for p, q in zip(softened(t, tau),
                                                          softened(s, tau)))
              for s, t, stays in zip(ours, theirs, kept) if stays]
    return sum(values) / max(len(values), 1)


@pytest.mark.parametrize('keep', [0.0, 0.5, 0.75, 1.0])
@pytest.mark.parametrize(('pictures', 'width'), [(1, 1), (3, 2), (8, 5)])
def test_equals_its_twin(pictures, width, keep):
    student, teacher = two_sides(4 * pictures, width)
    torch.testing.assert_close(
        view_similarity(teacher),
        torch.tensor(slow_view_similarity(teacher.tolist()), dtype=torch.float64))
    scores, targets = doubles(20, 6), torch.arange(20) % 6
    assert kept_by_rank(scores, targets, keep=keep).tolist() == slow_kept_by_rank(
        scores.tolist(), targets.tolist(), keep)
    if width > 1:  # cosines of single numbers are equal, and so are ranks
        slow = slow_similarity_loss(student.tolist(), teacher.tolist(), 0.5, keep)
        torch.testing.assert_close(SSKDSimilarityLoss(0.5, keep)(student, teacher),
                                   torch.tensor(slow, dtype=torch.float64))
