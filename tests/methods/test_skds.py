"""SKDS: cases for the laws, the discriminator, who learns from what, the slow twins."""

from __future__ import annotations

import copy
import math
from math import ceil, floor, sqrt

import pytest
import torch
import torch.nn.functional as F
from slow_parts import doubles, noise
from torch import nn

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import SKDSDiscriminator, SKDSHolisticLoss, SKDSPairwiseLoss
from mmkd_ext.methods.skds import gradient_penalty, hinge_critic, wasserstein_critic
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

# By hand. Two regions, one pixel each; orthogonal for the student, equal for the
# teacher: of the four cosines two differ, by 1.
STUDENT = [[[[1.0, 0.0]], [[0.0, 1.0]]]]
TEACHER = [[[[2.0, 3.0]]]]
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0),
                                   dtype=torch.float64))[0]
PAIRWISE_CASES = [
    LossCase(
        SKDSPairwiseLoss,
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)),
        free_axes=[1],
        invariances={'a positive factor': lambda x: 3 * x},
        values=[KnownValue(STUDENT, TEACHER, 0.5, '(1 + 1) / 2**2 by hand')],
        exempt={'gradients_are_right':
                'lengths are constants in the backward pass, as in the authors\' code'},
    ),
    LossCase(
        SKDSPairwiseLoss, {'norm_gradient': True},
        inputs=pyramid((2, 3, 4, 4), (2, 3, 3, 3)), free_axes=[1]),
    LossCase(
        # every pixel a region, more of them than channels: the Gram form
        SKDSPairwiseLoss, {'scale': 0.01, 'norm_gradient': True},
        inputs=pair(2, 3, 3, 4, teacher=(2, 2, 3, 4)), free_axes=[1],
        invariances={'a rotation of the features': lambda x: torch.einsum(
            'dc,nchw->ndhw', TURN.to(x), x)}),
]


