"""Types and arguments of everything a config names."""

from __future__ import annotations

import pytest
from mmengine import registry as roots
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmkd_ext.config.findings import Findings
from mmkd_ext.config.parts import (
    check_parts,
    explain_model,
    find_type,
    scoped,
    unknown_type,
)


def problems(**config):
    findings = Findings()
    with scoped('mmkd_ext'):
        check_parts(Config(config), findings)
    assert not findings.warnings
    return findings.problems


LOADER = {
    'batch_size': 2,
    'num_workers': 0,
    '_scope_': 'mmengine',
    'sampler': {'type': 'DefaultSampler', 'shuffle': True},
    'dataset': {'type': 'mmkd_ext.ToyDataset', 'length': 4},
}


def test_a_config_that_is_right_has_no_problem():
    assert (
        problems(
            train_dataloader=LOADER,
            val_dataloader=None,
            train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': 2},
            val_cfg={},
            val_evaluator=[{'type': 'mmkd_ext.ToyAccuracy'}],
            test_evaluator={'metrics': [{'type': 'mmkd_ext.ToyAccuracy'}]},
            default_hooks={
                'logger': {'type': 'LoggerHook', 'interval': 1, 'priority': 'LOW'},
                'timer': None,
            },
            custom_hooks=[{'type': CheckpointHook, 'interval': 1}],
            optim_wrapper={
                'type': 'OptimWrapper',
                'constructor': 'DefaultOptimWrapperConstructor',
                'optimizer': {'type': 'SGD', 'lr': 0.1},
            },
            param_scheduler={'type': 'PolyLR'},
            visualizer={'type': 'Visualizer', '_scope_': 'mmengine'},
        )
        == []
    )


@pytest.mark.parametrize(
    ('config', 'path', 'hint'),
    [
        (
            {'train_dataloader': {'samples_per_gpu': 2}},
            'train_dataloader.samples_per_gpu',
            'Write `batch_size`.',
        ),
        (
            {'val_dataloader': {'batchsize': 2}},
            'val_dataloader.batchsize',
            '`batch_size`',
        ),
        (
            {'train_dataloader': {'sampler': {'type': 'DefualtSampler'}}},
            'train_dataloader.sampler.type',
            '`DefaultSampler`',
        ),
        (
            {'train_dataloader': {'dataset': {'type': 'mmkd_ext.ToyDatset'}}},
            'train_dataloader.dataset.type',
            '`mmkd_ext.ToyDataset`',
        ),
        (
            {
                'train_dataloader': {
                    'dataset': {'type': 'mmkd_ext.ToyDataset', 'lenght': 3}
                }
            },
            'train_dataloader.dataset.lenght',
            '`length`',
        ),
        (
            {
                'train_dataloader': {
                    'dataset': {
                        'type': 'RepeatDataset',
                        'times': 2,
                        'dataset': {'type': 'Toy'},
                    }
                }
            },
            'train_dataloader.dataset.dataset.type',
            'with its scope',
        ),
        (
            {
                'train_dataloader': {
                    'dataset': {'type': 'ConcatDataset', 'datasets': [{'type': 'Toy'}]}
                }
            },
            'train_dataloader.dataset.datasets[0].type',
            'with its scope',
        ),
        (
            {'val_evaluator': {'type': 'mmkd_ext.ToyAcuracy'}},
            'val_evaluator.type',
            '`mmkd_ext.ToyAccuracy`',
        ),
        (
            {'val_evaluator': [{'type': 'mmkd_ext.ToyAcuracy'}]},
            'val_evaluator[0].type',
            '`mmkd_ext.ToyAccuracy`',
        ),
        (
            {'default_hooks': {'checkpoint': {'type': 'CheckpointHok'}}},
            'default_hooks.checkpoint.type',
            '`CheckpointHook`',
        ),
        (
            {'default_hooks': {'checkpoint': {'interval': 1}}},
            'default_hooks.checkpoint',
            "dict(type='...Hook'",
        ),
        (
            {'custom_hooks': [{'type': 'LoggerHook', 'intervall': 1}]},
            'custom_hooks[0].intervall',
            '`interval`',
        ),
        (
            {'optim_wrapper': {'type': 'OptimWraper'}},
            'optim_wrapper.type',
            '`OptimWrapper`',
        ),
        (
            {'optim_wrapper': {'optimizer': {'type': 'SDG'}}},
            'optim_wrapper.optimizer.type',
            '`SGD`',
        ),
        (
            {'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr_': 1}}},
            'optim_wrapper.optimizer.lr_',
            '`lr`',
        ),
        (
            {'optim_wrapper': {'constructor': 'DefaultConstructor'}},
            'optim_wrapper.constructor.type',
            '',
        ),
        (
            {'param_scheduler': [{'type': 'PolyRL'}]},
            'param_scheduler[0].type',
            '`PolyLR`',
        ),
        (
            {'param_scheduler': {'type': 'PolyRL'}},
            'param_scheduler[0].type',
            '`PolyLR`',
        ),
        (
            {'train_cfg': {'type': 'IterBasedTrainLop'}},
            'train_cfg.type',
            '`IterBasedTrainLoop`',
        ),
        (
            {'visualizer': {'type': 'Visualiser', '_scope_': 'mmengine'}},
            'visualizer.type',
            '`Visualizer`',
        ),
    ],
)
def test_names_unknown_types_and_arguments(config, path, hint):
    (problem,) = problems(**config)
    assert problem.path == path
    assert hint in problem.hint


