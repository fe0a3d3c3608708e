"""What an adversary's objectives promise: closed forms, gradients, edges."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import gradient_penalty, hinge_critic, wasserstein_critic

CALM = settings(derandomize=True, deadline=None, max_examples=30, database=None)
SCORES = st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=6)
CRITICS = pytest.mark.parametrize('critic', [hinge_critic, wasserstein_critic])


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def tensors(pairs):
    return torch.tensor(pairs, dtype=torch.float64).unbind(1)


# ---- the objectives -----------------------------------------------------------------


def test_hinge_of_given_scores():
    # by hand: max(0, 1 - r) + max(0, 1 + f)
    real = torch.tensor([0.0, 1.0, 2.0, -1.5, 0.25])
    fake = torch.tensor([0.0, -1.0, -3.0, 0.5, -0.75])
    assert hinge_critic(real, fake).tolist() == [2.0, 0.0, 0.0, 4.0, 1.0]


def test_wasserstein_of_given_scores():
    real, fake = torch.tensor([0.0, 1.0, -2.0]), torch.tensor([0.5, -1.0, -2.0])
    assert wasserstein_critic(real, fake).tolist() == [0.5, -2.0, 0.0]


def test_hinge_lets_a_critic_rest_beyond_the_margin():
    real = torch.tensor([0.5, 1.5], requires_grad=True)
    fake = torch.tensor([-1.5, -0.5], requires_grad=True)
    hinge_critic(real, fake).sum().backward()
    assert real.grad.tolist() == [-1.0, 0.0]
    assert fake.grad.tolist() == [0.0, 1.0]


@CALM
@given(SCORES)
def test_hinge_is_zero_exactly_where_the_margin_is_kept(pairs):
    value = hinge_critic(*tensors(pairs))
    kept = torch.tensor([real >= 1 and fake <= -1 for real, fake in pairs])
    assert (value >= 0).all()
    assert torch.equal(value == 0, kept)


@CALM
@given(SCORES)
def test_the_sides_are_each_others_mirror(pairs):
    real, fake = tensors(pairs)
    for critic in (hinge_critic, wasserstein_critic):
        torch.testing.assert_close(critic(-fake, -real), critic(real, fake))


@CALM
@given(SCORES, st.floats(-3, 3))
def test_wasserstein_does_not_see_what_is_added_to_all_scores(pairs, shift):
    real, fake = tensors(pairs)
    torch.testing.assert_close(
        wasserstein_critic(real + shift, fake + shift),
        wasserstein_critic(real, fake),
        rtol=0,
        atol=1e-12,
    )


@CRITICS
def test_gradients_of_objectives_are_right(critic):
    sides = [noise(5, seed=seed).requires_grad_() for seed in (0, 1)]
    assert torch.autograd.gradcheck(critic, sides)


@CRITICS
@pytest.mark.parametrize('shape', [(3,), (2, 1), ()])
def test_scores_are_one_for_each_image(critic, shape):
    with pytest.raises(ShapeError, match='fake'):
        critic(torch.zeros(2), torch.zeros(shape))


# ---- the penalty --------------------------------------------------------------------


@pytest.mark.parametrize('shape', [(4,), (2, 3, 5)])
def test_the_penalty_of_a_linear_critic_is_its_length_less_one_squared(shape):
    weight = noise(*shape)
    found = 10 * gradient_penalty(
        lambda x: (weight * x).flatten(1).sum(1) + 3,
        noise(6, *shape, seed=1),
        noise(6, *shape, seed=2),
    )
    torch.testing.assert_close(found, (10 * (weight.norm() - 1) ** 2).expand(6))


def test_the_slope_is_taken_between_the_sides():
    # D = x^3 / 3 has slope x^2; between 1 and 2 the penalty is within 0 and 9
    torch.manual_seed(0)
    real, fake = torch.ones(200, 1), torch.full((200, 1), 2.0)
    found = gradient_penalty(lambda x: (x**3 / 3).sum(1), real, fake)
    assert 0 <= found.min() < 0.5
    assert 8 < found.max() <= 9
    # E (x^2 - 1)^2 for x ~ U(1, 2) is 31/5 - 14/3 + 1
    torch.testing.assert_close(
        found.mean().item(), 31 / 5 - 14 / 3 + 1, rtol=0.1, atol=0
    )


def test_places_come_from_the_generator():
    def draw(seed):
        return gradient_penalty(
            lambda x: (x**3).sum(1),
            torch.ones(3, 1),
            torch.zeros(3, 1),
            generator=torch.Generator().manual_seed(seed),
        )

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_gradients_reach_the_critic_and_neither_side():
    weight = noise(3).requires_grad_()
    sides = [noise(2, 3, seed=seed).requires_grad_() for seed in (1, 2)]
    gradient_penalty(lambda x: x @ weight, *sides).sum().backward()
    # of n entries with penalty (|w| - 1)^2 each, by hand
    length = weight.detach().norm()
    torch.testing.assert_close(
        weight.grad, 2 * 2 * (length - 1) * weight.detach() / length
    )
    assert [side.grad for side in sides] == [None, None]


def test_gradients_of_the_penalty_are_right():
    real, fake = noise(2, 3, seed=1), noise(2, 3, seed=2)

    def penalty(weight, out):
        return gradient_penalty(
            lambda x: (x @ weight).tanh() @ out,
            real,
            fake,
            generator=torch.Generator().manual_seed(0),
        )

    parameters = [noise(3, 4).requires_grad_(), noise(4, seed=3).requires_grad_()]
    assert torch.autograd.gradcheck(penalty, parameters)


def test_a_flat_critic_has_penalty_one_and_a_finite_gradient():
    # the root of a sum of squares, written out, has gradient 0/0 = NaN here
    weight = torch.zeros(3, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: x @ weight, noise(2, 3).float(), noise(2, 3, seed=1).float()
    )
    assert penalty.tolist() == [1.0, 1.0]
    penalty.sum().backward()
    assert weight.grad.tolist() == [0.0, 0.0, 0.0]


def test_the_slope_is_computed_without_gradients_too():
    with torch.no_grad():
        found = gradient_penalty(lambda x: 3 * x.sum(1), noise(2, 1), noise(2, 1))
    assert found.tolist() == [4.0, 4.0]
    assert not found.requires_grad


def test_sides_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match='`fake`'):
        gradient_penalty(lambda x: x.sum(1), torch.zeros(2, 3), torch.zeros(2, 1))
