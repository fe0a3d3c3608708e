"""Keys of mmcv 1.x are named, with what replaces each."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd_ext.config.context import Report
from mmkd_ext.config.deprecated_keys import DEPRECATED, HARMLESS, check_keys


def check(**config):
    report = Report()
    check_keys(Config(config), report)
    return report


@pytest.mark.parametrize(('key', 'value', 'instead'), [
    ('optimizer_config', {'grad_clip': None}, 'optim_wrapper=dict(clip_grad='),
    ('lr_config', {'policy': 'poly'}, 'param_scheduler='),
    ('momentum_config', {}, 'param_scheduler='),
    ('runner', {'type': 'IterBasedRunner'}, 'train_cfg='),
    ('total_epochs', 12, 'max_epochs='),
    ('checkpoint_config', {'interval': 1}, 'default_hooks=dict(checkpoint='),
    ('log_config', {'interval': 50}, 'default_hooks=dict(logger='),
    ('evaluation', {'interval': 1}, 'val_evaluator='),
    ('workflow', [('train', 1)], 'val_interval='),
    ('resume_from', 'x.pth', 'resume=True'),
    ('data', {'samples_per_gpu': 2}, 'train_dataloader='),
    ('optimizer', {'type': 'SGD'}, 'optim_wrapper=dict(type='),
    ('fp16', {'loss_scale': 512.0}, 'AmpOptimWrapper'),
])  # fmt: skip
def test_a_deprecated_key_is_a_problem_that_says_what_replaces_it(key, value, instead):
    report = check(**{key: value})
    (problem,) = report.problems
    assert problem.path == key
    assert 'mmcv 1.x' in problem.found
    assert instead in problem.hint
    assert not report.warnings


@pytest.mark.parametrize('key', sorted(HARMLESS))
def test_a_deprecated_key_that_changes_no_result_is_a_warning(key):
    report = check(**{key: 1})
    assert [warning.path for warning in report.warnings] == [key]
    assert HARMLESS[key] in report.warnings[0].hint
    assert not report.problems


def test_all_deprecated_keys_are_named_together():
    report = check(**dict.fromkeys(DEPRECATED, 1))
    assert {problem.path for problem in report.problems} == set(DEPRECATED)


def test_variables_with_the_names_of_deprecated_keys_are_left_alone():
    report = check(
        data='a word',
        optimizer={'lr': 1, '_scope_': 'mmseg'},
        optim_wrapper={'optimizer': {'lr': 1, '_scope_': 'mmengine'}},
        seed=0,
        randomness={'seed': 0},
    )
    assert report == Report()


def test_a_changed_optimizer_variable_is_noted():
    report = check(optimizer={'lr': 2}, optim_wrapper={'optimizer': {'lr': 1}})
    (note,) = report.notes
    assert note.path == 'optimizer'
    assert 'optim_wrapper=dict(optimizer=' in note.hint


def test_a_seed_that_nothing_reads_is_a_warning():
    (warning,) = check(seed=0).warnings
    assert 'randomness=dict(seed=' in warning.hint


def test_fp16_beside_a_mixed_precision_wrapper_is_only_a_warning():
    report = check(fp16={}, optim_wrapper={'type': 'AmpOptimWrapper'})
    assert not report.problems
    assert report.warnings[0].path == 'fp16'


@pytest.mark.parametrize('wrapper', ['', 'model_wrapper_cfg'])
def test_find_unused_parameters_is_a_warning_that_explains(wrapper):
    config = {'find_unused_parameters': True}
    (warning,) = check(**({wrapper: config} if wrapper else config)).warnings
    assert warning.path == f'{wrapper}.find_unused_parameters'.lstrip('.')
    assert 'no unused parameters' in warning.hint
    assert check(find_unused_parameters=False) == Report()


@pytest.mark.parametrize('imports', ['mmkd_ext.methods', ['mmkd_ext', 'json']])
def test_importing_this_package_is_noted_as_needless(imports):
    (note,) = check(custom_imports={'imports': imports}).notes
    assert 'mmkd_ext' in note.found
    assert 'json' not in note.found
    assert check(custom_imports={'imports': ['json']}) == Report()


@pytest.mark.parametrize(('key', 'meant'), [
    ('custom_hook', 'custom_hooks'), ('optim_wraper', 'optim_wrapper'),
    ('trian_cfg', 'train_cfg'), ('val_evaluater', 'val_evaluator'),
])  # fmt: skip
def test_a_key_that_is_a_letter_off_is_a_warning(key, meant):
    (warning,) = check(**{key: 1}).warnings
    assert warning.path == key
    assert f'`{meant}`' in warning.hint


@pytest.mark.parametrize('key', ['train_pipeline', 'my_train_cfg', 'train_xyz'])
def test_variables_of_any_name_are_allowed(key):
    assert check(**{key: 1}) == Report()