def test_a_hook_that_passes_on_what_it_does_not_know_is_not_judged():
    assert problems(custom_hooks=[{'type': 'EMAHook', 'momentun': 1}]) == []


def test_transforms_of_a_pipeline_are_looked_at():
    dataset = {'type': 'mmkd_ext.ToyDataset', 'pipeline': [{'type': 'RandomFlipp'}]}
    found = problems(train_dataloader={'dataset': dataset})
    assert [p.path for p in found] == [
        'train_dataloader.dataset.pipeline',
        'train_dataloader.dataset.pipeline[0].type',
    ]


def test_the_scope_of_a_base_config_is_honoured():
    wrong = {'type': 'ToyAccuracy', '_scope_': 'mmengine'}
    assert problems(val_evaluator={'type': 'ToyAccuracy', '_scope_': 'mmkd_ext'}) == []
    assert problems(val_evaluator=wrong)[0].path == 'val_evaluator.type'


def test_says_where_it_has_looked():
    with scoped('mmkd_ext'):
        found, hint = unknown_type('Nothing', roots.MODELS)
    assert found == "nothing is registered as 'Nothing' (default scope 'mmkd_ext')."
    assert 'custom_imports' in hint
    with scoped(None):
        assert "'mmengine'" in unknown_type('Nothing', roots.MODELS)[0]


def test_a_package_that_cannot_be_imported_is_the_reason_it_names():
    registry = roots.Registry('things', scope='things', locations=['no_such_package'])
    found, hint = unknown_type('Thing', registry)
    assert found == "'Thing' cannot be looked up: No module named 'no_such_package'."
    assert 'mend that module' in hint
    assert find_type('Thing', registry) is None


def test_finds_classes_names_and_nothing_else():
    assert find_type(CheckpointHook, roots.HOOKS) is CheckpointHook
    assert find_type('CheckpointHook', roots.MODELS, roots.HOOKS) is CheckpointHook
    assert find_type('no.such.Thing', roots.HOOKS) is None
    assert find_type(3, roots.HOOKS) is None


# ---- why a model could not be built -----------------------------------------------


def explained(config, error=''):
    findings = Findings()
    with scoped('mmkd_ext'):
        count = explain_model(config, 'model', findings, error)
    assert count == len(findings.problems)
    return findings.problems


def test_names_every_wrong_type_and_argument_of_a_model():
    found = explained(
        {
            'type': 'mmkd_ext.ToyModel',
            'chanels': 3,
            'parts': [{'type': 'mmkd_ext.ToyModle'}, 3],
        }
    )
    assert [p.path for p in found] == [
        'model.chanels',
        'model.parts',
        'model.parts[0].type',
    ]
    assert '`channels`' in found[0].hint
    assert '`mmkd_ext.ToyModel`' in found[2].hint


def test_arguments_that_a_builder_takes_away_are_not_judged():
    norm = {'type': 'BN', 'requires_grad': True}
    assert explained({'norm_cfg': norm, 'plugins': [{'cfg': norm}]}) == []
    assert explained({'norm_cfg': {'type': 'BNN'}})[0].path == 'model.norm_cfg.type'


def test_missing_arguments_are_named_only_where_python_missed_them():
    config = {'type': 'mmkd_ext.ConvAdapter', 'in_channels': 3}
    assert explained(config) == []
    error = 'ConvAdapter.__init__() missing 1 required positional argument'
    assert "needs ['out_channels']" in explained(config, error)[0].found


def test_functions_are_types_too():
    assert explained({'type': dict, 'anything': 1}) == []
    assert explained({'type': lambda: None, 'anything': 1}) == []
