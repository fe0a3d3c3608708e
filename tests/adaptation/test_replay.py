"""The buffer: which images are hard, which stay, and when they come back."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mmkd_ext.adaptation.pixels import as_bytes, as_inputs, thumbnail
from mmkd_ext.adaptation.replay import (
    ReplayBuffer,
    input_gradient,
    variance_of_gradients,
)
from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg


def image(value=0, size=(4, 6)):
    return torch.full((3, *size), value, dtype=torch.uint8)


# ---- VoG --------------------------------------------------------------------------


def test_the_gradient_of_a_linear_model_is_the_weight_of_the_label():
    conv = nn.Conv2d(2, 3, 1, bias=False)
    x = torch.randn(1, 2, 2, 2)
    labels = torch.tensor([[[0, 1], [2, 2]]])
    found = input_gradient(conv, x, labels)
    weight = conv.weight.detach()[:, :, 0, 0]
    expected = torch.stack([weight[k] for k in labels.flatten().tolist()], 1)
    torch.testing.assert_close(found, expected.view(1, 2, 2, 2))
    # neither weights nor the image keep anything
    assert conv.weight.grad is None
    assert not x.requires_grad


def test_the_score_is_the_deviation_over_models_and_the_mean_over_values():
    gradients = [torch.randn(2, 3, 4, 5, dtype=torch.float64) for _ in range(3)]
    found = variance_of_gradients(gradients)
    for i in range(2):
        stacked = np.stack([g[i].numpy() for g in gradients])
        mu = stacked.mean(0)
        vog = np.sqrt(((stacked - mu) ** 2).sum(0) / 3)
        assert found[i].item() == pytest.approx(vog.mean())


def test_of_two_models_it_is_half_the_difference():
    a, b = torch.randn(2, 1, 3, 4, 4)
    torch.testing.assert_close(
        variance_of_gradients([a, b])[0], (a - b).abs().mean() / 2
    )


def test_equal_models_score_zero():
    conv = nn.Conv2d(3, 2, 3, padding=1)
    x = torch.randn(1, 3, 8, 8)
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    gradients = [input_gradient(conv, x, labels) for _ in range(2)]
    assert variance_of_gradients(gradients).tolist() == [0.0]


# ---- what is kept -----------------------------------------------------------------


def test_each_domain_keeps_its_hardest_images_and_no_more_than_its_quota():
    buffer = ReplayBuffer(quota=2)
    for step, score in enumerate((0.1, 0.3, 0.2, 0.05, 0.4)):
        buffer.offer(image(step), score, 'night', step)
    buffer.offer(image(9), 0.01, 'fog', 9)
    kept = [(i['domain'], i['score'], i['step']) for i in buffer.items]
    assert kept == [('night', 0.3, 1), ('night', 0.4, 4), ('fog', 0.01, 9)]


@pytest.mark.parametrize('score', [0.0, float('nan'), float('inf')])
def test_a_score_that_says_nothing_is_refused(score):
    buffer = ReplayBuffer()
    assert not buffer.offer(image(), score, 'fog', 0)
    assert not buffer.items


def test_a_kept_image_is_bytes_of_its_own():
    buffer = ReplayBuffer()
    batch = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    buffer.offer(batch[0], 1.0, 'fog', 0)
    batch.fill_(7)
    kept = buffer.items[0]['image']
    assert kept.dtype == torch.uint8
    assert kept.untyped_storage().nbytes() == 3 * 4 * 6
    assert not kept.any()


# ---- when -------------------------------------------------------------------------


def replays(buffer, images, fails=()):
    """Numbers of the images (from 1) with which there was a replay."""
    found = []
    for number in range(1, images + 1):
        replayed = buffer.is_due and number not in fails
        if replayed:
            found.append(number)
        buffer.count(replayed=replayed)
    return found


def test_a_replay_comes_with_every_hundredth_image():
    buffer = ReplayBuffer()
    buffer.offer(image(), 1.0, 'fog', 0)
    assert replays(buffer, 350) == [100, 200, 300]


def test_a_replay_that_could_not_be_comes_with_the_next_image():
    buffer = ReplayBuffer(every=10)
    buffer.offer(image(), 1.0, 'fog', 0)
    assert replays(buffer, 25, fails=(10, 11)) == [12, 22]


def test_nothing_is_replayed_from_an_empty_buffer():
    assert replays(ReplayBuffer(every=2), 10) == []


def test_every_fifth_image_is_scored():
    buffer = ReplayBuffer(score_interval=5)
    found = []
    for number in range(12):
        found += [number] if buffer.wants_score else []
        buffer.count(replayed=False)
    assert found == [0, 5, 10]


def test_a_draw_repeats_no_image_and_all_come_in_time():
    buffer = ReplayBuffer(images=2)
    for i in range(3):
        buffer.offer(image(i), 1.0 + i, 'fog', i)
    drawn = [tuple(int(x[0, 0, 0]) for x in buffer.draw()) for _ in range(20)]
    assert all(len(set(pair)) == 2 for pair in drawn)
    assert {value for pair in drawn for value in pair} == {0, 1, 2}


@pytest.mark.parametrize(
    ('weight', 'cap', 'expected'), [(1.0, 1.0, 2.0), (1.0, 9.0, 8.0), (0.25, 9.0, 2.0)]
)
def test_a_replay_weighs_no_more_than_its_cap(weight, cap, expected):
    buffer = ReplayBuffer(weight=weight, cap=cap)
    loss = torch.tensor(8.0, requires_grad=True)
    own = torch.tensor(2.0, requires_grad=True)
    found = buffer.bounded(loss, own)
    assert found.item() == pytest.approx(expected)
    found.backward()
    # the factor is a constant
    assert loss.grad.item() == pytest.approx(expected / 8)
    assert own.grad is None


def test_a_saved_buffer_goes_on_with_the_same_draws():
    ours, theirs = ReplayBuffer(images=1), ReplayBuffer(images=1)
    for i in range(5):
        ours.offer(image(i), 1.0 + i, 'fog', i)
        ours.count(replayed=False)
    ours.draw()
    state = ours.state_dict()
    theirs.load_state_dict(state)
    assert (theirs.seen, theirs.since) == (5, 5)
    expected = [ours.draw()[0] for _ in range(6)]
    assert all(torch.equal(theirs.draw()[0], x) for x in expected)
    ours.reset()
    assert not ours.items
    assert len(theirs.items) == 5


@pytest.mark.parametrize(
    'wrong', [{'every': 0}, {'quota': 0}, {'weight': -1}, {'cap': -1}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReplayBuffer(**wrong)


# ---- bytes ------------------------------------------------------------------------


@pytest.fixture
def preprocessor():
    from mmseg.models import SegDataPreProcessor

    return SegDataPreProcessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )


def test_every_byte_survives_normalisation_and_comes_back_bit_for_bit(preprocessor):
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1)
    inputs = preprocessor(dict(inputs=[values]))['inputs']
    kept = as_bytes(inputs, preprocessor)
    assert torch.equal(kept[0], values)
    assert torch.equal(as_inputs(kept[0], preprocessor, inputs), inputs[0])


def test_without_normalisation_the_values_are_the_bytes():
    from mmseg.models import SegDataPreProcessor

    plain = SegDataPreProcessor()
    inputs = torch.tensor([[[[0.0, 254.6, 300.0]]]])
    assert as_bytes(inputs, plain).tolist() == [[[[0, 255, 255]]]]


def test_a_thumbnail_shows_the_picture_as_it_was_read(preprocessor):
    red = torch.zeros(3, 20, 192, dtype=torch.uint8)
    red[0] = 200
    uri = thumbnail(red, preprocessor, width=48)
    head, data = uri.split(',')
    assert head == 'data:image/png;base64'
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert picture.shape == (5, 48, 3)
    assert picture[0, 0].tolist() == [0, 0, 200]


def test_the_report_lists_the_hardest_first(preprocessor):
    buffer = ReplayBuffer()
    for i, score in enumerate((0.1, 0.3)):
        buffer.offer(image(i), score, 'fog', i)
    report = buffer.report(preprocessor)
    assert [(r['domain'], r['score'], r['step']) for r in report] == [
        ('fog', 0.3, 1),
        ('fog', 0.1, 0),
    ]
    assert report[0]['thumbnail'].startswith('data:image/png')
