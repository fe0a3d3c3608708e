"""Filters of pixels, by hand-made entropies and predictions."""

from __future__ import annotations

import math

import pytest
import torch

from mmkd_ext.adaptation.filters import EntropyFilter, RedundancyFilter
from mmkd_ext.adaptation.pseudo_labels import entropy
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS


def logits_of(*rows):
    """Logits (1 k 1 w) whose softmax are the rows."""
    return torch.tensor(rows).log().T[None, :, None]


def test_pixels_of_low_entropy_count():
    # entropies 0.5623, 0.6109, 0.6931 of at most ln 2 = 0.6931
    logits = logits_of([0.75, 0.25], [0.7, 0.3], [0.5, 0.5])
    found = entropy(logits)[0, 0]
    by_hand = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert found[0].item() == pytest.approx(by_hand, rel=1e-5)
    share = 0.85  # below 0.5892
    assert EntropyFilter(share)(logits).tolist() == [[[True, False, False]]]


def test_the_limit_is_a_share_of_the_logarithm_of_the_classes():
    assert EntropyFilter().limit(19) == pytest.approx(0.4 * math.log(19))


def test_an_image_that_predicts_the_same_is_redundant():
    redundancy = RedundancyFilter(margin=0.05, momentum=0.9)
    first = logits_of([0.9, 0.1], [0.9, 0.1])
    assert redundancy(first).all()
    torch.testing.assert_close(redundancy.mean, torch.tensor([0.9, 0.1]))
    assert not redundancy(first).any()
    # cosine of (0.9, 0.1) and (0.2, 0.8): 0.26 / (0.9055 * 0.8246) = 0.348
    other = logits_of([0.1, 0.9], [0.3, 0.7])
    assert redundancy(other).all()
    expected = 0.9 * torch.tensor([0.9, 0.1]) + 0.1 * torch.tensor([0.2, 0.8])
    torch.testing.assert_close(redundancy.mean, expected)
    redundancy.reset()
    assert redundancy(first).all()


def test_redundancy_asks_about_pixels_of_the_mask_alone():
    redundancy = RedundancyFilter()
    p = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).T[None, :, None]
    mask = torch.tensor([[[True, False]]])
    assert redundancy.select(p, mask).tolist() == [[[True, False]]]
    torch.testing.assert_close(redundancy.mean, torch.tensor([0.9, 0.1]))
    assert not redundancy.select(p, torch.zeros_like(mask)).any()
    torch.testing.assert_close(redundancy.mean, torch.tensor([0.9, 0.1]))


def test_the_published_rule_leaves_pixels_of_other_classes():
    redundancy = RedundancyFilter(margin=0.5, level='pixel')
    redundancy(logits_of([0.98, 0.02]))
    # cosines with (0.98, 0.02): about 1, and 0.131 for (0.1, 0.9)
    found = redundancy(logits_of([0.9, 0.1], [0.1, 0.9]))
    assert found.tolist() == [[[False, True]]]


def test_images_of_a_batch_are_asked_one_by_one():
    redundancy = RedundancyFilter()
    redundancy(logits_of([0.9, 0.1]))
    batch = torch.cat([logits_of([0.9, 0.1]), logits_of([0.1, 0.9])])
    assert redundancy(batch).flatten().tolist() == [False, True]


def test_its_memory_is_in_the_state():
    redundancy, twin = RedundancyFilter(), RedundancyFilter()
    redundancy(logits_of([0.9, 0.1]))
    twin.load_state_dict(redundancy.state_dict())
    assert not twin(logits_of([0.9, 0.1])).any()


def test_filters_are_built_by_name():
    built = MODELS.build(dict(type='mmkd_ext.EntropyFilter', share=0.3))
    assert built.share == 0.3
    with pytest.raises(ConfigError, match='level'):
        RedundancyFilter(level='pixels')


@pytest.mark.mmseg
def test_a_reset_of_the_model_resets_its_filter():

    import adapt_toys as toys

    redundancy = dict(type='mmkd_ext.RedundancyFilter')
    built = toys.model(dict(type='mmkd_ext.TentDistiller', filter=redundancy))
    toys.stream(built, toys.wrapper(built), images=1, size=(16, 32))
    assert built.distiller.filter.mean is not None
    built.reset()
    assert built.distiller.filter.mean is None
