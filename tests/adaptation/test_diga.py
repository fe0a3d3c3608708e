"""DIGA: prototypes by hand, and what is left when both parts are off."""

from __future__ import annotations

import adapt_toys as toys
import pytest
import torch

from mmkd_ext.adaptation.distillers.diga import (
    class_means,
    cosine_probabilities,
    distance_probabilities,
)
from mmkd_ext.errors import ConfigError

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
    p = torch.tensor([[0.95, 0.9, 0.89, 0.05], [0.05, 0.1, 0.11, 0.95]]).unsqueeze(1)
    means, found = class_means(features, p, 0.9)
    assert means.tolist() == [[2.0, 1.0], [5.0, 4.0]]
    assert found.tolist() == [True, True]


def authors(streams, threshold, rho, history, fusion):
    """Fused probabilities, image by image, from the facts of the authors' code.

    Plain loops. The ground truth with which the code moves the running prototypes from
    the second image on is replaced by the sure classes.
    """
    running, results = {}, []
    for features, logits in streams:
        classes, height, width = logits.shape
        spots = [(i, j) for i in range(height) for j in range(width)]
        p = logits.softmax(0)
        own = {}
        for k in range(classes):
            sure = [
                features[:, i, j]
                for i, j in spots
                if p[:, i, j].argmax() == k and p[k, i, j] >= threshold
            ]
            if sure:
                own[k] = sum(sure) / len(sure)
        for k, mean in own.items():
            running[k] = (1 - rho) * running[k] + rho * mean if k in running else mean
        result = torch.zeros_like(p)
        for i, j in spots:
            for weight, prototypes in ((history, running), (1 - history, own)):
                near = {
                    k: (-(features[:, i, j] - q).norm()).exp()
                    for k, q in prototypes.items()
                }
                for k, value in near.items():
                    result[k, i, j] += fusion * weight * value / sum(near.values())
            result[:, i, j] += (1 - fusion) * p[:, i, j]
        results.append(result)
    return results


def test_labels_and_probabilities_are_those_of_the_authors_rule():
    settings = dict(DIGA, threshold=0.5, rho=0.1, history=0.8, fusion=0.8)
    method = toys.model(settings).distiller
    generator = torch.Generator().manual_seed(0)
    channels = method.classifier().in_channels
    images = [
        (
            torch.randn(channels, 4, 6, generator=generator),
            3 * torch.randn(toys.CLASSES, 4, 6, generator=generator),
        )
        for _ in range(4)
    ]
    expected = authors(images, 0.5, 0.1, 0.8, 0.8)
    for (features, logits), theirs in zip(images, expected):
        found = method.fuse(features, logits, learn=True)
        torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-4)
        assert torch.equal(found.argmax(0), theirs.argmax(0))


def test_probabilities_are_resized_not_their_logarithms():
    built = toys.model(DIGA)
    method = built.distiller
    kept = []
    method.fuse = lambda features, logits, *, learn: (
        kept.append(type(method).fuse(method, features, logits, learn=learn))
        or kept[-1]
    )
    scores = built(built.data_preprocessor(toys.batch(0, SIZE), False)['inputs'])
    small = kept[0][None]
    large = torch.nn.functional.interpolate(small, SIZE, mode='bilinear')
    torch.testing.assert_close(scores.exp(), large, atol=1e-6, rtol=1e-4)


def test_where_nothing_is_sure_the_classifier_decides():
    method = toys.model(dict(DIGA, threshold=1.0)).distiller
    features = torch.randn(method.classifier().in_channels, 2, 3)
    logits = torch.randn(toys.CLASSES, 2, 3)
    found = method.fuse(features, logits, learn=True)
    torch.testing.assert_close(found, logits.softmax(0))
    # with running prototypes and none of its own, those classify alone
    method.prototypes[1:3] = torch.randn(2, features.size(0))
    method.seen[1:3] = True
    found = method.fuse(features, logits, learn=True)
    near = distance_probabilities(features, method.prototypes, method.seen, 1.0)
    torch.testing.assert_close(found, 0.8 * near + 0.2 * logits.softmax(0))


def test_cosine_leaves_classes_without_a_prototype_to_the_classifier():
    features = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    classified = torch.tensor([0.5, 0.3, 0.2]).view(3, 1, 1)
    prototypes = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    seen = torch.tensor([True, True, False])
    found = cosine_probabilities(features, classified, prototypes, seen, 0.5)
    # 0.8 shared by softmax of cosines 0 and 1 over 0.5
    share = 0.8 * torch.tensor([0.0, 2.0]).softmax(0)
    torch.testing.assert_close(found.flatten(), torch.cat([share, torch.tensor([0.2])]))


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


def test_cosine_mixes_prototypes_before_it_compares():
    cosine = dict(DIGA, similarity='cosine', temperature=1.0)
    built = toys.model(dict(cosine, rho=0.0, history=0.6, fusion=1.0))
    method = built.distiller
    axes = torch.eye(method.classifier().in_channels)
    method.prototypes[:2] = axes[:2]
    method.seen[:2] = True
    sure = torch.full((toys.CLASSES, 1, 1), -9.0)
    sure[0] = 9.0
    scores = method.fuse(axes[2].view(-1, 1, 1), sure, learn=False).log().flatten()
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
