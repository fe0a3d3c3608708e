"""Class maps of queries are what mmseg predicts from them."""

from __future__ import annotations

import math

import pytest
import torch

from mmkd_ext.connectors import QueryClassMaps
from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import class_divergence


def queries(seed=0):
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, 5, 4, generator=draw)
    masks = torch.randn(2, 5, 3, 6, generator=draw)
    return scores, masks


def test_equals_the_sum_over_queries_at_each_pixel():
    scores, masks = queries()
    found = QueryClassMaps()((scores, masks))
    assert found.shape == (2, 3, 3, 6)
    for n, k, h, w in ((0, 0, 0, 0), (1, 2, 2, 5), (0, 1, 1, 3)):
        expected = sum(
            math.exp(scores[n, q, k]) / sum(map(math.exp, scores[n, q]))
            / (1 + math.exp(-masks[n, q, h, w]))
            for q in range(5)
        )
        assert math.exp(found[n, k, h, w]) == pytest.approx(expected, rel=1e-5)


def test_the_last_layer_counts():
    (first, last) = (queries(0), queries(1))
    both = ([first[0], last[0]], [first[1], last[1]])
    assert torch.equal(QueryClassMaps()(both), QueryClassMaps()(last))


def test_a_softmax_over_classes_gives_their_shares():
    scores, masks = queries()
    maps = QueryClassMaps()((scores, masks))
    shares = maps.exp() / maps.exp().sum(1, keepdim=True)
    assert torch.allclose(maps.softmax(1), shares)
    assert class_divergence(maps, maps).abs().max() < 1e-6


def test_masks_of_nothing_stay_finite():
    scores, masks = queries()
    masks = (masks - 1e4).requires_grad_()
    maps = QueryClassMaps()((scores, masks))
    maps.sum().backward()
    assert maps.isfinite().all()
    assert masks.grad.isfinite().all()


@pytest.mark.parametrize(
    'wrong',
    [
        torch.zeros(2, 3, 4, 4),
        (torch.zeros(2, 5, 4),),
        (torch.zeros(2, 5, 4), torch.zeros(2, 6, 3, 3)),
        ([], []),
    ],
)
def test_says_what_to_tap(wrong):
    with pytest.raises(ShapeError, match="at='decode_head'"):
        QueryClassMaps()(wrong)


@pytest.mark.mmseg
def test_the_best_class_is_the_one_that_mmseg_predicts():
    from mmseg.models.decode_heads import Mask2FormerHead

    class Head(Mask2FormerHead):
        def __init__(self, found):
            torch.nn.Module.__init__(self)
            self.found = found

        def forward(self, x, samples):
            return self.found

    scores, masks = queries()
    head = Head(([scores], [masks]))
    predicted = head.predict((), [dict(img_shape=(3, 6))] * 2, {})
    maps = QueryClassMaps()(([scores], [masks]))
    assert torch.allclose(maps.exp(), predicted, atol=1e-6)
