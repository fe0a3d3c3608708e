"""DIGA: prototypes by hand, and what is left when both parts are off."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from mmkd_ext.adaptation.distillers.diga import class_means, prototype_probabilities
from mmkd_ext.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parent))
import adapt_toys as toys

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
DIGA = dict(type='mmkd_ext.DIGADistiller', threshold=0.2)


def test_without_mixing_and_fusion_it_is_the_source():
    built = toys.model(dict(DIGA, mixing=0.0, fusion=0.0))
    source = toys.model(dict(type='mmkd_ext.SourceDistiller'))
    pairs = zip(toys.stream(built), toys.stream(source))
    assert all(torch.equal(a, b) for a, b in pairs)


def test_sure_pixels_make_the_mean_of_their_class():
    features = torch.tensor([[[1.0, 3.0, 9.0, 5.0]], [[0.0, 2.0, 9.0, 4.0]]])
    p = torch.tensor([[0.95, 0.92, 0.9, 0.05], [0.05, 0.08, 0.1, 0.95]]).unsqueeze(1)
    means, found = class_means(features, p, 0.9)
    assert means.tolist() == [[2.0, 1.0], [5.0, 4.0]]
    assert found.tolist() == [True, True]


def test_classes_without_a_prototype_keep_the_classifier():
    features = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    classified = torch.tensor([0.5, 0.3, 0.2]).view(3, 1, 1)
    prototypes = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    seen = torch.tensor([True, True, False])
    found = prototype_probabilities(features, classified, prototypes, seen, 0.5)
    # 0.8 shared by softmax of cosines 0 and 1 over 0.5
    share = 0.8 * torch.tensor([0.0, 2.0]).softmax(0)
    torch.testing.assert_close(found.flatten(), torch.cat([share, torch.tensor([0.2])]))
    nothing = torch.zeros(3, dtype=torch.bool)
    untouched = prototype_probabilities(features, classified, prototypes, nothing, 0.5)
    assert torch.equal(untouched, classified)


def test_prototypes_move_by_rho_and_are_mixed_with_the_images_own():
    built = toys.model(dict(DIGA, rho=0.25, history=0.5, fusion=1.0, temperature=1.0))
    method = built.distiller
    channels, classes = method.classifier().in_channels, toys.CLASSES
    first, second = torch.ones(channels, 1, 1), torch.zeros(channels, 1, 1)
    second[0] = 3.0
    sure = torch.full((classes, 1, 1), -9.0)
    sure[2] = 9.0
    method.fuse(first, sure, learn=True)
    assert torch.equal(method.prototypes[2], torch.ones(channels))
    assert method.seen.tolist() == [False, False, True, False, False]
    method.fuse(second, sure, learn=False)
    assert torch.equal(method.prototypes[2], torch.ones(channels))
    method.fuse(second, sure, learn=True)
    expected = 0.75 * torch.ones(channels) + 0.25 * second.flatten()
    torch.testing.assert_close(method.prototypes[2], expected)


def test_the_images_own_prototype_has_what_history_leaves():
    built = toys.model(dict(DIGA, rho=0.0, history=0.6, fusion=1.0, temperature=1.0))
    method = built.distiller
    axes = torch.eye(method.classifier().in_channels)
    method.prototypes[:2] = axes[:2]
    method.seen[:2] = True
    sure = torch.full((toys.CLASSES, 1, 1), -9.0)
    sure[0] = 9.0
    scores = method.fuse(axes[2].view(-1, 1, 1), sure, learn=False).flatten()
    # q_0 = 0.6 e_0 + 0.4 e_2, so the cosine is 0.4 / sqrt(0.52); with e_1 it is 0
    assert (scores[0] - scores[1]).item() == pytest.approx(0.4 / 0.52**0.5, rel=1e-4)


def test_the_answer_is_what_a_test_before_it_would_be():
    """The image's own sure classes are in both; only the answer keeps them."""
    built = toys.model(DIGA)
    tested = built.test_step(toys.batch(0, SIZE))[0].seg_logits.data
    assert not built.distiller.seen.any()
    answered = built.adapt_step(toys.batch(0, SIZE)).data_samples[0].seg_logits.data
    assert torch.equal(tested, answered)
    assert built.distiller.seen.any()


def test_it_takes_one_forward_pass_and_sliding_windows():
    built = toys.model(DIGA, mode='slide', crop_size=(16, 16), stride=(8, 8))
    result = built.adapt_step(toys.batch(0, SIZE))
    assert result.data_samples[0].pred_sem_seg.data.shape == (1, *SIZE)
    whole = toys.model(DIGA).adapt_step(toys.batch(0, SIZE))
    assert (whole.counts['forwards'], whole.counts['backwards']) == (1, 0)


def test_no_hook_stays():
    built = toys.model(DIGA)
    toys.stream(built, size=SIZE)
    assert not built.distiller.classifier()._forward_hooks


def test_a_network_without_batch_norm_may_have_the_prototypes():
    built = toys.model(dict(DIGA, mixing=0.0), norm='GN')
    toys.stream(built, size=SIZE)
    assert built.distiller.seen.any()
    with pytest.raises(ConfigError, match='works on batch normalisation'):
        toys.model(DIGA, norm='GN')


def test_a_classifier_that_is_none_is_named():
    with pytest.raises(ConfigError, match=r"'decode_head\.seg' must name"):
        toys.model(dict(DIGA, classifier='decode_head.seg'))
