"""SKDS's holistic term: cases for the laws, and who learns from what."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import gradient_penalty
from mmkd_ext.methods import SKDSDiscriminator, SKDSHolisticLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SMALL = {'channels': 2, 'widths': (4, 8), 'attention': 1}


def pictures(generator):
    return {'inputs': torch.randn(2, 3, 16, 20, generator=generator)}


def summing(**arguments):
    """A loss whose discriminator adds up all it sees, times 0.5, plus 0.25."""
    loss = SKDSHolisticLoss(
        2,
        widths=(1,),
        attention=0,
        spectral_norm=False,
        conditional=True,
        discriminator_weight=1.0,
        **arguments,
    )
    for layer, weight, bias in (
        (loss.discriminator.convs[0], 1.0, 0.0),
        (loss.discriminator.score, 0.5, 0.25),
    ):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    return loss


NO_DISTANCE = {
    'teacher_detach_is_a_choice': "the student's term does not look at the teacher",
    'zero_at_equality': 'it is minus a score, and no distance',
}

CASES = [
    LossCase(
        SKDSHolisticLoss,
        SMALL,
        inputs=pair(2, 2, 5, 4),
        exempt=NO_DISTANCE,
    ),
    LossCase(
        SKDSHolisticLoss,
        {**SMALL, 'conditional': True},
        inputs=pair(2, 2, 5, 4),
        extras=pictures,
        exempt=NO_DISTANCE,
        name='conditional',
    ),
    LossCase(
        SKDSHolisticLoss,
        {**SMALL, 'mode': 'wgan-gp'},
        inputs=pair(2, 2, 4, 4),
        exempt=NO_DISTANCE,
    ),
    LossCase(
        summing,
        inputs=pair(2, 2, 4, 5),
        extras=pictures,
        exempt=NO_DISTANCE,
        values=[
            KnownValue(
                [[[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]]],
                [[[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]],
                -9.25,
                'by hand: -(0.5 (1 + 2 + 3 + 12 x 1) + 0.25)',
                extras={'inputs': torch.ones(1, 3, 4, 4)},
            )
        ],
    ),
]


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sides(size=(8, 8), seed=0):
    return {
        'preds_S': noise(2, 2, *size, seed=seed),
        'preds_T': 3 * noise(2, 2, *size, seed=seed + 1),
        'inputs': noise(2, 3, 16, 16, seed=seed + 2),
    }


def built(mode='hinge', **arguments):
    torch.manual_seed(0)
    return SKDSHolisticLoss(**{**SMALL, 'mode': mode, **arguments})


def conditional(**arguments):
    return built(conditional=True, **arguments)


MODES = pytest.mark.parametrize('mode', ['hinge', 'wgan-gp'])


# ---- who learns from what -----------------------------------------------------------


@MODES
def test_the_students_term_does_not_reach_the_discriminator(mode):
    loss, batch = built(mode), sides()
    batch['preds_S'].requires_grad_()
    loss(**batch).backward()
    assert batch['preds_S'].grad.abs().sum() > 0
    assert all(p.grad is None for p in loss.parameters())


def test_the_students_term_leaves_the_discriminator_as_it_is():
    loss, batch = built(), sides()
    before = copy.deepcopy(loss.state_dict())
    assert torch.equal(loss(**batch), loss(**batch))
    assert all(torch.equal(v, before[k]) for k, v in loss.state_dict().items())
    assert all(module.training for module in loss.modules())
    loss.discriminator_loss(**batch)
    assert not all(torch.equal(v, before[k]) for k, v in loss.state_dict().items())


@MODES
def test_the_discriminators_objective_does_not_reach_student_and_teacher(mode):
    loss, batch = built(mode), sides()
    for key in ('preds_S', 'preds_T'):
        batch[key].requires_grad_()
    loss.discriminator_loss(**batch).backward()
    assert all(side.grad is None for side in batch.values())
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, name  # DDP waits for each of them
    assert loss.discriminator.score.weight.grad.any()


class Alternating:
    """The same, step after step, as papers on adversaries write it."""

    def __init__(self, loss, student, mode):
        self.net, self.student, self.mode = loss.discriminator, student, mode
        self.optimizers = optimizers(student, self.net)

    def step(self, x, teacher, image):
        logits = self.student(x)
        self.net.requires_grad_(False).eval()
        score = self.net(logits, image)
        (F.mse_loss(logits, teacher) - 0.1 * score.mean()).backward()
        self.optimizers[0].step()
        self.optimizers[0].zero_grad()

        self.net.requires_grad_(True).train()
        logits = logits.detach()
        fake, real = self.net.judge(
            torch.cat([self.net.prepare(x, image) for x in (logits, teacher)])
        ).chunk(2)
        if self.mode == 'hinge':
            loss = (F.relu(1 - real) + F.relu(1 + fake)).mean()
        else:
            loss = (fake - real).mean() + 10 * gradient_penalty(
                lambda z: self.net(z, image), teacher, logits
            ).mean()
        (0.1 * loss).backward()
        self.optimizers[1].step()
        self.optimizers[1].zero_grad()


def optimizers(student, net):
    return (
        torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9),
        torch.optim.Adam(net.parameters(), lr=4e-4, betas=(0.9, 0.99)),
    )


@MODES
@pytest.mark.parametrize('sees', [False, True])
def test_one_backward_for_both_equals_stepping_in_turn(mode, sees):
    loss = built(mode, loss_weight=0.1, conditional=sees)
    torch.manual_seed(1)
    student = nn.Conv2d(3, 2, 3, padding=1)
    twin = Alternating(copy.deepcopy(loss), copy.deepcopy(student), mode)
    both = optimizers(student, loss.discriminator)
    start = copy.deepcopy(loss.state_dict())
    for step in range(4):
        x, teacher = noise(2, 3, 8, 8, seed=step), noise(2, 2, 8, 8, seed=step + 9)
        torch.manual_seed(step)  # places of the penalty
        logits = student(x)
        one = {'preds_S': logits, 'preds_T': teacher, 'inputs': x}
        total = F.mse_loss(logits, teacher) + loss(**one)
        (total + loss.discriminator_loss(**one)).backward()
        for optimizer in both:
            optimizer.step()
            optimizer.zero_grad()
        torch.manual_seed(step)
        twin.step(x, teacher, x)
    for ours, theirs in ((student, twin.student), (loss.discriminator, twin.net)):
        theirs = theirs.state_dict()
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-6, msg=name)
    still = {
        name
        for name, value in loss.state_dict().items()
        if torch.equal(value, start[name])
    }
    # one row has no direction to find; a bias is added to both sides' scores
    score = 'discriminator.score'
    row = {f'{score}.parametrizations.weight.0._u'} if sees else set()
    assert still == {f'{score}.bias', *row}


def test_loss_weight_scales_the_students_term_alone():
    batch = sides()
    for weight in (0.0, 0.1):
        loss = built(loss_weight=weight)
        torch.testing.assert_close(loss(**batch), weight * built()(**batch))
        torch.testing.assert_close(
            built(loss_weight=weight).discriminator_loss(**batch),
            built().discriminator_loss(**batch),
        )


# ---- values by hand -----------------------------------------------------------------


def test_the_discriminators_objective_by_hand():
    # pixels sum to 4 and to -40; a picture of zeros; the slope below 0 is 0.1
    student = torch.ones(1, 2, 1, 2)
    teacher = torch.full((1, 2, 1, 2), -10.0)
    picture = torch.zeros(1, 3, 4, 8)
    fake, real = 0.5 * 4 + 0.25, 0.5 * 0.1 * -40 + 0.25
    hinge = summing().discriminator_loss(student, teacher, inputs=picture)
    assert hinge.item() == pytest.approx((1 - real) + (1 + fake))
    wasserstein = summing(mode='wgan-gp', penalty=0.0)
    value = wasserstein.discriminator_loss(student, teacher, inputs=picture)
    assert value.item() == pytest.approx(fake - real)


def test_the_penalty_of_a_sum_by_hand():
    # both sides positive: D = 0.5 sum + 0.25 has a slope of 0.5 in each of 4 values
    sides = torch.ones(1, 2, 1, 2), torch.full((1, 2, 1, 2), 2.0)
    picture = torch.zeros(1, 3, 4, 8)
    value = summing(mode='wgan-gp').discriminator_loss(*sides, inputs=picture)
    slope = (4 * 0.5**2) ** 0.5
    assert value.item() == pytest.approx((2 - 4) + 10 * (slope - 1) ** 2)
    wider = torch.ones(1, 2, 2, 2)
    value = summing(mode='wgan-gp').discriminator_loss(
        wider, 2 * wider, inputs=torch.zeros(1, 3, 4, 4)
    )
    assert value.item() == pytest.approx((4 - 8) + 10 * (2**0.5 - 1) ** 2, rel=1e-5)


def test_levels_are_summed():
    loss, one, two = summing(), sides(), sides((4, 4), seed=5)
    values = [
        loss.discriminator_loss(**{**batch, 'inputs': one['inputs']})
        for batch in (one, two)
    ]
    whole = loss.discriminator_loss(
        (one['preds_S'], two['preds_S']),
        [one['preds_T'], two['preds_T']],
        inputs=one['inputs'],
    )
    torch.testing.assert_close(whole, sum(values))


@MODES
def test_the_discriminator_computes_in_float32_under_autocast(mode):
    batch = {key: side.bfloat16() for key, side in sides().items()}
    torch.manual_seed(3)
    exact = built(mode).discriminator_loss(
        **{key: side.float() for key, side in batch.items()}
    )
    with torch.autocast('cpu', torch.bfloat16):
        torch.manual_seed(3)
        value = built(mode).discriminator_loss(**batch)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, exact)


# ---- the discriminator --------------------------------------------------------------


@pytest.mark.parametrize('size', [(1, 1), (3, 8), (64, 128), (65, 65)])
def test_takes_maps_of_any_size(size):
    net = SKDSDiscriminator(2, widths=(2, 2, 2, 2))
    found = net(noise(2, 2, *size), noise(2, 3, 70, 140))
    assert found.shape == (2, 5 if size == (64, 128) else 1)
    net = SKDSDiscriminator(2, widths=(2, 2, 2, 2), conditional=True)
    assert net(noise(2, 2, *size), noise(2, 3, 70, 140)).shape == (2, 1)


def test_by_default_it_is_the_authors():
    # sees the classes alone, normalised; the last convolution is 4x4, valid and bare
    net = SKDSDiscriminator(19)
    assert [conv.in_channels for conv in net.convs] == [19, 64, 128, 256]
    assert (net.score.kernel_size, net.score.padding) == ((4, 4), (0, 0))
    assert (net.score.in_channels, net.score.out_channels) == (512, 1)
    assert not hasattr(net.score, 'parametrizations')
    assert all(hasattr(conv, 'parametrizations') for conv in net.convs)
    seeing = [isinstance(one, nn.Identity) for one in net.attentions]
    assert seeing == [True, True, False, False]
    # 512 x 512 crops at stride 8, theirs are of 65 x 65
    small = SKDSDiscriminator(2, widths=(2, 2, 2, 2))
    for side in (64, 65):
        assert small(noise(1, 2, side, side)).shape == (1, 1)


def test_logits_are_normalised_by_their_own_batch():
    net = built().discriminator.double()
    logits = noise(3, 2, 8, 8).double()
    moved = logits * torch.tensor([3.0, 7.0])[:, None, None] + 5
    torch.testing.assert_close(
        net.prepare(moved), net.prepare(logits), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        net.eval().prepare(logits), net.train().prepare(logits)
    )
    # so each side's mean is hidden from it
    loss = built().double()
    hinge = loss.compute_discriminator(logits, logits + 5)
    torch.testing.assert_close(hinge, loss.compute_discriminator(logits, logits))


def test_a_hinge_of_several_scores_is_a_mean_of_hinges():
    loss = built(discriminator_weight=0.5).eval()
    student, teacher = noise(2, 2, 16, 24), 3 * noise(2, 2, 16, 24, seed=1)
    fake, real = (loss.discriminator(x) for x in (student, teacher))
    assert fake.shape == (2, 3)
    wanted = (1 - real).relu().mean() + (1 + fake).relu().mean()
    torch.testing.assert_close(
        loss.discriminator_loss(student, teacher), 0.5 * wanted
    )
    torch.testing.assert_close(loss(student, teacher), -fake.mean())


def test_the_discriminators_objective_weighs_a_tenth_as_published():
    batch = sides()
    torch.testing.assert_close(
        built().discriminator_loss(**batch),
        0.1 * built(discriminator_weight=1.0).discriminator_loss(**batch),
    )


def test_looks_at_the_picture_too():
    net, logits = conditional().discriminator.eval(), noise(2, 2, 8, 8)
    scores = [net(logits, noise(2, 3, 16, 16, seed=seed)) for seed in (0, 1)]
    assert not torch.allclose(*scores)


def test_scores_each_image_by_itself():
    # so the slope of the sum of scores is the slope of each
    net, (logits, image) = (
        conditional().discriminator.eval(),
        (noise(3, 2, 8, 8), noise(3, 3, 16, 16)),
    )
    alone = [net(logits[i : i + 1], image[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(net(logits, image), torch.cat(alone))


def test_spectral_norm_holds_the_largest_singular_value_at_one():
    net = SKDSDiscriminator(2, widths=(8, 16), conditional=True)
    for conv in [*net.convs, net.score]:
        nn.init.normal_(conv.parametrizations.weight.original, std=3.0)
    for _ in range(200):
        net(noise(1, 2, 2, 2), noise(1, 3, 2, 2))
    with torch.no_grad():
        for conv in [*net.convs, net.score]:
            largest = torch.linalg.svdvals(conv.weight.flatten(1))[0].item()
            assert largest == pytest.approx(1, rel=0.02)


def test_what_is_owned_is_in_the_state_dict():
    names = set(built().state_dict())
    assert all(name.startswith('discriminator.') for name in names)
    assert 'discriminator.convs.0.parametrizations.weight.0._u' in names


def test_logits_of_different_sizes_are_aligned_to_the_teachers():
    loss, student, teacher = built(), noise(2, 2, 4, 4), noise(2, 2, 8, 6)
    aligner = plan_alignment(loss, student, teacher, classes=True)
    assert aligner.describe() == 'bilinear to the teacher'
    aligned = aligner(student, teacher)
    assert loss(aligned, teacher, inputs=noise(2, 3, 16, 16)).isfinite()
    with pytest.raises(ShapeError, match='`teacher`'):
        loss(student, teacher, inputs=noise(2, 3, 16, 16))


# ---- refused ------------------------------------------------------------------------


def test_another_number_of_classes_is_named_before_training():
    side = noise(1, 5, 4, 4)
    with pytest.raises(ShapeError, match=r'`channels=2`.*5 classes.*`channels=5`'):
        built().check_pair(side, side)
    with pytest.raises(ShapeError, match='`channels=5` in the loss'):
        built()(side, side, inputs=noise(1, 3, 8, 8))


def test_a_missing_picture_is_named_with_what_to_write():
    batch = sides()
    del batch['inputs']
    assert built()(**batch).isfinite()
    for compare in (conditional(), conditional().discriminator_loss):
        with pytest.raises(
            ShapeError, match="inputs=dict\\(of='batch', at='inputs'\\)"
        ):
            compare(**batch)


@pytest.mark.parametrize('picture', [(2, 1, 16, 16), (3, 3, 16, 16), (3, 16, 16)])
def test_pictures_that_do_not_belong_to_the_logits_are_refused(picture):
    with pytest.raises(ShapeError, match='`inputs`'):
        conditional()(**{**sides(), 'inputs': noise(*picture)})


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        ({'mode': 'wgan'}, "'hinge', 'wgan-gp'"),
        ({'penalty': -1}, '`penalty`'),
        ({'channels': 0}, '`channels`'),
        ({'discriminator_weight': -1}, '`discriminator_weight`'),
        ({'image_channels': 0, 'conditional': True}, '`image_channels`'),
        ({'attention': 3}, 'follows 3 convolutions'),
        ({'widths': (), 'attention': 0}, 'at least one width'),
    ],
)
def test_wrong_settings_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        built(**wrong)
