"""The search for the share of the picture's statistics."""

from __future__ import annotations

import math

import adapt_toys as toys
import pytest
import torch

from mmkd_ext.adaptation.mixing import (
    MixingSearch,
    build_mixing,
    mirror_uncertainty,
)
from mmkd_ext.errors import ConfigError

SIZE = (16, 32)
BN = dict(type='mmkd_ext.BNStatsDistiller', statistics='mixed')
#: Both shares are the same, so the outcome is known and the machinery is at work.
HALF = dict(candidates=(0.5, 0.5), every=1)
#: Takes whatever seems best, at once.
EAGER = dict(candidates=(0.0, 0.3, 1.0), every=1, momentum=1.0, margin=0.0)


def draw(*shape, seed=0):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- the signal -------------------------------------------------------------------


def by_hand(logits, mirrored):
    """Plain loops, from the equation."""
    ratios = []
    for z, m in zip(logits.tolist(), mirrored.tolist()):
        classes, height, width = len(z), len(z[0]), len(z[0][0])
        mean, cross = [0.0] * classes, 0.0

        def softmax(scores, i, j):
            powers = [math.exp(scores[k][i][j]) for k in range(len(scores))]
            return [power / sum(powers) for power in powers]

        for i in range(height):
            for j in range(width):
                p, q = softmax(z, i, j), softmax(m, i, width - 1 - j)
                for k in range(classes):
                    cross -= p[k] * math.log(q[k]) + q[k] * math.log(p[k])
                    mean[k] += (p[k] + q[k]) / (2 * height * width)
        entropy = -sum(share * math.log(share) for share in mean)
        ratios.append(cross / (2 * height * width) / entropy)
    return sum(ratios) / len(ratios)


@pytest.mark.parametrize('shape', [(1, 2, 1, 1), (2, 5, 3, 4)])
def test_mirror_uncertainty_equals_its_twin(shape):
    logits, mirrored = draw(*shape), draw(*shape, seed=1)
    found = float(mirror_uncertainty(logits, mirrored))
    assert found == pytest.approx(by_hand(logits, mirrored), rel=1e-5)


def test_one_answer_for_all_pixels_is_as_uncertain_as_can_be():
    # whatever the answer is, and however sure: a collapse is not mistaken for success
    for scale in (0.1, 1.0, 4.0):
        logits = scale * draw(1, 5, 1, 1).expand(1, 5, 4, 6)
        assert float(mirror_uncertainty(logits, logits)) == pytest.approx(1, abs=1e-4)


def test_neither_the_order_of_classes_nor_of_the_two_pictures_matters():
    logits, mirrored = draw(1, 4, 3, 6), draw(1, 4, 3, 6, seed=1)
    expected = mirror_uncertainty(logits, mirrored)
    order = [2, 0, 3, 1]
    for other in (
        mirror_uncertainty(mirrored, logits),
        mirror_uncertainty(logits[:, order], mirrored[:, order]),
    ):
        torch.testing.assert_close(other, expected)


def test_a_picture_that_is_mirrored_the_wrong_way_is_noticed():
    logits = draw(1, 4, 3, 6)
    right = mirror_uncertainty(logits, logits.flip(-1))
    assert right < mirror_uncertainty(logits, logits)


# ---- choosing ---------------------------------------------------------------------


def test_the_first_share_stays_until_another_is_better_by_the_margin():
    search = MixingSearch((0.0, 0.1, 0.2), margin=0.2, momentum=1.0)
    for costs, share in (
        ([1.0, 0.81, 0.9], 0.0),
        ([1.0, 0.79, 0.9], 0.1),
        ([1.0, 0.79, 0.7], 0.2),
        ([1.0, 2.0, 2.0], 0.0),
    ):
        search.choose(costs)
        assert search.value == share


def test_it_remembers_the_looks_before():
    search = MixingSearch((0.0, 0.1), margin=0.0, momentum=0.25)
    search.choose([1.0, 0.9])
    search.choose([1.0, 1.1])
    # 0.75 * 0.9 + 0.25 * 1.1
    assert search.means == pytest.approx([1.0, 0.95])
    assert search.value == 0.1


