"""CRD: cases for the laws, the slow twin, its memories alone and on two processes."""

from __future__ import annotations

import copy
from math import exp, log, sqrt
from types import SimpleNamespace

import pytest
import torch
from slow_parts import noise, on_processes
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, DataError, ShapeError
from mmkd_ext.methods import CRDLoss
from mmkd_ext.methods import crd as module
from mmkd_ext.methods.crd import contrast_scores, noise_contrast
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SMALL = {'student_channels': 3, 'teacher_channels': 4, 'channels': 2, 'negatives': 5}


def crd(samples=7, **arguments):
    """A loss that knows its samples' classes, of which two are of the first."""
    loss = CRDLoss(samples, **{**SMALL, **arguments})
    loss.set_classes(torch.arange(samples) // 2 % 3)
    loss.normalizers.fill_(5.0)
    return loss


def by_hand(**policy):
    """Two samples, each the other's negative, features as they come."""
    loss = CRDLoss(2, 2, 2, channels=2, negatives=1, tau=1.0, **policy)
    loss.set_classes(torch.tensor([0, 1]))
    for layer in (loss.embed_student, loss.embed_teacher):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    loss.student_memory.copy_(torch.eye(2))
    loss.teacher_memory.copy_(torch.eye(2))
    loss.normalizers.fill_(1.0)
    return loss


# scores 1 of the own row and 0 of the other; K / M is 1/2
TOLD = -log(exp(1) / (exp(1) + 0.5)) - log(0.5 / (1 + 0.5))
MIXED = -log(1 / (1 + 0.5)) - log(0.5 / (exp(1) + 0.5))
CASES = [
    LossCase(
        crd, inputs=pair(3, 3, teacher=(3, 4)),
        extras=lambda generator: {
            'indices': torch.randperm(7, generator=generator)[:3]},
        exempt={
            'zero_at_equality': 'a contrast is never 0',
            'pyramids_sum_over_levels': 'the second level meets what the first has put '
                                        'into the memory',
            'batch_order_does_not_matter': 'each row draws its own negatives; '
                                           'test_equals_its_twin has the function',
        }),
    LossCase(
        by_hand, inputs=pair(2, 2),
        extras=lambda generator: {'indices': torch.tensor([1, 0])},
        exempt={
            'zero_at_equality': 'a contrast is never 0',
            'pyramids_sum_over_levels': 'as above',
        },
        values=[KnownValue([[3.0, 0.0]], [[2.0, 0.0]], 2 * TOLD, 'both find their own',
                           {'indices': torch.tensor([0])}),
                KnownValue([[3.0, 0.0]], [[0.0, 1.0]], TOLD + MIXED,
                           'the student finds its own, the teacher the other',
                           {'indices': torch.tensor([0])})]),
]


def step(loss, seed=0, index=(0, 3, 5)):
    index = torch.tensor(index)
    return loss(noise(len(index), 3, seed=seed), noise(len(index), 4, seed=seed + 50),
                indices=index)


# ---- what is drawn -------------------------------------------------------------------


def drawn(loss, index):
    return loss._draw(torch.as_tensor(index))


def test_negatives_are_of_all_other_classes_and_the_own_sample_is_first():
    loss = crd(negatives=2000)
    loss.set_classes(torch.tensor([2, 0, 2, 0, 5, 2, 0]))  # none of 1, 3, 4
    rows = drawn(loss, [0, 1, 4])
    assert rows[:, 0].tolist() == [0, 1, 4]
    for row, others in zip(rows, ({1, 3, 4, 6}, {0, 2, 4, 5}, {0, 1, 2, 3, 5, 6})):
        found, counts = row[1:].unique(return_counts=True)
        assert set(found.tolist()) == others
        # each as often as another, up to chance
        assert counts.min() > 0.7 * 2000 / len(others)


def test_a_relaxed_positive_is_any_of_the_class():
    loss = crd(mode='relax')
    loss.set_classes(torch.tensor([2, 0, 2, 0, 5, 2, 0]))
    positives = torch.stack([drawn(loss, [0, 1, 4])[:, 0] for _ in range(60)])
    wanted = [{0, 2, 5}, {1, 3, 6}, {4}]
    assert [set(column.tolist()) for column in positives.T] == wanted


def test_each_step_draws_anew_and_what_it_draws_is_its_seed_and_number_alone():
    loss = crd()
    first, second = drawn(loss, [0, 1]), drawn(loss, [0, 1])
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    again = crd()
    assert torch.equal(drawn(again, [0, 1]), first)
    assert torch.equal(drawn(again, [0, 1]), second)
    assert not torch.equal(drawn(crd(seed=1), [0, 1]), first)


# ---- memories ------------------------------------------------------------------------


def test_rows_of_the_batch_move_and_stay_of_length_one():
    loss = crd(decay=0.25)
    before = copy.deepcopy(loss.state_dict())
    student = noise(3, 3)
    loss(student, noise(3, 4, seed=1), indices=torch.tensor([4, 0, 6]))
    feature = nn.functional.normalize(loss.embed_student(student), dim=1)
    moved = 0.25 * before['student_memory'][[4, 0, 6]] + 0.75 * feature
    torch.testing.assert_close(loss.student_memory[[4, 0, 6]],
                               nn.functional.normalize(moved, dim=1).detach())
    others = [1, 2, 3, 5]
    for name in ('student_memory', 'teacher_memory'):
        memory = getattr(loss, name)
        assert torch.equal(memory[others], before[name][others])
        assert not torch.equal(memory[4], before[name][4])
        assert not memory.requires_grad


def test_a_sample_that_came_twice_counts_once_with_its_last_feature():
    loss, once = crd(), crd()
    once.load_state_dict(loss.state_dict())
    student, teacher = noise(3, 3), noise(3, 4, seed=1)
    loss(student, teacher, indices=torch.tensor([2, 5, 2]))
    once(student[1:], teacher[1:], indices=torch.tensor([5, 2]))
    torch.testing.assert_close(loss.student_memory, once.student_memory)
    torch.testing.assert_close(loss.teacher_memory, once.teacher_memory)


def test_in_eval_mode_nothing_moves():
    loss = crd().eval()
    before = copy.deepcopy(loss.state_dict())
    step(loss)
    assert all(torch.equal(value, before[key]) for key, value in
               loss.state_dict().items())


def test_the_normalizers_are_set_in_the_first_step_and_resumed():
    loss = crd(samples=9)
    loss.normalizers.fill_(-1.0)
    scores, noted = [], module.contrast_scores
    try:
        module.contrast_scores = lambda *a, **k: scores.append(noted(*a, **k)) or (
            scores[-1])
        step(loss)
        step(loss, seed=1)
    finally:
        module.contrast_scores = noted
    assert len(scores) == 2  # of the first step alone
    wanted = torch.stack([s.exp().mean() * 9 for s in scores])
    torch.testing.assert_close(loss.normalizers, wanted)
    resumed = crd(samples=9, seed=3)
    resumed.load_state_dict(loss.state_dict())
    torch.testing.assert_close(resumed.normalizers, wanted)


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped():
    loss = crd()
    step(loss)
    resumed = crd()
    resumed.load_state_dict(copy.deepcopy(loss.state_dict()))
    resumed.set_classes(loss.classes.clone())
    for seed in (1, 2):
        assert torch.equal(step(loss, seed), step(resumed, seed))
    for key, value in loss.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_memory_of_another_data_set_is_refused():
    loss = crd()
    step(loss)
    resumed = crd()
    resumed.load_state_dict(loss.state_dict())
    with pytest.raises(CheckpointError, match='of another data set'):
        resumed.set_classes(loss.classes.flip(0))
    with pytest.raises(CheckpointError, match=r'is \(7, 2\), but here it is \(9, 2\)'):
        crd(samples=9).load_state_dict(loss.state_dict())


# ---- bad input -----------------------------------------------------------------------


def test_says_that_samples_have_no_index():
    loss = crd()
    sides = noise(2, 3), noise(2, 4)
    with pytest.raises(DataError, match='no `sample_idx`'):
        loss(*sides, indices=[SimpleNamespace(sample_idx=0), SimpleNamespace()])
    loss(*sides, indices=[SimpleNamespace(sample_idx=i) for i in (4, 2)])
    with pytest.raises(ConfigError, match='reach 7, but `CRDLoss` was made for 7'):
        loss(*sides, indices=torch.tensor([0, 7]))
    with pytest.raises(ShapeError, match='`indices`'):
        loss(*sides, indices=torch.tensor([0]))


def test_says_that_classes_are_unknown_too_many_or_one():
    loss = CRDLoss(7, **SMALL)
    with pytest.raises(ConfigError, match=r'mmkd_ext\.CRDClassesHook'):
        step(loss)
    with pytest.raises(ConfigError, match='8 samples, but `CRDLoss` was made for 7'):
        loss.set_classes(torch.arange(8))
    with pytest.raises(ConfigError, match='all samples are of one class'):
        loss.set_classes(torch.zeros(7).long())


def test_a_batch_of_one_and_maps_are_taken():
    loss = crd()
    student, teacher = noise(1, 3, 2, 2), noise(1, 4, 5, 5)
    value = copy.deepcopy(loss)(student, teacher, indices=torch.tensor([3]))
    pooled = student.mean((2, 3)), teacher.mean((2, 3))
    torch.testing.assert_close(value, loss(*pooled, indices=torch.tensor([3])))
    with pytest.raises(ShapeError, match='set `student_channels`'):
        loss(noise(1, 4), noise(1, 4), indices=torch.tensor([3]))


@pytest.mark.parametrize(('argument', 'value'), [
    ('samples', 0), ('negatives', 0), ('tau', 0), ('decay', 1.5), ('mode', 'relaxed'),
    ('seed', 0.5)])
def test_refuses_arguments_out_of_range(argument, value):
    with pytest.raises(ConfigError, match=f'`{argument}`'):
        CRDLoss(**{'samples': 7, **SMALL, argument: value})


# ---- two processes -------------------------------------------------------------------

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from mmkd_ext.methods import CRDLoss

rank, out = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(0 if rank == 'None' else int(rank))
if rank != 'None':
    dist.init_process_group('gloo', rank=int(rank), world_size=2)
loss = CRDLoss(9, 3, 4, channels=2, negatives=6)
loss.set_classes(torch.arange(9) % 3)
generator = torch.Generator().manual_seed(0)
for parameter in loss.parameters():
    parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
# the second process has fewer samples, and one of the first's
mine = {'None': slice(None), '0': slice(0, 3), '1': slice(3, 5)}[rank]
for step in range(3):
    student = torch.randn(5, 3, generator=generator)[mine]
    teacher = torch.randn(5, 4, generator=generator)[mine]
    indices = torch.tensor([0, 4, 7, 4, 8])[mine]
    loss(student, teacher, indices=indices).backward()
torch.save(loss.state_dict(), out)
"""


def test_processes_have_the_memories_that_one_process_would_have(tmp_path):
    first, second, alone = on_processes(SCRIPT, tmp_path, ['0', '1', 'None'])
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        if 'memory' in name:
            torch.testing.assert_close(value, alone[name])
    assert (first['normalizers'] > 0).all()


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_contrast_scores(anchors, memory, indices, tau):
    return [[sum(a * m for a, m in zip(anchor, memory[i])) / tau for i in row]
            for anchor, row in zip(anchors, indices)]


def slow_noise_contrast(anchors, memory, indices, normalizer, tau):
    result = []
    for scores in slow_contrast_scores(anchors, memory, indices, tau):
        own, *others = [exp(score) / normalizer for score in scores]
        floor = len(others) / len(memory)
        result.append(-log(own / (own + floor))
                      - sum(log(floor / (other + floor)) for other in others))
    return result


@pytest.mark.parametrize('share', [0, 100], ids=['gathers', 'multiplies all'])
@pytest.mark.parametrize('chunk', [1, 2**24])
@pytest.mark.parametrize('shape', [(1, 2, 1, 1), (5, 9, 4, 3)])
def test_equals_its_twin(shape, chunk, share, monkeypatch):
    monkeypatch.setattr(module, '_SHARE', share)
    monkeypatch.setattr(module, '_CHUNK', chunk)
    n, m, k, d = shape
    anchors, memory = noise(n, d).double(), noise(m, d, seed=1).double()
    indices = torch.randint(m, (n, k + 1), generator=torch.Generator().manual_seed(2))
    sides = anchors.tolist(), memory.tolist(), indices.tolist()
    torch.testing.assert_close(
        contrast_scores(anchors, memory, indices, tau=0.5),
        torch.tensor(slow_contrast_scores(*sides, 0.5), dtype=torch.float64))
    torch.testing.assert_close(
        noise_contrast(anchors, memory, indices, normalizer=torch.tensor(3.0), tau=0.5),
        torch.tensor(slow_noise_contrast(*sides, 3.0, 0.5), dtype=torch.float64))
    torch.autograd.gradcheck(
        lambda x: noise_contrast(x, memory, indices, normalizer=torch.tensor(3.0)),
        anchors.requires_grad_())


def test_first_weights_are_those_of_the_authors_code():
    # uniform within the bound 1 / sqrt(128 / 3), on any process
    memory = CRDLoss(500, 4, 4).student_memory
    bound = 1 / sqrt(128 / 3)
    assert -bound <= memory.min() < -0.99 * bound
    assert 0.99 * bound < memory.max() <= bound
    torch.manual_seed(5)
    assert torch.equal(CRDLoss(500, 4, 4).student_memory, memory)