@pytest.mark.parametrize(('size', 'regions'), [((8, 8), 4), ((65, 65), 9), ((1, 2), 2)])
def test_regions_are_two_by_two_or_three_where_the_size_is_odd(size, regions):
    # a student of one direction and a teacher of as many as there are regions: all
    # but the diagonal differ by 1
    windows = [max(1, side // 2) for side in size]
    rows, cols = (-(-side // window) for side, window in zip(size, windows))
    assert rows * cols == regions
    teacher = torch.eye(regions).reshape(1, regions, rows, cols)
    teacher = teacher.repeat_interleave(windows[0], 2).repeat_interleave(windows[1], 3)
    loss = SKDSPairwiseLoss()(torch.ones(1, 2, *size),
                              teacher[:, :, :size[0], :size[1]])
    torch.testing.assert_close(loss.item(), 1 - 1 / regions)


def test_a_region_is_its_strongest_activation():
    # by hand: max of (1, 5) and (4, 2) for channel 0; (0, 3) and (0, 0) for channel 1
    student = torch.tensor([[[1.0, 5.0, 4.0, 2.0]], [[0.0, 3.0, 0.0, 0.0]]])[None]
    cosine = 5 / 34**0.5
    loss = SKDSPairwiseLoss()(student, torch.ones(1, 1, 1, 4))
    torch.testing.assert_close(loss.item(), 2 * (1 - cosine)**2 / 4)


@pytest.mark.parametrize('scale', [0, 1.5])
def test_refuses_a_scale_beyond_the_map(scale):
    with pytest.raises(ConfigError, match='`scale`'):
        SKDSPairwiseLoss(scale=scale)


SMALL = {'channels': 2, 'widths': (4, 8), 'attention': 1}


def pictures(generator):
    return {'inputs': torch.randn(2, 3, 16, 20, generator=generator)}


def summing(**arguments):
    """A loss whose discriminator adds up all it sees, times 0.5, plus 0.25."""
    loss = SKDSHolisticLoss(
        2, widths=(1,), attention=0, spectral_norm=False, conditional=True,
        discriminator_weight=1.0, **arguments)
    for layer, weight, bias in (
            (loss.discriminator.convs[0], 1.0, 0.0),
            (loss.discriminator.score, 0.5, 0.25)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    return loss


NO_DISTANCE = {
    'teacher_detach_is_a_choice': "the student's term does not look at the teacher",
    'zero_at_equality': 'it is minus a score, and no distance'}
CASES = [
    LossCase(SKDSHolisticLoss, SMALL, inputs=pair(2, 2, 5, 4), exempt=NO_DISTANCE),
    LossCase(
        SKDSHolisticLoss, {**SMALL, 'conditional': True}, inputs=pair(2, 2, 5, 4),
        extras=pictures, exempt=NO_DISTANCE, name='conditional'),
    LossCase(
        SKDSHolisticLoss, {**SMALL, 'mode': 'wgan-gp'}, inputs=pair(2, 2, 4, 4),
        exempt=NO_DISTANCE),
    LossCase(
        summing, inputs=pair(2, 2, 4, 5), extras=pictures, exempt=NO_DISTANCE,
        values=[
            KnownValue(
                [[[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]]],
                [[[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]], -9.25,
                'by hand: -(0.5 (1 + 2 + 3 + 12 x 1) + 0.25)',
                extras={'inputs': torch.ones(1, 3, 4, 4)})])]


def sides(size=(8, 8), seed=0):
    return {
        'preds_S': noise(2, 2, *size, seed=seed),
        'preds_T': 3 * noise(2, 2, *size, seed=seed + 1),
        'inputs': noise(2, 3, 16, 16, seed=seed + 2)}


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
            torch.cat([self.net.prepare(x, image) for x in (logits, teacher)])).chunk(2)
        if self.mode == 'hinge':
            loss = (F.relu(1 - real) + F.relu(1 + fake)).mean()
        else:
            loss = (fake - real).mean() + 10 * gradient_penalty(
                lambda z: self.net(z, image), teacher, logits).mean()
        (0.1 * loss).backward()
        self.optimizers[1].step()
        self.optimizers[1].zero_grad()


def optimizers(student, net):
    return (
        torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9),
        torch.optim.Adam(net.parameters(), lr=4e-4, betas=(0.9, 0.99)))


@pytest.mark.parametrize(
    ('mode', 'sees'), [('hinge', True), ('hinge', False), ('wgan-gp', True)])
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
        for name, value in loss.state_dict().items() if torch.equal(value, start[name])}
    # one row has no direction to find; a bias is added to both sides' scores
    score = 'discriminator.score'
    row = {f'{score}.parametrizations.weight.0._u'} if sees else set()
    assert still == {f'{score}.bias', *row}


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


def test_levels_are_summed():
    loss, one, two = summing(), sides(), sides((4, 4), seed=5)
    values = [
        loss.discriminator_loss(**{**batch, 'inputs': one['inputs']})
        for batch in (one, two)]
    whole = loss.discriminator_loss(
        (one['preds_S'], two['preds_S']), [one['preds_T'], two['preds_T']],
        inputs=one['inputs'])
    torch.testing.assert_close(whole, sum(values))


@MODES
def test_the_discriminator_computes_in_float32_under_autocast(mode):
    batch = {key: side.bfloat16() for key, side in sides().items()}
    torch.manual_seed(3)
    exact = built(mode).discriminator_loss(
        **{key: side.float() for key, side in batch.items()})
    with torch.autocast('cpu', torch.bfloat16):
        torch.manual_seed(3)
        value = built(mode).discriminator_loss(**batch)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, exact)


# ---- the discriminator --------------------------------------------------------------


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


def test_a_hinge_of_several_scores_is_a_mean_of_hinges():
    loss = built(discriminator_weight=0.5).eval()
    student, teacher = noise(2, 2, 16, 24), 3 * noise(2, 2, 16, 24, seed=1)
    fake, real = (loss.discriminator(x) for x in (student, teacher))
    assert fake.shape == (2, 3)
    wanted = (1 - real).relu().mean() + (1 + fake).relu().mean()
    torch.testing.assert_close(loss.discriminator_loss(student, teacher), 0.5 * wanted)
    torch.testing.assert_close(loss(student, teacher), -fake.mean())


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
                ShapeError, match="inputs=dict\\(of='batch', at='inputs'\\)"):
            compare(**batch)


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        ({'mode': 'wgan'}, "'hinge', 'wgan-gp'"), ({'penalty': -1}, '`penalty`'),
        ({'channels': 0}, '`channels`'),
        ({'discriminator_weight': -1}, '`discriminator_weight`'),
        ({'image_channels': 0, 'conditional': True}, '`image_channels`'),
        ({'attention': 3}, 'follows 3 convolutions'),
        ({'widths': (), 'attention': 0}, 'at least one width')])
