"""Length, batch and learning rate."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd_ext.config.findings import Findings
from mmkd_ext.config.training import check_link_schedules, check_training

ITERATIONS = {'type': 'IterBasedTrainLoop', 'max_iters': 100}
EPOCHS = {'type': 'EpochBasedTrainLoop', 'max_epochs': 12}


def check(gpus=None, filename=None, **config):
    findings = Findings()
    cfg = Config(config, cfg_text=' ', filename=filename)
    return check_training(cfg, findings, gpus), findings


def batch(samples, lr=0.01, **more):
    return {
        'train_dataloader': {'batch_size': samples},
        'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': lr}},
        **more,
    }


def test_scales_the_learning_rate_linearly():
    # 16 samples were made for 0.02, so 2 x 4 = 8 samples want half of it
    facts, findings = check(
        gpus=2, **batch(4, 0.02, auto_scale_lr={'base_batch_size': 16})
    )
    assert facts.scaled_lr == pytest.approx(0.01)
    (warning,) = findings.warnings
    assert warning.path == 'optim_wrapper.optimizer.lr'
    assert 'batch of 16' in warning.found
    assert 'make 8' in warning.found
    assert 'gives 0.01:' in warning.hint


def test_a_batch_that_fits_gives_no_warning():
    facts, findings = check(gpus=4, **batch(4, auto_scale_lr={'base_batch_size': 16}))
    assert facts.scaled_lr == facts.lr
    assert not findings.warnings


def test_automatic_scaling_gives_no_warning():
    scaling = {'base_batch_size': 16, 'enable': True}
    facts, findings = check(gpus=1, **batch(4, auto_scale_lr=scaling))
    assert facts.auto_scale
    assert not findings.warnings


def test_the_name_of_the_config_says_what_the_learning_rate_was_made_for():
    name = 'pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    facts, findings = check(filename=name, **batch(2))
    assert (facts.gpus, facts.base_batch) == (4, 8)
    assert not findings.warnings
    facts, findings = check(gpus=1, filename=name, **batch(2))
    assert facts.scaled_lr == pytest.approx(0.0025)
    assert 'the name of the config' in findings.warnings[0].found


def test_without_a_base_nothing_is_said():
    facts, findings = check(gpus=3, **batch(4))
    assert facts.scaled_lr is None
    assert facts.base_source == ''
    assert not findings.warnings


def test_an_empty_config_has_no_facts():
    facts, _ = check()
    assert (facts.lr, facts.samples, facts.length) == (None, None, '')


@pytest.mark.parametrize(
    ('loop', 'length'),
    [(ITERATIONS, '100 iterations'), (EPOCHS, '12 epochs'), ({}, '')],
)
def test_says_how_long_the_training_is(loop, length):
    assert check(train_cfg=loop)[0].length == length


@pytest.mark.parametrize(
    ('loop', 'scheduler', 'path'),
    [
        (ITERATIONS, {'by_epoch': False, 'end': 200}, 'param_scheduler[0].end'),
        (ITERATIONS, {'by_epoch': False, 'begin': 200}, 'param_scheduler[0].begin'),
        (EPOCHS, {'end': 24}, 'param_scheduler[0].end'),
        (EPOCHS, {'by_epoch': True, 'T_max': 24}, 'param_scheduler[0].T_max'),
        (EPOCHS, {'milestones': [8, 22]}, 'param_scheduler[0].milestones'),
        (ITERATIONS, {'milestones': [8, 22]}, 'param_scheduler[0].by_epoch'),
    ],
)
def test_warns_about_what_would_happen_after_the_end(loop, scheduler, path):
    for schedulers in ([scheduler], scheduler):
        _, findings = check(train_cfg=loop, param_scheduler=schedulers)
        assert [warning.path for warning in findings.warnings] == [path]


@pytest.mark.parametrize(
    ('loop', 'scheduler'),
    [
        (ITERATIONS, {'by_epoch': False, 'begin': 0, 'end': 100}),
        (EPOCHS, {'by_epoch': False, 'end': 500}),
        (EPOCHS, {'end': 12, 'milestones': [8, 11]}),
        ({}, {'end': 99}),
        (EPOCHS, 'not a dict'),
    ],
)
def test_schedulers_that_fit_give_no_warning(loop, scheduler):
    _, findings = check(train_cfg=loop, param_scheduler=[scheduler])
    assert not findings.warnings


def test_warns_about_schedules_of_links_that_outlast_the_training():
    findings = Findings()
    check_link_schedules(
        Config({'train_cfg': ITERATIONS}),
        {
            'a': {'type': 'linear', 'end': 200},
            'b': {'type': 'multistep', 'milestones': [50]},
            'c': {'type': 'constant', 'by_epoch': True},
        },
        findings,
    )
    assert [warning.path for warning in findings.warnings] == ['a.end', 'c.by_epoch']
