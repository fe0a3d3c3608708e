"""What the attention distance promises."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import attention_distance

CALM = settings(derandomize=True, deadline=None, max_examples=30, database=None)
SEEDS = st.integers(0, 2**31)
POWERS = st.sampled_from([1.0, 2.0, 3.0])


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_attention_at_different_places_has_no_overlap():
    # by hand: unit vectors (1, 0) and (0, 1)
    student = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 2)
    teacher = torch.tensor([[0.0, 5.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    assert attention_distance(student, teacher).tolist() == [[[1.0, 1.0]]]


def test_power_sharpens_the_attention():
    # by hand: |4, 3| / 5 at p=1 against |16, 9| / sqrt(337) at p=2
    student = torch.tensor([4.0, -3.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    teacher = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    found = attention_distance(student, teacher, p=1.0).flatten().tolist()
    assert found == pytest.approx([0.04, 0.36])
    found = attention_distance(student, teacher).flatten().tolist()
    assert found == pytest.approx([(1 - 16 / 337**0.5)**2, 81 / 337])


@CALM
@given(SEEDS, POWERS, st.floats(0.01, 100))
def test_scale_sign_and_order_of_channels_do_not_count(seed, p, scale):
    student, teacher = noise(2, 3, 4, 5, seed=seed), noise(2, 5, 4, 5, seed=seed + 1)
    changed = scale * student.flip(1) * noise(2, 3, 4, 5, seed=seed + 2).sign()
    torch.testing.assert_close(attention_distance(changed, teacher, p=p),
                               attention_distance(student, teacher, p=p))


@CALM
@given(SEEDS, POWERS)
def test_is_zero_at_equality_and_at_most_two_an_image(seed, p):
    student, teacher = noise(2, 3, 4, 5, seed=seed), noise(2, 5, 4, 5, seed=seed + 1)
    assert not attention_distance(student, student.clone(), p=p).any()
    total = attention_distance(student, teacher, p=p).sum((1, 2))
    assert (total > 0).all()
    assert (total <= 2).all()


@pytest.mark.parametrize('p', [1.0, 2.0, 2.5])
def test_gradient_is_right(p):
    student, teacher = noise(2, 2, 2, 3), noise(2, 3, 2, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda s, t: attention_distance(s, t, p=p),
        (student.requires_grad_(), teacher.requires_grad_()))


@pytest.mark.parametrize('p', [1.0, 2.0, 4.0])
@pytest.mark.parametrize('scale', [0.0, 1e-30, 1e30])
def test_extreme_features_stay_finite_with_their_gradient(p, scale):
    student = (scale * noise(1, 3, 2, 3).float()).requires_grad_()
    value = attention_distance(student, noise(1, 3, 2, 3, seed=1).float(), p=p)
    value.sum().backward()
    assert value.isfinite().all()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(('axis', 'shape'), [
    ('n', (3, 3, 4, 5)), ('h', (2, 3, 1, 5)), ('w', (2, 3, 4, 6))])
def test_names_the_axis_that_differs(axis, shape):
    with pytest.raises(ShapeError, match=rf'Axis `{axis}` differs: `teacher` '):
        attention_distance(torch.zeros(2, 3, 4, 5), torch.zeros(shape))


@pytest.mark.parametrize('p', [0, 0.5, -1, float('nan'), '2'])
def test_refuses_other_powers(p):
    x = torch.zeros(1, 2, 2, 2)
    with pytest.raises(ConfigError, match='`p` must be a number >= 1'):
        attention_distance(x, x, p=p)