def test_wrong_settings_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        built(**wrong)


CASES += PAIRWISE_CASES


# ---- the penalty --------------------------------------------------------------------


def test_the_penalty_of_a_linear_critic_is_its_length_less_one_squared():
    shape = (2, 3, 5)
    weight = doubles(*shape)
    found = 10 * gradient_penalty(
        lambda x: (weight * x).flatten(1).sum(1) + 3, doubles(6, *shape, seed=1),
        doubles(6, *shape, seed=2))
    torch.testing.assert_close(found, (10 * (weight.norm() - 1) ** 2).expand(6))


def test_the_slope_is_computed_without_gradients_too():
    with torch.no_grad():
        found = gradient_penalty(lambda x: 3 * x.sum(1), doubles(2, 1), doubles(2, 1))
    assert found.tolist() == [4.0, 4.0]
    assert not found.requires_grad


def test_a_flat_critic_has_penalty_one_and_a_finite_gradient():
    # the root of a sum of squares, written out, has gradient 0/0 = NaN here
    weight = torch.zeros(3, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: x @ weight, doubles(2, 3).float(), doubles(2, 3, seed=1).float())
    assert penalty.tolist() == [1.0, 1.0]
    penalty.sum().backward()
    assert weight.grad.tolist() == [0.0, 0.0, 0.0]


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_hinge_critic(real, fake):
    return [max(0.0, 1 - r) + max(0.0, 1 + f) for r, f in zip(real, fake)]


def slow_wasserstein_critic(real, fake):
    return [f - r for r, f in zip(real, fake)]


def slow_gradient_penalty(critic, real, fake, places, step=1e-5):
    """The slope of each entry by central differences; entries are flat lists."""
    found = []
    for t, s, place in zip(real, fake, places):
        x = [place * a + (1 - place) * b for a, b in zip(t, s)]
        slope = []
        for i in range(len(x)):
            ahead = critic([*x[:i], x[i] + step, *x[i + 1 :]])
            behind = critic([*x[:i], x[i] - step, *x[i + 1 :]])
            slope.append((ahead - behind) / (2 * step))
        found.append((sqrt(sum(g * g for g in slope)) - 1) ** 2)
    return found


def at_each(size, value):
    """A map ``(h w)`` or ``(c h w)`` of what a function gives at each position."""
    return torch.stack([torch.stack([value(y, x) for x in range(size[1])], -1)
                        for y in range(size[0])], -2)


def slow_averaged(image, height, width):
    """Each new pixel is the mean of the pixels that it covers, also in part."""
    def mean(y, x):
        (top, bottom), (left, right) = (
            (floor(i * old / new), ceil((i + 1) * old / new)) for i, old, new in (
                (y, image.shape[1], height), (x, image.shape[2], width)))
        return image[:, top:bottom, left:right].flatten(1).mean(1)

    return at_each((height, width), mean)


def slow_normalised(batch, eps=1e-5):
    """Each channel of a batch has mean 0 and variance 1."""
    out = torch.empty_like(batch)
    for c in range(batch.shape[1]):
        apart = batch[:, c] - batch[:, c].mean()
        out[:, c] = apart / (apart.square().mean() + eps).sqrt()
    return out


