"""The parts that all methods share."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmkd_ext.adaptation.ema import EMATeacher
from mmkd_ext.adaptation.pseudo_labels import (
    IGNORE,
    entropy,
    hard_cross_entropy,
    hard_labels,
    soft_cross_entropy,
    weighted_mean,
)
from mmkd_ext.adaptation.randomness import SeededGenerator
from mmkd_ext.adaptation.restore import StochasticRestore
from mmkd_ext.adaptation.samples import without_truth
from mmkd_ext.adaptation.source import SourceCopy, fingerprint
from mmkd_ext.adaptation.trainable import select_parameters
from mmkd_ext.adaptation.views import COTTA_VIEWS, View, build_views, mean_probabilities
from mmkd_ext.errors import ConfigError


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1), nn.GroupNorm(1, 2)
    )


# ---- trainable --------------------------------------------------------------------


def test_norm_means_scale_and_shift_of_every_kind_of_normalisation():
    assert list(select_parameters(net(), 'norm')) == [
        '1.weight', '1.bias', '3.weight', '3.bias',
    ]  # fmt: skip


def test_all_means_every_parameter():
    assert len(select_parameters(net(), 'all')) == 8


def test_patterns_choose_by_name_in_the_order_of_the_network():
    assert list(select_parameters(net(), ['2.*', '0.bias'])) == [
        '0.bias', '2.weight', '2.bias',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('trainable', 'message'),
    [
        ('nrom', 'Did you mean `norm`'),
        (['5.weight'], 'matches no parameter. Did you mean'),
    ],
)
def test_a_wrong_selection_says_what_would_fit(trainable, message):
    with pytest.raises(ConfigError, match=message):
        select_parameters(net(), trainable)


def test_norm_is_refused_where_there_is_none():
    with pytest.raises(ConfigError, match='no normalisation layer'):
        select_parameters(nn.Conv2d(1, 1, 1), 'norm')


# ---- random numbers ---------------------------------------------------------------


def test_a_generator_goes_on_from_its_state_dict():
    ours, theirs = SeededGenerator(1), SeededGenerator(2)
    torch.rand(5, generator=ours.on('cpu'))
    theirs.load_state_dict(ours.state_dict())
    twin = copy.deepcopy(ours)
    drawn = [torch.rand(4, generator=g.on('cpu')) for g in (ours, theirs, twin)]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_a_generator_leaves_the_global_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(9, generator=SeededGenerator(3).on('cpu'))
    assert torch.equal(torch.rand(1), expected)


# ---- source -----------------------------------------------------------------------


def test_the_fingerprint_sees_one_bit():
    ours, theirs = net(), net()
    assert fingerprint(ours) == fingerprint(theirs)
    with torch.no_grad():
        theirs[1].running_var[2] += 1e-6
    assert fingerprint(ours) != fingerprint(theirs)


def test_the_source_gives_back_weights_and_statistics_in_place():
    student = net()
    source = SourceCopy(student)
    source.snapshot(student)
    before = copy.deepcopy(student.state_dict())
    weight = student[0].weight
    with torch.no_grad():
        for value in student.state_dict().values():
            value.add_(1)
    source.restore(student)
    assert student[0].weight is weight
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    assert not any(p.requires_grad for p in source.module.parameters())


# ---- teacher ----------------------------------------------------------------------


def test_a_teacher_without_decay_is_the_student_of_the_step_before():
    student = net()
    teacher = EMATeacher(student, decay=0.0)
    with torch.no_grad():
        student[0].weight.add_(1)
    teacher.update(student)
    assert torch.equal(teacher.module[0].weight, student[0].weight)


def test_the_average_of_two_steps_by_hand():
    student = nn.Linear(1, 1, bias=False)
    nn.init.constant_(student.weight, 0.0)
    teacher = EMATeacher(student, decay=0.9)
    for value in (1.0, 2.0):
        nn.init.constant_(student.weight, value)
        teacher.update(student)
    # 0.9 * (0.9 * 0 + 0.1 * 1) + 0.1 * 2
    assert teacher.module.weight.item() == pytest.approx(0.29)


@pytest.mark.parametrize(
    ('buffers', 'expected'), [('keep', 0.0), ('copy', 4.0), ('average', 1.0)]
)
def test_running_statistics_follow_as_asked(buffers, expected):
    student = nn.BatchNorm1d(1)
    teacher = EMATeacher(student, decay=0.75, buffers=buffers)
    student.running_mean.fill_(4.0)
    teacher.update(student)
    assert teacher.module.running_mean.item() == expected


def test_a_teacher_stays_in_eval_mode_and_frozen():
    teacher = EMATeacher(net(), decay=0.5).train()
    assert not any(m.training for m in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())


# ---- restore ----------------------------------------------------------------------


def restored(p, size=20000, seed=0):
    weights = {'w': torch.zeros(size)}
    StochasticRestore(p, seed)(weights, {'w': torch.ones(size)})
    return weights['w']


def test_restoring_everything_is_the_source_and_nothing_is_the_student():
    assert restored(1.0).eq(1).all()
    assert restored(0.0).eq(0).all()


def test_about_a_share_of_p_is_restored():
    # 20000 draws: three standard deviations are 0.0064
    assert restored(0.1).mean().item() == pytest.approx(0.1, abs=0.0064)


def test_restores_the_same_from_the_same_seed():
    assert torch.equal(restored(0.5, seed=4), restored(0.5, seed=4))
    assert not torch.equal(restored(0.5, seed=4), restored(0.5, seed=5))


# ---- views ------------------------------------------------------------------------


def test_the_views_of_cotta_are_seven_scales_each_flipped():
    assert len(COTTA_VIEWS) == 14
    assert build_views('cotta') == COTTA_VIEWS
    # the cost in forward passes that 14 views of an image have
    assert sum(v.scale**2 for v in COTTA_VIEWS) == pytest.approx(2 * 12.6875)


def test_a_flip_comes_back_exactly():
    image = torch.rand(2, 3, 5, 7)
    view = View(flip=True)
    assert torch.equal(view.undo(view.apply(image), (5, 7)), image)


@given(
    scale=st.floats(0.3, 2.0), flip=st.booleans(), height=st.integers(4, 12),
)  # fmt: skip
def test_every_view_comes_back_at_the_size_of_the_image(scale, flip, height):
    view = View(scale=scale, flip=flip)
    scores = view.apply(torch.rand(1, 3, height, 9))
    assert view.undo(scores, (height, 9)).shape == (1, 3, height, 9)


def test_random_views_follow_their_generator_and_leave_the_image():
    image = torch.rand(1, 3, 4, 4)
    before = image.clone()
    view = View(brightness=0.3, contrast=0.2, noise=0.1)
    drawn = [
        view.apply(image, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(image, before)


def test_the_mean_over_views_of_a_network_without_memory_of_place():
    conv = nn.Conv2d(3, 4, 1)
    image = torch.rand(1, 3, 6, 8)
    found = mean_probabilities(conv, image, build_views([1.0, 'flip']))
    # a 1 x 1 convolution sees the same pixels, whichever way around
    torch.testing.assert_close(found, conv(image).softmax(1))
    torch.testing.assert_close(found.sum(1), torch.ones(1, 6, 8))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('cota', "must be None, 'cotta' or a list"),
        ([], "must be None, 'cotta' or a list"),
        ([dict(scal=2)], 'Did you mean `scale`'),
        (['flop'], r'views\[0\]'),
        ([0], 'views.scale'),
    ],
)
def test_wrong_views_say_what_is_wrong(config, message):
    with pytest.raises(ConfigError, match=message):
        build_views(config)


# ---- labels -----------------------------------------------------------------------


def test_entropy_by_hand():
    # a fair coin has log 2, a sure thing 0
    logits = torch.tensor([[0.0, 80.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    torch.testing.assert_close(
        entropy(logits), torch.tensor([[[math.log(2), 0.0]]]), atol=1e-6, rtol=0
    )


@given(seed=st.integers(0, 50), classes=st.integers(2, 6))
def test_entropy_lies_between_zero_and_log_k(seed, classes):
    logits = torch.randn(1, classes, 2, 3, generator=torch.manual_seed(seed)) * 5
    found = entropy(logits)
    assert (found >= -1e-6).all()
    assert (found <= math.log(classes) + 1e-5).all()


def test_entropy_in_plain_loops():
    logits = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    for n in range(2):
        for y in range(2):
            for x in range(2):
                exp = [math.exp(float(v)) for v in logits[n, :, y, x]]
                p = [e / sum(exp) for e in exp]
                expected = -sum(v * math.log(v) for v in p)
                assert entropy(logits)[n, y, x].item() == pytest.approx(expected)


def test_gradients_of_the_losses():
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[[0, 2], [IGNORE, 1]]])
    soft = torch.rand(1, 3, 2, 2, dtype=torch.float64).softmax(1)
    for loss in (
        entropy,
        lambda z: hard_cross_entropy(z, labels),
        lambda z: soft_cross_entropy(z, soft),
    ):
        assert torch.autograd.gradcheck(loss, logits)


def test_soft_and_hard_cross_entropy_agree_on_sure_labels():
    logits = torch.randn(1, 4, 3, 3)
    labels = torch.randint(0, 4, (1, 3, 3))
    sure = nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(
        soft_cross_entropy(logits, sure), hard_cross_entropy(logits, labels)
    )


def test_labels_below_the_threshold_are_ignored():
    probabilities = torch.tensor([[0.6, 0.9], [0.4, 0.1]]).view(1, 2, 1, 2)
    assert hard_labels(probabilities, 0.69).tolist() == [[[IGNORE, 0]]]
    assert hard_labels(probabilities).tolist() == [[[0, 0]]]


def test_the_weighted_mean_counts_what_has_weight():
    values = torch.tensor([[[1.0, 2.0, 6.0]]])
    mask = torch.tensor([[[True, False, True]]])
    assert weighted_mean(values, mask).item() == pytest.approx(3.5)
    assert weighted_mean(values).item() == 3.0
    assert weighted_mean(values, torch.zeros(1, 1, 3)).item() == 0.0


# ---- samples ----------------------------------------------------------------------


@pytest.mark.mmseg
def test_samples_lose_the_truth_and_the_way_to_it():

    import adapt_toys as toys

    given_ = toys.batch()['data_samples']
    given_[0].set_data(dict(instances_ids=torch.ones(1)))
    blind = without_truth(given_)[0]
    assert not blind.keys()
    assert 'seg_map_path' not in blind.metainfo
    assert blind.metainfo['img_path'] == given_[0].metainfo['img_path']
    assert 'gt_sem_seg' in given_[0]
