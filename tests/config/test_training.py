"""Length, batch and learning rate."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd_ext.config.context import Report
from mmkd_ext.config.training import check_link_schedules, check_training

ITERATIONS = {'type': 'IterBasedTrainLoop', 'max_iters': 100}
EPOCHS = {'type': 'EpochBasedTrainLoop', 'max_epochs': 12}


def check(gpus=None, filename=None, **config):
    report = Report()
    cfg = Config(config, cfg_text=' ', filename=filename)
    return check_training(cfg, report, gpus), report


def batch(samples, lr=0.01, **more):
    return {
        'train_dataloader': {'batch_size': samples},
        'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': lr}},
        **more,
    }


def test_scales_the_learning_rate_linearly():
    # 16 samples were made for 0.02, so 2 x 4 = 8 samples want half of it
    summary, report = check(
        gpus=2, **batch(4, 0.02, auto_scale_lr={'base_batch_size': 16})
    )
    assert summary.scaled_lr == pytest.approx(0.01)
    (warning,) = report.warnings
    assert warning.path == 'optim_wrapper.optimizer.lr'
    assert 'batch of 16' in warning.found
    assert 'make 8' in warning.found
    assert 'gives 0.01:' in warning.hint


@pytest.mark.parametrize(('gpus', 'enable'), [(4, False), (1, True)])
def test_a_batch_that_fits_or_is_scaled_for_gives_no_warning(gpus, enable):
    scaling = {'base_batch_size': 16, 'enable': enable}
    summary, report = check(gpus=gpus, **batch(4, auto_scale_lr=scaling))
    assert (summary.scaled_lr == summary.lr) is not enable
    assert summary.auto_scale is enable
    assert not report.warnings


def test_the_name_of_the_config_says_what_the_learning_rate_was_made_for():
    name = 'pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    summary, report = check(filename=name, **batch(2))
    assert (summary.gpus, summary.base_batch) == (4, 8)
    assert not report.warnings
    summary, report = check(gpus=1, filename=name, **batch(2))
    assert summary.scaled_lr == pytest.approx(0.0025)
    assert 'the name of the config' in report.warnings[0].found


def test_without_a_base_nothing_is_compared():
    summary, report = check(gpus=3, **batch(4))
    assert (summary.scaled_lr, summary.base_source) == (None, '')
    assert not report.warnings


@pytest.mark.parametrize(('loop', 'length'), [
    (ITERATIONS, '100 iterations'), (EPOCHS, '12 epochs'), ({}, '')])
def test_reads_how_long_the_training_is(loop, length):
    summary = check(train_cfg=loop)[0]
    assert (summary.lr, summary.samples, summary.length) == (None, None, length)


@pytest.mark.parametrize(('loop', 'scheduler', 'key'), [
    (ITERATIONS, {'by_epoch': False, 'end': 200}, 'end'),
    (ITERATIONS, {'by_epoch': False, 'begin': 200}, 'begin'),
    (EPOCHS, {'end': 24}, 'end'),
    (EPOCHS, {'by_epoch': True, 'T_max': 24}, 'T_max'),
    (EPOCHS, {'milestones': [8, 22]}, 'milestones'),
    (ITERATIONS, {'milestones': [8, 22]}, 'by_epoch'),
])  # fmt: skip
def test_warns_about_what_would_happen_after_the_end(loop, scheduler, key):
    for schedulers in ([scheduler], scheduler):
        _, report = check(train_cfg=loop, param_scheduler=schedulers)
        paths = [warning.path for warning in report.warnings]
        assert paths == [f'param_scheduler[0].{key}']


@pytest.mark.parametrize(('loop', 'scheduler'), [
    (ITERATIONS, {'by_epoch': False, 'begin': 0, 'end': 100}),
    (EPOCHS, {'by_epoch': False, 'end': 500}),
    (EPOCHS, {'end': 12, 'milestones': [8, 11]}),
    ({}, {'end': 99}),
    (EPOCHS, 'not a dict'),
])  # fmt: skip
def test_schedulers_that_fit_give_no_warning(loop, scheduler):
    _, report = check(train_cfg=loop, param_scheduler=[scheduler])
    assert not report.warnings


def test_warns_about_schedules_of_links_that_outlast_the_training():
    report = Report()
    schedules = {
        'a': {'type': 'linear', 'end': 200},
        'b': {'type': 'multistep', 'milestones': [50]},
        'c': {'type': 'constant', 'by_epoch': True},
    }
    check_link_schedules(Config({'train_cfg': ITERATIONS}), schedules, report)
    assert [warning.path for warning in report.warnings] == ['a.end', 'c.by_epoch']