def windows(image, conv, size, step, before):
    """A 4x4 convolution, window after window, with zeros around the image."""
    padded = F.pad(image, (before, 4, before, 4))
    bias = 0 if conv.bias is None else conv.bias

    def value(y, x):
        window = padded[:, step * y:step * y + 4, step * x:step * x + 4]
        return (conv.weight * window).sum((1, 2, 3)) + bias

    return at_each(size, value)


def slow_attended(image, attention):
    """Self-attention, position after position; each of the three is a 1x1 layer."""
    def layer(conv):
        found = conv.weight[:, :, 0, 0] @ image.flatten(1)
        return found if conv.bias is None else found + conv.bias[:, None]

    asks, answers, values = map(layer, (attention.query, attention.key,
                                        attention.value))
    seen = []
    for ask in asks.t():
        strength = torch.stack([(ask @ answer).exp() for answer in answers.t()])
        seen.append((strength * values).sum(1) / strength.sum())
    return image + attention.gamma * torch.stack(seen, 1).reshape(image.shape)


def judged(net, x):
    """What comes before the score; half of an odd size is rounded up if conditional."""
    net.attentions[1].gamma.data.fill_(0.7)
    half = ceil if net.conditional else floor
    for conv in net.convs:
        size = [max(1, half(side / 2)) for side in x.shape[1:]]
        x = windows(x, conv, size, 2, 1)
        x = torch.where(x > 0, x, 0.1 * x)
    return slow_attended(x, net.attentions[1])


def test_the_penalty_equals_central_differences():
    real, fake, weight = doubles(3, 4), doubles(3, 4, seed=1), doubles(5, 4, seed=2)

    def critic(x):
        return (x @ weight.t()).tanh().sum(1)

    def slow(x):
        rows = weight.tolist()
        return sum(math.tanh(sum(w * v for w, v in zip(row, x))) for row in rows)

    found = gradient_penalty(
        critic, real, fake, generator=torch.Generator().manual_seed(3))
    places = torch.rand(
        3, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    wanted = slow_gradient_penalty(
        slow, real.tolist(), fake.tolist(), places.flatten().tolist())
    torch.testing.assert_close(
        found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-7, atol=1e-7)


def double_net(**settings):
    torch.manual_seed(0)
    settings = {'widths': (3, 8), 'attention': 1, 'spectral_norm': False, **settings}
    return SKDSDiscriminator(2, **settings).double()


@pytest.mark.parametrize(
    ('size', 'picture'), [((4, 6), (4, 6)), ((5, 3), (10, 7)), ((1, 2), (3, 5))])
@torch.no_grad()
def test_the_conditional_discriminator_equals_its_twin(size, picture):
    net = double_net(conditional=True)
    logits, image = doubles(2, 2, *size), doubles(2, 3, *picture, seed=1)
    wanted = []
    for one, seen in zip(logits, image):
        x = judged(net, torch.cat([one, slow_averaged(seen, *size)]))
        scores = (net.score.weight[0] * x).sum(0) + net.score.bias
        wanted.append(scores.mean()[None])
    torch.testing.assert_close(
        net(logits, image), torch.stack(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('size', [(19, 23), (4, 6), (1, 3)])
@torch.no_grad()
def test_the_published_discriminator_equals_its_twin(size):
    net, logits = double_net(), 3 * doubles(2, 2, *size) + 1
    wanted = []
    for one in slow_normalised(logits):
        x = judged(net, one)
        places = [max(1, side - 3) for side in x.shape[1:]]
        wanted.append(windows(x, net.score, places, 1, 0).flatten())
    torch.testing.assert_close(net(logits), torch.stack(wanted), rtol=1e-9, atol=1e-9)


def test_the_objectives_equal_their_twins():
    real, fake = 2 * doubles(7), 2 * doubles(7, seed=1)
    for fast, slow in ((hinge_critic, slow_hinge_critic),
                       (wasserstein_critic, slow_wasserstein_critic)):
        wanted = torch.tensor(slow(real.tolist(), fake.tolist()), dtype=torch.float64)
        torch.testing.assert_close(fast(real, fake), wanted)
