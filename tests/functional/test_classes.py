"""Merging classes: probabilities add up, whatever the logits are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import merge_classes, merge_logits

GROUPS = [[4], [0, 2], [1, 5, 3]]


def slow_merge_logits(logits, groups, sigmoid=False):
    """By the probabilities of each place, in plain numbers."""
    places = logits.flatten(2) if logits.dim() > 2 else logits[..., None]
    merged = torch.zeros(len(places), len(groups), places.shape[2], dtype=logits.dtype)
    for n, columns in enumerate(places):
        for place in range(columns.shape[1]):
            z = [float(column[place]) for column in columns]
            for g, group in enumerate(groups):
                if sigmoid:
                    none = math.prod(1 - 1 / (1 + math.exp(-z[k])) for k in group)
                    merged[n, g, place] = math.log((1 - none) / none)
                else:
                    merged[n, g, place] = math.log(sum(math.exp(z[k]) for k in group))
    return merged.reshape(len(logits), len(groups), *logits.shape[2:])


@pytest.mark.parametrize('shape', [(3, 7), (2, 7, 2, 3)])
@pytest.mark.parametrize('sigmoid', [False, True])
def test_equals_the_twin(shape, sigmoid):
    draw = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(shape, generator=draw, dtype=torch.float64)
    found = merge_logits(logits, GROUPS, sigmoid=sigmoid)
    torch.testing.assert_close(found, slow_merge_logits(logits, GROUPS, sigmoid))


@pytest.mark.parametrize('sigmoid', [False, True])
def test_gradients_are_right(sigmoid):
    logits = torch.randn(2, 7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda z: merge_logits(z, GROUPS, sigmoid=sigmoid), logits
    )


def test_a_softmax_adds_probabilities_and_shares_what_was_left_out():
    """By hand: 0.1 0.2 0.3 | 0.4, the last one left out, 0.1 and 0.2 merged."""
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64).log() + 5
    merged = merge_logits(logits, [[0, 1], [2]]).softmax(1)
    torch.testing.assert_close(merged, torch.tensor([[0.5, 0.5]], dtype=torch.float64))


def test_sigmoids_become_those_of_any_member():
    """By hand: 1/2 and 1/2 make 3/4."""
    merged = merge_logits(torch.zeros(1, 2), [[0, 1]], sigmoid=True)
    torch.testing.assert_close(merged.sigmoid(), torch.tensor([[0.75]]))


@pytest.mark.parametrize('sigmoid', [False, True])
@pytest.mark.parametrize('shift', [-1e4, -200.0, 80.0, 1e4])
def test_large_logits_stay_finite(sigmoid, shift):
    logits = (torch.randn(2, 7) + shift).requires_grad_()
    merged = merge_logits(logits, GROUPS, sigmoid=sigmoid)
    merged.sum().backward()
    assert merged.isfinite().all()
    assert logits.grad.isfinite().all()


@given(st.lists(st.floats(-50, 50), min_size=7, max_size=7), st.booleans())
def test_a_class_alone_keeps_its_logit(values, sigmoid):
    logits = torch.tensor([values], dtype=torch.float64)
    alone = [[k] for k in (3, 0, 6)]
    found = merge_logits(logits, alone, sigmoid=sigmoid)
    torch.testing.assert_close(found, logits[:, [3, 0, 6]], rtol=1e-9, atol=1e-9)


def slow_merge_classes(logits, class_map):
    """Adds the probabilities of each class up, one output after another."""
    probabilities = logits.softmax(1)
    merged = torch.zeros(len(logits), max(class_map) + 1, *logits.shape[2:])
    for column, label in enumerate(class_map):
        merged[:, label] += probabilities[:, column]
    return merged


def test_merged_probabilities_equal_the_twin():
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    # nothing counts as class 1
    expected = slow_merge_classes(logits, [0, 2, 2, 0])
    torch.testing.assert_close(merge_classes(logits, [0, 2, 2, 0]), expected)


def test_an_output_map_gives_the_sums_of_its_probabilities():
    logits = torch.randn(2, 4, 3, 5)
    found, p = merge_classes(logits, [2, 0, 2, 0]), logits.softmax(1)
    expected = torch.stack([p[:, 1] + p[:, 3], 0 * p[:, 0], p[:, 0] + p[:, 2]], 1)
    torch.testing.assert_close(found, expected)


def test_columns_that_are_not_there_are_named():
    with pytest.raises(ShapeError, match=r'\(1, 3\) have 3'):
        merge_logits(torch.zeros(1, 3), [[0], [1, 3]])
    with pytest.raises(ShapeError, match='`class_map`'):
        merge_classes(torch.zeros(1, 3), [0, 1])
