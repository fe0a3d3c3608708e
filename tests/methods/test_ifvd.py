"""IFVD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import (
    CALM,
    SEEDS,
    as_map,
    columns,
    cosine,
    doubles,
    labelled,
    random_labels,
)

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import IFVDLoss
from mmkd_ext.methods.ifvd import class_similarity
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

# By hand. Two orthogonal features of one class are at 45 degrees to their centre; two
# equal ones at none; the third pixel belongs to no class.
STUDENT = [[[[1.0, 0.0, 7.0]], [[0.0, 1.0, 0.0]]]]
TEACHER = [[[[2.0, 2.0, 1.0]]]]
CASES = [
    LossCase(
        IFVDLoss, {'num_classes': 4}, inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)),
        extras=lambda generator: labelled(random_labels(2, 8, 10, generator=generator)),
        free_axes=[1],
        invariances={'a positive factor': lambda x: 3 * x,
                     'channels in another order': lambda x: x.flip(1)},
        values=[KnownValue(STUDENT, TEACHER, 2 * (1 - 0.5**0.5)**2 / 3,
                           'two of three pixels, by hand', labelled([[[3, 3, 255]]]))]),
]


@pytest.mark.parametrize('label', [255, -1, 19])
def test_where_all_pixels_are_ignored_the_loss_and_its_gradient_are_zero(label):
    student = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = IFVDLoss(19)(student, torch.randn(2, 5, 4, 4),
                        **labelled(torch.full((2, 8, 8), label)))
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


@pytest.mark.parametrize('size', [(9, 13), (2, 3)])
def test_labels_of_any_size_are_those_of_the_nearest_pixel(size):
    labels = torch.randint(0, 5, (2, *size))
    student, teacher = torch.randn(2, 2, 3, 4, 4)
    # nearest by hand: the pixel at floor(i * size / 4)
    rows, cols = ([i * side // 4 for i in range(4)] for side in size)
    near = labels[:, rows][:, :, cols]
    wanted = (class_similarity(student, near, num_classes=5)
              - class_similarity(teacher, near, num_classes=5)).square().mean()
    found = IFVDLoss(5)(student, teacher, **labelled(labels))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(('samples', 'error', 'message'), [
    (labelled([[[0]]])['data_samples'], ShapeError, '2 images, but there are 1'),
    (None, ShapeError, '2 images, but there are none'),
    ([SimpleNamespace(gt_instances=None)] * 2, ConfigError, 'gt_sem_seg'),
    ([*labelled(torch.zeros(1, 8, 8))['data_samples'],
      *labelled(torch.zeros(1, 8, 9))['data_samples']], ShapeError, 'differ in size')])
def test_says_what_is_wrong_with_the_samples(samples, error, message):
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(error, match=message):
        IFVDLoss(2)(x, x, data_samples=samples)


def looped(feature, labels, num_classes):
    """A loop over classes with masks as large as the feature."""
    centre = feature.clone()
    for k in range(num_classes):
        mask = (labels == k).unsqueeze(1).to(feature)
        count = mask.sum((2, 3), keepdim=True)
        mean = (mask * feature).sum((2, 3), keepdim=True) / (count + 1e-6)
        centre = (1 - mask) * centre + mask * mean
    return torch.cosine_similarity(feature, centre, dim=1)


@CALM
@given(SEEDS, st.integers(1, 6))
def test_equals_the_loop_over_classes_with_its_gradient(seed, num_classes):
    feature = doubles(2, 3, 4, 5, seed=seed)
    labels = random_labels(2, 4, 5, seed=seed)
    weight = doubles(2, 4, 5, seed=seed + 1)
    found = []
    for form in (looped, lambda f, y, k: class_similarity(f, y, num_classes=k)):
        leaf = feature.clone().requires_grad_()
        value = form(leaf, labels, num_classes)
        (weight * value).sum().backward()
        found.append((value.detach(), leaf.grad))
    # the loop adds 1e-6 to the counts, which does not change a direction
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-8)


def test_features_of_length_zero_stay_numbers():
    feature = torch.zeros(1, 3, 2, 2, requires_grad=True)
    value = class_similarity(feature, torch.zeros(1, 2, 2).long(), num_classes=2)
    value.sum().backward()
    assert not value.any()
    assert not feature.grad.any()


def slow_class_similarity(feature, labels, num_classes):
    """IFVD's variation map, class by class: ``[n][h][w]``."""
    result = []
    for image, truth in zip(feature, labels):
        positions = columns(image)
        classes = [label for row in truth for label in row]
        centres = list(positions)
        for k in range(num_classes):
            members = [f for f, label in zip(positions, classes) if label == k]
            for i, label in enumerate(classes):
                if label == k:
                    centres[i] = [sum(f[c] for f in members) / len(members)
                                  for c in range(len(image))]
        result.append(as_map(
            [1.0 if not 0 <= label < num_classes else cosine(f, centre)
             for f, centre, label in zip(positions, centres, classes)], image))
    return result


@pytest.mark.parametrize(('shape', 'num_classes'), [
    ((1, 1, 1, 1), 1), ((2, 3, 4, 5), 3), ((1, 7, 3, 1), 19)])
def test_equals_its_twin(shape, num_classes):
    feature, labels = doubles(*shape), random_labels(shape[0], *shape[2:])
    fast = class_similarity(feature, labels, num_classes=num_classes)
    slow = slow_class_similarity(feature.tolist(), labels.tolist(), num_classes)
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))
