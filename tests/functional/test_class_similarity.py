"""What the class similarity promises: the authors' loop, absent classes, gradients."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import class_similarity

CALM = settings(derandomize=True, deadline=None, max_examples=30, database=None)
SEEDS = st.integers(0, 2**31)


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def labels_of(*shape, high=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, high + 1, shape, generator=generator)
    return labels.masked_fill(labels == high, 255)


def looped(feature, labels, num_classes):
    """A loop over classes with masks as large as the feature."""
    centre = feature.clone()
    for k in range(num_classes):
        mask = (labels == k).unsqueeze(1).to(feature)
        count = mask.sum((2, 3), keepdim=True)
        mean = (mask * feature).sum((2, 3), keepdim=True) / (count + 1e-6)
        centre = (1 - mask) * centre + mask * mean
    return torch.cosine_similarity(feature, centre, dim=1)


def test_two_orthogonal_features_are_half_a_right_angle_from_their_centre():
    feature = torch.eye(2).reshape(1, 2, 1, 2)
    found = class_similarity(feature, torch.zeros(1, 1, 2).long(), num_classes=1)
    assert found.flatten().tolist() == pytest.approx([sqrt(0.5)] * 2)


def test_a_class_with_one_pixel_is_its_own_centre():
    feature = noise(1, 3, 1, 4)
    found = class_similarity(feature, torch.arange(4).reshape(1, 1, 4), num_classes=4)
    torch.testing.assert_close(found, torch.ones_like(found))


def test_centres_are_those_of_each_image():
    feature, labels = noise(3, 4, 2, 3), labels_of(3, 2, 3)
    alone = [class_similarity(feature[i:i + 1], labels[i:i + 1], num_classes=4)
             for i in range(3)]
    torch.testing.assert_close(class_similarity(feature, labels, num_classes=4),
                               torch.cat(alone))


@CALM
@given(SEEDS, st.integers(1, 6))
def test_equals_the_loop_over_classes_with_its_gradient(seed, num_classes):
    feature, labels = noise(2, 3, 4, 5, seed=seed), labels_of(2, 4, 5, seed=seed)
    weight = noise(2, 4, 5, seed=seed + 1)
    found = []
    for form in (looped, lambda f, y, k: class_similarity(f, y, num_classes=k)):
        leaf = feature.clone().requires_grad_()
        value = form(leaf, labels, num_classes)
        (weight * value).sum().backward()
        found.append((value.detach(), leaf.grad))
    # the loop adds 1e-6 to the counts, which does not change a direction
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-8)


@CALM
@given(SEEDS, st.floats(0.01, 100))
def test_a_positive_factor_and_a_rotation_do_not_count(seed, scale):
    feature, labels = noise(2, 3, 4, 5, seed=seed), labels_of(2, 4, 5, seed=seed)
    turn = torch.linalg.qr(noise(3, 3, seed=seed))[0]
    changed = scale * torch.einsum('dc,nchw->ndhw', turn, feature)
    torch.testing.assert_close(class_similarity(changed, labels, num_classes=4),
                               class_similarity(feature, labels, num_classes=4))


@CALM
@given(SEEDS)
def test_names_of_classes_do_not_count(seed):
    feature, labels = noise(2, 3, 4, 5, seed=seed), labels_of(2, 4, 5, seed=seed)
    renamed = torch.where(labels < 4, 17 - labels, labels)
    torch.testing.assert_close(class_similarity(feature, renamed, num_classes=19),
                               class_similarity(feature, labels, num_classes=4))


@pytest.mark.parametrize('label', [255, -1, 19])
def test_where_all_is_ignored_all_is_one_without_gradient(label):
    feature = noise(2, 3, 2, 2).requires_grad_()
    value = class_similarity(feature, torch.full((2, 2, 2), label), num_classes=19)
    assert (value == 1).all()
    value.sum().backward()
    assert not feature.grad.any()


def test_gradient_is_right():
    feature, labels = noise(2, 3, 2, 3).requires_grad_(), labels_of(2, 2, 3)
    assert torch.autograd.gradcheck(
        lambda x: class_similarity(x, labels, num_classes=5), (feature,))


def test_features_of_length_zero_stay_numbers():
    feature = torch.zeros(1, 3, 2, 2, requires_grad=True)
    value = class_similarity(feature, torch.zeros(1, 2, 2).long(), num_classes=2)
    value.sum().backward()
    assert not value.any()
    assert not feature.grad.any()


def test_opposite_features_have_no_centre():
    feature = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2).requires_grad_()
    value = class_similarity(feature, torch.zeros(1, 1, 2).long(), num_classes=2)
    value.sum().backward()
    assert not value.any()
    assert feature.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.int64])
def test_takes_labels_of_any_integer_type(dtype):
    feature, labels = noise(2, 3, 2, 3), labels_of(2, 2, 3)
    torch.testing.assert_close(
        class_similarity(feature, labels.to(dtype), num_classes=4),
        class_similarity(feature, labels, num_classes=4))


@pytest.mark.parametrize(('axis', 'shape'), [
    ('n', (1, 4, 5)), ('h', (2, 8, 5)), ('w', (2, 4, 1))])
def test_names_the_axis_that_differs(axis, shape):
    with pytest.raises(ShapeError, match=rf'Axis `{axis}` differs: `labels` '):
        class_similarity(torch.zeros(2, 3, 4, 5), torch.zeros(shape).long(),
                         num_classes=2)


@pytest.mark.parametrize('count', [0, -1, '19', None])
def test_refuses_no_classes(count):
    with pytest.raises(ConfigError, match='`num_classes` must be an integer >= 1'):
        class_similarity(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1).long(),
                         num_classes=count)