def test_it_looks_at_every_nth_picture_with_two_passes_for_each_share():
    search, passes = MixingSearch((0.0, 0.1, 0.2), every=3), []

    def run(x):
        passes.append(search.value)
        return x

    for _ in range(4):
        search.look(run, draw(1, 4, 2, 2))
    assert passes == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2] * 2


def test_a_prediction_that_is_not_finite_changes_nothing():
    search = MixingSearch(**EAGER)
    search.choose([1.0, 0.5, 0.9])
    search.look(lambda x: x * float('nan'), draw(1, 4, 2, 2))
    assert search.value == 0.3
    assert search.means == [1.0, 0.5, 0.9]


# ---- in a stream ------------------------------------------------------------------


def adapted(distiller, lr=0.01, images=3):
    built = toys.model(distiller)
    trains = built.distiller.trains
    optim = toys.wrapper(built, lr, torch.optim.Adam) if trains else None
    return built, toys.stream(built, optim, images=images, size=SIZE)


@pytest.mark.mmseg
@pytest.mark.parametrize(
    'distiller',
    [
        BN,
        dict(type='mmkd_ext.TentDistiller', statistics='mixed'),
        dict(type='mmkd_ext.DIGADistiller', threshold=0.2),
        dict(type='mmkd_ext.EMATeacherDistiller', views=[1.0, 'flip']),
        dict(type='mmkd_ext.DoSeDistiller'),
    ],
)
def test_the_share_that_was_found_normalises_as_if_it_were_given(distiller):
    found = adapted(dict(distiller, mixing=HALF))[1]
    given = adapted(dict(distiller, mixing=0.5))[1]
    assert all(torch.equal(a, b) for a, b in zip(found, given))


@pytest.mark.mmseg
def test_what_was_learned_has_no_say():
    plain, _ = adapted(dict(BN, mixing=EAGER))
    tent = dict(type='mmkd_ext.TentDistiller', statistics='mixed', mixing=EAGER)
    spoilt, _ = adapted(tent, lr=1.0)
    assert spoilt.distiller.mixing.means == plain.distiller.mixing.means


@pytest.mark.mmseg
def test_the_chosen_share_is_the_least_uncertain_one_of_the_picture():
    built, _ = adapted(dict(BN, mixing=EAGER), images=1)
    costs = {}
    for share in EAGER['candidates']:
        other = toys.model(dict(BN, mixing=share))
        data = other.data_preprocessor(toys.batch(0, SIZE), False)
        with torch.no_grad():
            pair = [other(data['inputs']), other(data['inputs'].flip(-1))]
        costs[share] = float(mirror_uncertainty(*pair))
    assert built.distiller.mixing.means == pytest.approx([*costs.values()])
    assert built.distiller.mixing.value == min(costs, key=costs.get)


@pytest.mark.mmseg
def test_a_network_without_batch_norm_has_nothing_to_mix():
    settings = dict(type='mmkd_ext.EMATeacherDistiller', mixing='auto')
    built = toys.model(settings, norm='GN')
    assert built.distiller.describe()['mixing'] == 0


# ---- settings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ('mixing', 'message'),
    [
        ('automatic', "'auto'"),
        (dict(candidate=[0, 1]), 'candidates'),
        (dict(candidates=[0.1]), 'two shares'),
        (dict(candidates=[0.1, 2]), 'candidates'),
        (1.5, 'mixing'),
    ],
)
def test_wrong_settings_say_what_is_wrong(mixing, message):
    with pytest.raises(ConfigError, match=message):
        build_mixing(mixing)


def test_statistics_that_are_kept_are_not_searched_for():
    from mmkd_ext.adaptation import BNStatsDistiller

    with pytest.raises(ConfigError, match='mixed'):
        BNStatsDistiller('ema', mixing='auto')
