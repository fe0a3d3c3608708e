"""The tolerant teacher's term: the slow twin, and what is special to it."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from slow_parts import doubles

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import TolerantTeacherLoss
from mmkd_ext.methods.tolerant import top_score_difference


def test_scores_by_hand():
    # 1/2, 1/4, 1/8, 1/8 in another order
    logits = torch.tensor([[0.0, log(4), 0.0, log(2)]], dtype=torch.float64)
    for k, wanted in ((2, 1 / 4), (3, 1 / 2 - 3 / 16), (4, 1 / 2 - 1 / 6)):
        assert top_score_difference(logits, k=k).item() == pytest.approx(wanted)


def test_a_constant_and_an_order_of_classes_do_not_matter():
    logits = doubles(3, 6)
    value = top_score_difference(logits, k=3)
    torch.testing.assert_close(top_score_difference(logits + 7, k=3), value)
    torch.testing.assert_close(top_score_difference(logits.flip(1), k=3), value)


def test_its_gradient_moves_score_from_the_best_to_the_next_only():
    logits = torch.tensor([[2.0, 1.0, 0.5, -3.0]], requires_grad=True)
    before = logits.softmax(1)
    TolerantTeacherLoss(k=3)(logits).backward()
    after = (logits - logits.grad).softmax(1)
    assert after[0, 0] < before[0, 0]
    assert (after[0, 1:3] > before[0, 1:3]).all()


def test_gradients_are_right():
    torch.autograd.gradcheck(TolerantTeacherLoss(k=3), doubles(2, 5).requires_grad_())


@pytest.mark.parametrize(('reduction', 'divisor'), [
    ('mean', 40), ('sum', 1), ('batchmean', 2)])
def test_pixels_are_samples_and_the_policy_that_of_all_losses(reduction, divisor):
    logits = doubles(2, 6, 4, 5)
    rows = logits.permute(0, 2, 3, 1).reshape(-1, 6)
    loss = TolerantTeacherLoss(reduction=reduction, loss_weight=0.4)
    wanted = 0.4 * top_score_difference(rows, k=5).sum() / divisor
    torch.testing.assert_close(loss(logits), wanted)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_computes_half_precision_in_float32(dtype):
    logits = doubles(2, 6).to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        value = TolerantTeacherLoss()(logits)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, TolerantTeacherLoss()(logits.float()))
    assert TolerantTeacherLoss()(1e4 * logits).isfinite()


@pytest.mark.parametrize('shape', [(2, 4), (2, 4, 1, 1)])
def test_says_that_there_are_fewer_classes(shape):
    with pytest.raises(ShapeError, match='4 classes, but the 5 highest'):
        TolerantTeacherLoss()(torch.zeros(shape))


@pytest.mark.parametrize('k', [1, 0, 2.0, True])
def test_the_best_needs_another(k):
    with pytest.raises(ConfigError, match='`k`'):
        TolerantTeacherLoss(k=k)


def test_takes_rows_or_maps():
    with pytest.raises(ShapeError, match=r'\(n c\) or \(n c h w\)'):
        TolerantTeacherLoss()(torch.zeros(2, 6, 3))


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_top_score_difference(logits, k):
    result = []
    for row in logits:
        total = sum(exp(z) for z in row)
        scores = sorted((exp(z) / total for z in row), reverse=True)
        result.append(scores[0] - sum(scores[1:k]) / (k - 1))
    return result


@pytest.mark.parametrize(('shape', 'k'), [((1, 2), 2), ((4, 6), 5), ((3, 81), 10)])
def test_equals_its_twin(shape, k):
    logits = doubles(*shape)
    torch.testing.assert_close(
        top_score_difference(logits, k=k),
        torch.tensor(slow_top_score_difference(logits.tolist(), k),
                     dtype=torch.float64))
