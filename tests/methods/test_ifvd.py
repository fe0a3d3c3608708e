"""IFVD: cases for the laws, and what is special to the class."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import class_similarity
from mmkd_ext.methods import IFVDLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


def sample(labels):
    return SimpleNamespace(gt_sem_seg=SimpleNamespace(data=torch.as_tensor(labels)))


def samples(*shape, high=4):
    def draw(generator):
        labels = torch.randint(0, high + 1, shape, generator=generator)
        labels = labels.masked_fill(labels == high, 255)
        return {'data_samples': [sample(one[None]) for one in labels]}

    return draw


# By hand. Two orthogonal features of one class are at 45 degrees to their centre; two
# equal ones at none; the third pixel belongs to no class.
STUDENT = [[[[1.0, 0.0, 7.0]], [[0.0, 1.0, 0.0]]]]
TEACHER = [[[[2.0, 2.0, 1.0]]]]
TRUTH = {'data_samples': [sample([[3, 3, 255]])]}

CASES = [
    LossCase(
        IFVDLoss, {'num_classes': 4},
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)), extras=samples(2, 8, 10),
        free_axes=[1],
        invariances={'a positive factor': lambda x: 3 * x,
                     'channels in another order': lambda x: x.flip(1)},
        values=[KnownValue(STUDENT, TEACHER, 2 * (1 - 0.5**0.5)**2 / 3,
                           'two of three pixels, by hand', TRUTH)],
    ),
]


@pytest.mark.parametrize('labels', [
    torch.full((1, 8, 8), 255), torch.full((1, 8, 8), -1), torch.full((8, 8), 19)])
def test_where_all_pixels_are_ignored_the_loss_and_its_gradient_are_zero(labels):
    student = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = IFVDLoss(19)(student, torch.randn(2, 5, 4, 4),
                        data_samples=[sample(labels)] * 2)
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


def test_one_image_of_one_class_works():
    student = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = IFVDLoss(19)(student, torch.randn(1, 5, 4, 4),
                        data_samples=[sample(torch.zeros(1, 16, 16).long())])
    loss.backward()
    assert loss > 0
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('size', [(8, 8), (9, 13), (16, 17), (2, 3), (4, 4)])
def test_labels_of_any_size_are_those_of_the_nearest_pixel(size):
    labels = torch.randint(0, 5, (2, *size))
    student, teacher = torch.randn(2, 2, 3, 4, 4)
    # nearest by hand: the pixel at floor(i * size / 4)
    rows, cols = ([i * side // 4 for i in range(4)] for side in size)
    near = labels[:, rows][:, :, cols]
    wanted = (class_similarity(student, near, num_classes=5)
              - class_similarity(teacher, near, num_classes=5)).square().mean()
    found = IFVDLoss(5)(student, teacher,
                        data_samples=[sample(one[None]) for one in labels])
    torch.testing.assert_close(found, wanted)


def test_ignored_pixels_stay_in_the_mean():
    student, teacher = torch.randn(2, 1, 3, 1, 4)
    half = IFVDLoss(2)(student, teacher, data_samples=[sample([[0, 0, 255, 255]])])
    alone = IFVDLoss(2)(student[..., :2], teacher[..., :2],
                        data_samples=[sample([[0, 0]])])
    torch.testing.assert_close(half, alone / 2)


def looped(student, teacher, labels, num_classes):
    """The loss class by class, with masks as large as the map."""
    sides = []
    for x in (student, teacher):
        centre = x
        for k in range(num_classes):
            mask = (labels == k)[:, None].to(x)
            mean = (mask * x).sum((2, 3)) / (mask.sum((2, 3)) + 1e-12)
            centre = centre.where(mask == 0, mean[:, :, None, None])
        sides.append(torch.cosine_similarity(x, centre, dim=1))
    return (sides[0] - sides[1]).square().mean()


@pytest.mark.parametrize('ignored', [0.0, 0.3, 0.97, 1.0])
@pytest.mark.parametrize('num_classes', [1, 4, 19])
def test_value_and_gradient_are_those_of_a_loop_over_classes(ignored, num_classes):
    generator = torch.Generator().manual_seed(num_classes)
    student = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    teacher = torch.randn(2, 4, 5, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, num_classes, (2, 5, 7), generator=generator)
    labels[torch.rand(2, 5, 7, generator=generator) < ignored] = 255
    found = []
    for form in (
            lambda s, t: looped(s, t, labels, num_classes),
            lambda s, t: IFVDLoss(num_classes)(
                s, t, data_samples=[sample(one[None]) for one in labels])):
        leaf = student.clone().requires_grad_()
        value = form(leaf, teacher)
        value.backward()
        found.append((value.detach(), leaf.grad))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)
    assert not found[1][1].movedim(1, 3)[labels == 255].any()


def test_ignored_pixels_move_no_centre():
    student, teacher = torch.randn(2, 1, 3, 1, 4)
    truth = {'data_samples': [sample([[0, 255, 0, 0]])]}
    before = IFVDLoss(2)(student, teacher, **truth)
    student[..., 1], teacher[..., 1] = 1e6, -1e6
    torch.testing.assert_close(IFVDLoss(2)(student, teacher, **truth), before)


def test_counts_samples():
    x = torch.zeros(2, 3, 4, 4)
    for given, found in (([sample([[0]])], '1'), (None, 'none')):
        with pytest.raises(ShapeError, match=f'of 2 images, but there are {found}'):
            IFVDLoss(2)(x, x, data_samples=given)


def test_says_that_samples_have_no_labels():
    x = torch.zeros(1, 3, 4, 4)
    with pytest.raises(ConfigError, match=r'no `gt_sem_seg\.data` .`SimpleNamespace`'):
        IFVDLoss(2)(x, x, data_samples=[SimpleNamespace(gt_instances=None)])


def test_says_that_label_maps_differ_in_size():
    x = torch.zeros(2, 3, 4, 4)
    given = [sample(torch.zeros(1, 8, 8)), sample(torch.zeros(1, 8, 9))]
    with pytest.raises(ShapeError, match=r'differ in size: \[\(8, 8\), \(8, 9\)\]'):
        IFVDLoss(2)(x, x, data_samples=given)


@pytest.mark.parametrize('count', [0, -1, '19', None])
def test_refuses_no_classes(count):
    with pytest.raises(ConfigError, match='`num_classes` must be an integer >= 1'):
        IFVDLoss(count)


def test_takes_the_samples_of_the_batch():
    assert IFVDLoss.arguments() == {
        'preds_S': True, 'preds_T': True, 'data_samples': True}
    assert IFVDLoss.any_shape == {'channels'}
