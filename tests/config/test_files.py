"""Files that are not there are named before anything is loaded."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from mmkd_ext.config.files import (
    check_load_from,
    check_pretrained,
    missing_data,
    name_variables,
)
from mmkd_ext.config.findings import Findings
from mmkd_ext.config.models import facts_of, load_checkpoint


def loader(**dataset):
    return Config({'train_dataloader': {'dataset': dataset}})


def problems(cfg):
    return [
        problem
        for split in ('train_dataloader', 'val_dataloader')
        for problem in missing_data(
            (cfg.get(split) or {}).get('dataset'), f'{split}.dataset'
        )
    ]


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'train.json').write_text('{}')
    return str(tmp_path) + '/'


def test_data_that_is_there_is_no_problem(root):
    assert (
        problems(
            loader(
                data_root=root,
                ann_file='train.json',
                data_prefix={'img': 'images/', 'other': ''},
            )
        )
        == []
    )


def test_a_missing_root_is_one_problem_with_the_option_that_mends_it():
    (problem,) = problems(loader(data_root='no/where', ann_file='train.json'))
    assert problem.path == 'train_dataloader.dataset.data_root'
    assert "'no/where'" in problem.found
    assert '--cfg-options train_dataloader.dataset.data_root=' in problem.hint


def test_missing_streets_come_with_the_command_that_draws_them():
    (problem,) = problems(loader(data_root='gone/streets/'))
    assert 'projects/toy_streets/make.py --out gone/streets' in problem.hint


def test_missing_files_under_the_root_are_named_each(root):
    found = problems(
        loader(data_root=root, ann_file='val.json', data_prefix={'img': 'pictures'})
    )
    assert [p.path for p in found] == [
        'train_dataloader.dataset.ann_file',
        'train_dataloader.dataset.data_prefix.img',
    ]
    assert f"'{root}val.json'" in found[0].found


def test_train_and_val_are_looked_at_together():
    cfg = Config(
        {
            f'{split}_dataloader': {'dataset': {'data_root': 'no/where'}}
            for split in ('train', 'val')
        }
    )
    assert [p.path.split('.')[0] for p in problems(cfg)] == [
        'train_dataloader',
        'val_dataloader',
    ]


def test_data_sets_inside_others_are_found():
    inner = {'data_root': 'no/where'}
    cfg = loader(
        type='RepeatDataset',
        dataset={
            'type': 'ConcatDataset',
            'datasets': [inner, {'data_root': 'no/thing'}],
        },
    )
    assert [p.path for p in problems(cfg)] == [
        'train_dataloader.dataset.dataset.datasets[0].data_root',
        'train_dataloader.dataset.dataset.datasets[1].data_root',
    ]


@pytest.mark.parametrize(
    'dataset',
    [
        {'data_root': 's3://bucket/x', 'ann_file': 'x.json'},
        {'data_root': 'no/where', 'backend_args': {'backend': 'petrel'}},
        {'ann_file': 'https://host/x.json'},
        {'data_prefix': {'img': ['a', 'b']}},
        {},
    ],
)
def test_what_is_not_a_local_file_is_not_looked_for(dataset):
    assert problems(loader(**dataset)) == []


def test_a_config_without_data_is_fine():
    assert problems(Config({'train_dataloader': None})) == []


@pytest.mark.parametrize(
    ('name', 'count'),
    [('nowhere.pth', 1), (None, 0), ('https://host/x.pth', 0), (__file__, 0)],
)
def test_load_from_must_exist(name, count):
    findings = Findings()
    check_load_from(Config({'load_from': name}), findings)
    assert len(findings.problems) == count
    assert all('nowhere.pth' in p.found for p in findings.problems)


def test_local_pretrained_weights_must_exist_and_addresses_are_noted():
    findings = Findings()
    check_pretrained(
        {
            'pretrained': 'open-mmlab://resnet18_v1c',
            'backbone': {'init_cfg': {'type': 'Pretrained', 'checkpoint': 'gone.pth'}},
            'neck': {'pretrained': __file__},
            'necks': [
                {'init_cfg': [{'type': 'Pretrained', 'checkpoint': 'torchvision://x'}]}
            ],
            'head': {'pretrained': None, 'init_cfg': {'type': 'Normal'}},
        },
        'model',
        findings,
    )
    assert [p.path for p in findings.problems] == ['model.backbone.init_cfg.checkpoint']
    assert [p.path for p in findings.notes] == [
        'model.pretrained',
        'model.necks[0].init_cfg[0].checkpoint',
    ]


@pytest.mark.parametrize(
    'line',
    [
        "data_root = '{{$TOYS_ROOT:data/toys}}'",
        "data_root = __import__('os').environ.get('TOYS_ROOT', 'data/toys')",
    ],
)
def test_the_variable_from_which_a_missing_root_is_read_is_named(
    line, tmp_path, monkeypatch
):
    file = tmp_path / 'config.py'
    file.write_text(f'{line}\ndata = dict(data_root=data_root)\n')
    for value in (None, str(tmp_path / 'gone')):
        if value is not None:
            monkeypatch.setenv('TOYS_ROOT', value)
        cfg = Config.fromfile(file)
        findings = Findings()
        root = value or 'data/toys'
        findings.problem('a', f'there is no folder {root!r}.', 'Put it there.')
        findings.problem('b', "there is no file 'else/where'.")
        name_variables(cfg, findings)
        assert findings.problems[0].hint == (
            'Put it there. The config reads it from $TOYS_ROOT: set that.'
        )
        assert findings.problems[1].hint == ''


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('work_dirs/teacher/iter_1.pth', 'the config that names it says how'),
        ('teacher.pth', 'Correct the path'),
    ],
)
def test_a_missing_checkpoint_that_a_training_makes_is_no_wrong_path(name, hint):
    model, findings = torch.nn.Linear(1, 1), Findings()
    load_checkpoint(
        model, name, 'model.teacher_ckpt', facts_of('teacher', model), findings
    )
    (problem,) = findings.problems
    assert problem.path == 'model.teacher_ckpt'
    assert hint in problem.hint
