"""EMA self-training: the teacher labels and follows."""

from __future__ import annotations

import adapt_toys as toys
import pytest
import torch

from mmkd_ext.adaptation.pseudo_labels import entropy

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
EMA = dict(type='mmkd_ext.EMATeacherDistiller')


def test_the_teacher_is_the_mean_of_the_students():
    built = toys.model(dict(EMA, decay=0.75))
    optim = toys.wrapper(built, 0.1)
    name = 'decode_head.conv_seg.weight'
    expected = built.source.module.get_parameter(name).clone()
    for i in range(3):
        built.adapt_step(toys.batch(i, SIZE), optim, step=i)
        student = built.architecture.get_parameter(name).detach()
        expected = 0.75 * expected + 0.25 * student
    found = built.distiller.teacher.module.get_parameter(name)
    torch.testing.assert_close(found, expected)


def test_soft_labels_of_an_equal_teacher_cost_their_entropy():
    built = toys.model(dict(EMA, labels='soft'))
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built, 0.1))
    expected = entropy(result.data_samples[0].seg_logits.data[None]).mean()
    assert result.losses['loss_ce'] == pytest.approx(expected.item(), rel=1e-5)


def test_an_image_without_a_sure_pixel_updates_nothing():
    built = toys.model(dict(EMA, threshold=0.999))
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built, 0.1))
    assert result.counts['updates'] == 0
    assert result.events[0]['reason'] == 'no pixel is certain enough'


def test_views_are_averaged_in_what_is_reported():
    built = toys.model(dict(EMA, views=[1.0, 'flip']))
    p = built.test_step(toys.batch(0, SIZE))[0].seg_logits.data.exp()
    torch.testing.assert_close(p.sum(0), torch.ones(SIZE))
    data = toys.batch(0, SIZE)
    data['inputs'] = [image.flip(-1) for image in data['inputs']]
    flipped = built.test_step(data)[0].seg_logits.data.exp().flip(-1)
    torch.testing.assert_close(flipped, p)
