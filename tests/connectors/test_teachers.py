"""One teacher of several: shares by hand, in links, and in the check's report."""

from __future__ import annotations

import math
from types import SimpleNamespace

import distill_toys as toys
import pytest
import torch

from mmkd_ext.connectors import TeacherMean
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.testing.toy import toy_batch


def logits(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


def test_the_mean_of_probabilities_is_what_a_softmax_of_the_result_gives():
    one, other = torch.randn(2, 3, 5, dtype=torch.float64).unbind(0)
    mean = TeacherMean([1, 3], tau=2.0)(one, other=other)
    by_hand = 0.25 * (one / 2).softmax(1) + 0.75 * (other / 2).softmax(1)
    torch.testing.assert_close((mean / 2).softmax(1), by_hand)
    plain = TeacherMean([1, 3])(one, other=other)
    torch.testing.assert_close(plain, 0.25 * one + 0.75 * other)


def test_confidence_follows_the_label_of_each_sample():
    a, b = logits([0.5, 0.5], [0.9, 0.1]), logits([0.1, 0.9], [0.9, 0.1])
    combined = TeacherMean('confidence')
    combined(a, b=b, data_samples=torch.tensor([0, 1]))
    # exp of the cross entropy is 1 / p: 2 and 10, so the first gets 10 / 12
    first, second = (10 / 12 + 0.5) / 2, (2 / 12 + 0.5) / 2
    by_hand = torch.tensor([first, second], dtype=torch.float64)
    torch.testing.assert_close(combined.last_shares, by_hand)
    three = combined(a, b=b, c=a, data_samples=torch.tensor([0, 1]))
    # 1/2 (1 - 2/14), 1/2 (1 - 10/14), 1/2 (1 - 2/14) in the first sample
    assert combined.last_shares.sum() == pytest.approx(1)
    expected = (6 / 14 * 2) * a[0] + (2 / 14) * b[0]
    torch.testing.assert_close(three[0], expected)


def test_pixels_without_a_label_have_equal_shares():
    a, b = torch.randn(2, 1, 3, 2, 2).unbind(0)
    labels = torch.tensor([[0, 255], [255, 255]])
    sample = SimpleNamespace(gt_sem_seg=SimpleNamespace(data=labels[None]))
    mixed = TeacherMean('confidence')(a, b=b, data_samples=[sample])
    torch.testing.assert_close(mixed[..., 1, :], (a + b)[..., 1, :] / 2)
    assert not torch.allclose(mixed[..., 0, 0], (a + b)[..., 0, 0] / 2)
    sample.gt_sem_seg.data = labels[None] + 3
    with pytest.raises(ConfigError, match='labels reach'):
        TeacherMean('confidence')(a, b=b, data_samples=[sample])


def test_who_is_alone_has_the_smallest_share():
    same, other = logits([0.7, 0.2, 0.1]), logits([0.1, 0.2, 0.7])
    agreeing = TeacherMean('agreement', beta=0.5)
    agreeing(same, b=other, c=same)
    mean = [0.5, 0.2, 0.3]
    apart = [
        sum(p * math.log(p / m) for p, m in zip(row, mean))
        for row in ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7])
    ]
    scores = [math.exp(-x / 0.5) for x in (apart[0], apart[1], apart[0])]
    by_hand = torch.tensor([x / sum(scores) for x in scores], dtype=torch.float64)
    torch.testing.assert_close(agreeing.last_shares, by_hand)


def test_one_at_random_is_drawn_for_each_sample_and_is_the_mean_in_eval():
    torch.manual_seed(0)
    a, b = torch.zeros(64, 2), torch.ones(64, 2)
    drawn = TeacherMean('random')(a, b=b)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert 20 < drawn[:, 0].sum() < 44
    assert TeacherMean('random').eval()(a, b=b).unique().item() == 0.5
    torch.manual_seed(1)
    again = TeacherMean('random')(a, b=b)
    torch.manual_seed(1)
    assert torch.equal(again, TeacherMean('random')(a, b=b))


def test_a_map_of_another_stride_follows_the_first_and_half_precision_is_float32():
    first, coarse = torch.zeros(1, 2, 4, 4).half(), torch.ones(1, 2, 2, 2).half()
    mixed = TeacherMean()(first, other=coarse)
    assert (mixed.shape, mixed.dtype) == (first.shape, torch.float32)
    assert (mixed == 0.5).all()


@pytest.mark.parametrize(('make', 'values', 'error', 'message'), [
    (lambda: TeacherMean([1, 2, 3]), dict(b=(2, 3)), ConfigError, 'the teachers 2'),
    (lambda: TeacherMean([0, 0]), {}, ConfigError, 'not all 0'),
    (lambda: TeacherMean([-1, 2]), {}, ConfigError, 'shares'),
    (lambda: TeacherMean(tau=0), {}, ConfigError, 'tau'),
    (lambda: TeacherMean('agreement', beta=0), {}, ConfigError, 'beta'),
    (lambda: TeacherMean('confident'), {}, ConfigError, 'confidence'),
    (TeacherMean, {}, ConfigError, '`given`'),
    (TeacherMean, dict(b=(2, 4)), ShapeError, r'`b` gives \(2, 4\)'),
    (lambda: TeacherMean('confidence'), dict(b=(2, 3)), ConfigError, 'data_samples'),
])  # fmt: skip
def test_what_is_wrong_is_named(make, values, error, message):
    values = {name: torch.zeros(shape) for name, shape in values.items()}
    with pytest.raises(error, match=message):
        make()(torch.zeros(2, 3), **values)


def several(connector, **given):
    """Links to two teachers that are one."""
    tap = dict(connector=connector, given=dict(b=dict(of='b', at=toys.LOGITS), **given))
    teachers = {
        name: dict(model=dict(type=toys.TOY, channels=width))
        for name, width in dict(a=12, b=16).items()
    }
    return dict(
        links=toys.link(loss='KDLoss', of='a', teacher=tap), teachers=teachers
    )


def test_a_link_learns_from_the_mean_of_its_teachers():
    algorithm = toys.build(**several(dict(type='mmkd_ext.TeacherMean', tau=1.0)))
    batch = toy_batch()
    with torch.no_grad():
        p = [t.module(**batch).softmax(1) for t in algorithm.teachers.values()]
        q = algorithm.student.train()(**batch).log_softmax(1)
    mean = sum(p) / 2
    by_hand = (mean * (mean.log() - q)).sum(1).mean()
    torch.testing.assert_close(toys.losses_of(algorithm, batch)['loss_x'], by_hand)


def test_the_check_prints_the_share_of_each_teacher():
    from mmengine.config import Config

    from mmkd_ext.config.check import check_config

    own = dict(type='mmkd_ext.TeacherMean', shares=[3, 1])
    report = check_config(Config(dict(model=toys.config(**several(own)))))
    notes = {note.path: note.found for note in report.notes}
    path = 'model.distiller.links.loss_x.preds_T'
    assert notes[path] == 'is of `a` 75%, `b` 25% in the dry run.'
