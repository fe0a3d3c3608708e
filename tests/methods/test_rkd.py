"""RKD: cases for the laws, the slow twins, memory, bad input, several processes."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from slow_parts import doubles, on_processes
from torch.profiler import profile

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import RKDAngleLoss, RKDDistanceLoss
from mmkd_ext.methods.rkd import angle_relation_error, distance_relation_error
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

LINE, OTHER_LINE = [[0.0], [1.0], [2.0]], [[0.0], [1.0], [3.0]]
CORNER = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
BOTH = pytest.mark.parametrize('loss', [RKDDistanceLoss, RKDAngleLoss])
INVARIANCES = {
    'scaled and moved': lambda x: 3 * x + 5,
    'reflected': lambda x: -x,
    'channels in another order': lambda x: x.flip(1),
}
CASES = [
    LossCase(
        RKDDistanceLoss, inputs=pair(4, 3, teacher=(4, 5)), free_axes=[1],
        invariances=INVARIANCES,
        values=[
            KnownValue(
                LINE, OTHER_LINE, 4 * 0.25**2 / 2 / 9,
                'distances 1, 2, 1 over 4/3 and 1, 3, 2 over 2: two of three pairs '
                'differ by 1/4, by hand')],
    ),
    LossCase(
        RKDAngleLoss, inputs=pair(4, 3, teacher=(4, 5)), free_axes=[1],
        invariances=INVARIANCES,
        values=[
            KnownValue(
                LINE, CORNER, 3.5 / 27,
                'cosines 1, -1, 1 against 0 and 1/sqrt(2) twice, by hand: Huber '
                '1/2, 1/2 + 1/sqrt(2) and 3/4 - 1/sqrt(2), each for two orders')],
    ),
    LossCase(
        RKDDistanceLoss, {'regions': (2, 1), 'normalize': True}, free_axes=[1, 2, 3],
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 3, 3)),
        invariances={'scaled': lambda x: 3 * x},
    ),
    LossCase(
        RKDAngleLoss, {'regions': (1, 2)}, free_axes=[1, 2, 3],
        inputs=pyramid((2, 3, 2, 2), (2, 3, 1, 2)), invariances=INVARIANCES,
    ),
]  # fmt: skip


# ---- the angle without its tensor of differences ------------------------------------


def differences(x):
    """Cosines from the whole tensor of differences ``(n n c)``, as the authors do."""
    return_to = torch.nn.functional.normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(return_to, return_to.transpose(1, 2))


@pytest.mark.parametrize('max_memory', [1e-9, 1e-2, 32])
@pytest.mark.parametrize(('rows', 'width'), [(2, 3), (7, 1), (9, 16), (33, 5)])
def test_equals_the_tensor_of_differences(rows, width, max_memory):
    student = doubles(rows, width).requires_grad_()
    teacher = doubles(rows, width + 2, seed=1)
    found = angle_relation_error(student, teacher, max_memory=max_memory)
    plain = student.detach().clone().requires_grad_()
    wanted = torch.nn.functional.smooth_l1_loss(
        differences(plain), differences(teacher), reduction='none').mean((1, 2))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)
    weights = doubles(rows, seed=2)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(student.grad, plain.grad, rtol=1e-10, atol=1e-13)


def test_near_rows_far_from_the_origin_keep_their_angles():
    # in float32, inner products of about 1e6 would leave nothing of 1e-2
    near = (1000 + 1e-1 * doubles(5, 8)).float()
    exact = torch.nn.functional.smooth_l1_loss(
        differences(near.double()), differences(doubles(5, 8, seed=1)),
        reduction='none')
    found = angle_relation_error(near, doubles(5, 8, seed=1).float())
    torch.testing.assert_close(
        found, exact.mean((1, 2)).float(), rtol=1e-5, atol=1e-7)


def peak(job):
    with profile(profile_memory=True) as prof:
        job()
    events = sorted((event.start_ns(), event.nbytes())
                    for event in prof.profiler.kineto_results.events()
                    if event.name() == '[memory]')
    now = most = 0
    for _, size in events:
        now += size
        most = max(most, now)
    return most


def test_takes_a_quarter_of_the_memory_of_the_differences():
    teacher = doubles(96, 768).float()
    student = teacher.clone().requires_grad_()
    loss = RKDAngleLoss(max_memory=4)
    assert peak(lambda: loss(student, teacher).backward()) < 96 * 96 * 768 * 4 / 4


# ---- bad input ----------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize('shape', [(4, 3), (2, 3, 4, 4)])
def test_equal_rows_stay_finite_with_their_gradient(loss, shape):
    student = torch.ones(shape).requires_grad_()
    value = loss(regions=2)(student, doubles(*shape).float())
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()


@BOTH
def test_two_equal_rows_among_others_have_no_pull_on_each_other(loss):
    student = doubles(4, 3)
    student[1] = student[0]
    student.requires_grad_()
    loss(regions=1)(student, doubles(4, 3, seed=1)).backward()
    assert student.grad.isfinite().all()
    assert student.grad[2:].any()


@BOTH
def test_a_batch_of_one_has_no_relations(loss):
    student = torch.ones(1, 3, requires_grad=True)
    value = loss()(student, torch.zeros(1, 5))
    value.backward()
    assert value == 0
    assert not student.grad.any()


@BOTH
def test_maps_of_one_position_are_vectors(loss):
    student, teacher = doubles(4, 3), doubles(4, 5, seed=1)
    torch.testing.assert_close(
        loss()(student[:, :, None, None], teacher), loss()(student, teacher))


@BOTH
def test_half_precision_gives_what_its_values_give_in_float64(loss):
    student, teacher = doubles(6, 16).half(), doubles(6, 32, seed=1).half()
    found = loss()(student, teacher)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), loss()(student.double(),
                                                      teacher.double()))


@BOTH
def test_refuses_tokens_and_says_what_it_takes(loss):
    with pytest.raises(ShapeError, match=r'takes vectors \(n c\) or maps \(n c h w\)'):
        loss()(torch.zeros(2, 5, 3), torch.zeros(2, 5, 3))


@BOTH
def test_refuses_vectors_beside_several_regions(loss):
    with pytest.raises(ShapeError, match='Axis `n` differs'):
        loss(regions=2)(torch.zeros(2, 5), torch.zeros(2, 5, 4, 4))


@pytest.mark.parametrize('regions', [0, 1.5, (1, 2, 3), '2'])
def test_refuses_what_is_no_grid(regions):
    with pytest.raises(ConfigError, match='`regions` must be'):
        RKDDistanceLoss(regions=regions)


def test_refuses_no_memory():
    with pytest.raises(ConfigError, match='`max_memory` must be a number > 0'):
        RKDAngleLoss(max_memory=0)


@BOTH
@pytest.mark.parametrize(('student', 'teacher'), [
    ((2, 3), (2, 5)), ((2, 3, 4, 4), (2, 5, 2, 3))])  # fmt: skip
def test_nothing_is_aligned_before_relations(loss, student, teacher):
    sides = torch.zeros(student), torch.zeros(teacher)
    assert plan_alignment(loss(), *sides, classes=False) is None


# ---- regions ------------------------------------------------------------------------


@BOTH
def test_each_cell_of_each_map_is_a_row(loss):
    student, teacher = doubles(2, 3, 4, 6), doubles(2, 5, 2, 2, seed=1)
    rows = torch.nn.functional.adaptive_avg_pool2d(student, (2, 3))
    cells = torch.nn.functional.adaptive_avg_pool2d(teacher, (2, 3))
    one, other = (x.permute(0, 2, 3, 1).reshape(12, -1) for x in (rows, cells))
    torch.testing.assert_close(
        loss(regions=(2, 3))(student, teacher), loss()(one, other))


# ---- the slow twins, in plain loops from the equations ------------------------------


def distance(one, other):
    return sqrt(sum((a - b)**2 for a, b in zip(one, other)))


def huber(difference):
    size = abs(difference)
    return size**2 / 2 if size < 1 else size - 1 / 2


def slow_distance_relation_error(student, teacher):
    def relative(rows):
        found = [[distance(one, other) for other in rows] for one in rows]
        some = [d for row in found for d in row if d > 0]
        mean = sum(some) / len(some) if some else 1
        return [[d / mean for d in row] for row in found]

    return [[huber(a - b) for a, b in zip(*rows)]
            for rows in zip(relative(student), relative(teacher))]


def slow_angle_relation_error(student, teacher):
    def cosine(rows, i, j, k):
        one = [a - b for a, b in zip(rows[i], rows[j])]
        other = [a - b for a, b in zip(rows[k], rows[j])]
        length = distance(rows[i], rows[j]) * distance(rows[k], rows[j])
        return sum(a * b for a, b in zip(one, other)) / length if length else 0

    count = range(len(student))
    return [sum(huber(cosine(student, i, j, k) - cosine(teacher, i, j, k))
                for i in count for k in count) / len(count)**2 for j in count]


@pytest.mark.parametrize('equal', [False, True])
@pytest.mark.parametrize('rows', [1, 2, 5])
def test_equals_its_twin(rows, equal):
    student, teacher = doubles(rows, 3), doubles(rows, 4, seed=1)
    if equal:
        student[-1] = student[0]
    sides = student.tolist(), teacher.tolist()
    for fast, slow in ((distance_relation_error, slow_distance_relation_error),
                       (angle_relation_error, slow_angle_relation_error)):
        torch.testing.assert_close(
            fast(student, teacher),
            torch.tensor(slow(*sides), dtype=torch.float64), rtol=1e-9, atol=1e-12)


# ---- several processes --------------------------------------------------------------

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from mmkd_ext.methods import RKDAngleLoss, RKDDistanceLoss

rank, given, out = int(sys.argv[1]), *sys.argv[2:]
torch.set_num_threads(1)
dist.init_process_group('gloo', rank=rank, world_size=2)
fc = torch.nn.Linear(4, 3).double()
whole = DistributedDataParallel(fc)
weight, *sides = torch.load(given, weights_only=True)
student, teacher = (side[3 * rank:3 * rank + 3] for side in sides)
fc.load_state_dict(weight)
results = {}
for gather in (False, True):
    losses = [kind(gather=gather) for kind in (RKDDistanceLoss, RKDAngleLoss)]
    fc.zero_grad()
    features = whole(student)
    value = sum(loss(features, teacher) for loss in losses)
    value.backward()
    results[gather] = dict(value=value.detach(), gradient=fc.weight.grad.clone())
torch.save(results, out)
"""


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """What two processes with three rows each found, and one with all six."""
    folder = tmp_path_factory.mktemp('rkd')
    fc, student, teacher = torch.nn.Linear(4, 3).double(), doubles(6, 4), doubles(6, 5)
    torch.save((fc.state_dict(), student, teacher), folder / 'given')
    both = on_processes(SCRIPT, folder, ['0', '1'], str(folder / 'given'))
    value = sum(loss()(fc(student), teacher)
                for loss in (RKDDistanceLoss, RKDAngleLoss))
    value.backward()
    return *both, {'value': value.detach(), 'gradient': fc.weight.grad}


def test_gathered_rows_give_the_loss_and_gradient_of_the_whole_batch(shared):
    first, second, single = shared
    mean = (first[True]['value'] + second[True]['value']) / 2
    torch.testing.assert_close(mean, single['value'])
    for one in (first, second):
        torch.testing.assert_close(one[True]['gradient'], single['gradient'])


def test_without_gathering_each_process_relates_its_own_rows(shared):
    first, second, single = shared
    mean = (first[False]['value'] + second[False]['value']) / 2
    assert not torch.allclose(mean, single['value'], rtol=1e-2)
