"""Novel classes: balanced assignment, both heads, the metric, and a run on digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext.errors import ConfigError, ShapeError

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')

from projects.novel_classes import (
    NovelAccuracy,
    NovelClassHead,
    matched,
    sinkhorn,
)

CONFIGS = Path(__file__).parents[2] / 'projects/novel_classes/configs'


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_sinkhorn(scores, epsilon, iterations):
    """Classes and samples scaled in turn, number by number."""
    plan = np.exp(scores.double().numpy() / epsilon)
    n, k = plan.shape
    for _ in range(iterations):
        for c in range(k):
            plan[:, c] *= n / k / plan[:, c].sum()
        for i in range(n):
            plan[i] /= plan[i].sum()
    return torch.from_numpy(plan)


# ---- Sinkhorn -----------------------------------------------------------------------


@pytest.mark.parametrize('iterations', [1, 3])
def test_sinkhorn_scales_classes_and_samples_in_turn(iterations):
    scores = 0.2 * noise(7, 3)
    torch.testing.assert_close(
        sinkhorn(scores, iterations=iterations).double(),
        slow_sinkhorn(scores, 0.05, iterations), rtol=1e-5, atol=1e-7)


def off(plan):
    """How far marginals are from those of a balanced plan: of classes, of samples."""
    n, k = plan.shape
    classes = (plan.sum(0) / n - 1 / k).abs().max()
    return float(classes), float((plan.sum(1) - 1).abs().max())


def test_three_iterations_balance_small_scores_to_1e_4_and_hard_ones_do_not():
    # cosines of features that say little yet, as at the beginning of a discovery
    mild = off(sinkhorn(0.01 * noise(64, 5).double()))
    hard = off(sinkhorn(0.5 * noise(64, 5).double()))
    assert mild[0] < 1e-4 < hard[0]
    assert max(mild[1], hard[1]) < 1e-12


@pytest.mark.parametrize('scale', [0.01, 0.5, 1.0])
def test_until_converged_each_class_has_its_share_to_1e_4(scale):
    plan = sinkhorn(scale * noise(64, 5).double(), iterations=None)
    assert off(plan)[0] <= 1e-4
    assert off(plan)[1] < 1e-12


def test_sinkhorn_keeps_the_order_within_equal_scores_and_takes_no_rows():
    assert torch.equal(sinkhorn(torch.zeros(4, 2)), torch.full((4, 2), 0.5))
    assert sinkhorn(torch.zeros(0, 5)).shape == (0, 5)
    # one class for all is no assignment: half of them have to go
    assert sinkhorn(noise(6, 2) + torch.tensor([9.0, 0]), iterations=None).sum(
        0).tolist() == pytest.approx([3, 3], abs=1e-3)


# ---- the heads ----------------------------------------------------------------------


class Sample:
    def __init__(self, label):
        self.gt_label = torch.tensor([label])


def head(num_novel=2, views=2):
    torch.manual_seed(0)
    return NovelClassHead(4, 3, num_novel, views=views)


def test_logits_are_cosines_over_the_temperature():
    one, x = head(), noise(2, 4)
    rows = torch.cat([one.known.weight, one.novel.weight])
    cosines = torch.cosine_similarity(x[:, None], rows[None], dim=2)
    torch.testing.assert_close(one((x,)), cosines / 0.1)


def test_a_novel_picture_learns_what_its_other_view_is_assigned_to():
    one, x = head(), noise(6, 4)
    labels = [0, 3, 4]
    found = one.loss((x,), [Sample(label) for label in labels * 2])['loss']
    logits = one((x,))
    first, second = (sinkhorn(0.1 * logits[at, 3:]) for at in ([1, 2], [4, 5]))
    log_p = logits.log_softmax(1)
    by_hand = -(log_p[0, 0] + log_p[3, 0] + (second * log_p[[1, 2], 3:]).sum()
                + (first * log_p[[4, 5], 3:]).sum()) / 6
    torch.testing.assert_close(found, by_hand)


def test_which_novel_class_it_is_has_no_influence():
    one, x = head(), noise(6, 4)
    losses = [one.loss((x,), [Sample(label) for label in labels * 2])['loss']
              for labels in ([0, 3, 4], [0, 4, 4])]
    assert torch.equal(*losses)


def test_without_novel_classes_their_pictures_are_left_out():
    one, x = head(0, 1), noise(3, 4)
    found = one.loss((x,), [Sample(label) for label in (2, 3, 4)])['loss']
    torch.testing.assert_close(found, -one((x,)).log_softmax(1)[0, 2])
    nothing = one.loss((x[1:],), [Sample(3), Sample(4)])['loss']
    nothing.backward()
    assert nothing == 0


def test_views_that_are_missing_are_told():
    with pytest.raises(ShapeError, match='3 pictures are not 2 views'):
        head().loss((noise(3, 4),), [Sample(0)] * 3)
    with pytest.raises(ConfigError, match='views'):
        head(views=1)


# ---- the metric ---------------------------------------------------------------------


def test_clusters_are_matched_with_the_classes_that_suit_best():
    # the best for each cluster alone would give both to the first class
    assert matched(np.array([[9, 8], [7, 1]])) == 15


def test_known_and_novel_are_counted_apart():
    metric = NovelAccuracy(num_known=2)
    #        known: 2 of 3   novel, whose names are swapped: 3 of 4
    pairs = [(0, 0), (1, 1), (2, 1), (3, 2), (3, 2), (2, 3), (0, 3)]
    metric.process(None, [dict(pred_label=p, gt_label=t) for p, t in pairs])
    found = metric.compute_metrics(metric.results)
    assert found == pytest.approx(
        {'known': 200 / 3, 'novel': 75, 'all': 500 / 7})


# ---- both stages --------------------------------------------------------------------


def run(name, folder, **options):
    pytest.importorskip('sklearn', reason='digits')
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.merge_from_dict({
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1,
        'param_scheduler': [], 'train_dataloader.dataset.indices': 64,
        'train_dataloader.batch_size': 16, 'val_dataloader.dataset.indices': 60,
        'default_hooks.checkpoint.interval': 1, 'visualizer': None,
        'work_dir': str(folder), 'log_level': 'WARNING', **options})
    runner = Runner.from_cfg(config)
    return runner.train(), runner


def test_stage_two_begins_with_stage_one_and_is_tested_on_both(tmp_path, monkeypatch):
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)
    known, _ = run('known_digits', tmp_path / 'one')
    model, runner = run('crkd_digits', tmp_path / 'two', **{
        'model.teacher_ckpt': str(tmp_path / 'one/epoch_1.pth')})
    scalars = runner.message_hub.log_scalars
    assert 0 < scalars['train/distill.loss_crkd'].current() < float('inf')
    assert 0 <= scalars['val/novel/novel'].current() <= 100
    for name, value in model.teacher.state_dict().items():
        assert torch.equal(value, known.state_dict()[name])
    assert not torch.equal(model.student.head.known.weight, known.head.known.weight)


@pytest.mark.parametrize('data', ['digits', 'cifar10'])
def test_the_stages_of_a_data_set_differ_in_the_novel_head_alone(data, monkeypatch):
    monkeypatch.setenv('CIFAR10_ROOT', 'nowhere')
    one, two = (Config.fromfile(CONFIGS / f'{stage}_{data}.py')
                for stage in ('known', 'crkd'))
    student, teacher = (two.model[key].to_dict() for key in ('architecture', 'teacher'))
    assert student['head'].pop('num_novel') == 5
    assert teacher.pop('data_preprocessor') == two.data_preprocessor.to_dict()
    assert student == teacher == one.model.to_dict()
    views = one.train_dataloader.dataset.pipeline[-1].views
    assert len(views) == student['head']['views'] == 2
    assert one.val_evaluator.to_dict() == dict(
        type='mmkd_ext.NovelAccuracy', num_known=5)
