"""Files that are not there are named before anything is loaded."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from mmkd_ext.config.context import Report
from mmkd_ext.config.files import (
    check_load_from,
    check_pretrained,
    missing_data,
    name_variables,
)
from mmkd_ext.config.models import load_checkpoint, summarize


def problems(**dataset):
    return list(missing_data(dataset, 'data'))


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'train.json').write_text('{}')
    return str(tmp_path) + '/'


def test_data_that_is_there_is_no_problem(root):
    prefixes = {'img': 'images/', 'other': ''}
    found = problems(data_root=root, ann_file='train.json', data_prefix=prefixes)
    assert found == []
    assert list(missing_data(None, 'data')) == []


@pytest.mark.parametrize(('root', 'hint'), [
    ('no/where', '--cfg-options data.data_root='),
    ('gone/streets/', 'projects/toy_streets/make.py --out gone/streets'),
])  # fmt: skip
def test_a_missing_root_is_one_problem_with_what_fixes_it(root, hint):
    (problem,) = problems(data_root=root, ann_file='train.json')
    assert problem.path == 'data.data_root'
    assert f'{root!r}' in problem.found
    assert hint in problem.hint


def test_missing_files_under_the_root_are_named_each(root):
    prefixes = {'img': 'pictures'}
    found = problems(data_root=root, ann_file='val.json', data_prefix=prefixes)
    assert [p.path for p in found] == ['data.ann_file', 'data.data_prefix.img']
    assert f"'{root}val.json'" in found[0].found


def test_data_sets_inside_others_are_found():
    inner = [{'data_root': 'no/where'}, {'data_root': 'no/thing'}]
    concat = {'type': 'ConcatDataset', 'datasets': inner}
    assert [p.path for p in problems(type='RepeatDataset', dataset=concat)] == [
        f'data.dataset.datasets[{i}].data_root' for i in (0, 1)]


@pytest.mark.parametrize('dataset', [
    {'data_root': 's3://bucket/x', 'ann_file': 'x.json'},
    {'data_root': 'no/where', 'backend_args': {'backend': 'petrel'}},
    {'ann_file': 'https://host/x.json'},
    {'data_prefix': {'img': ['a', 'b']}},
    {},
])  # fmt: skip
def test_what_is_not_a_local_file_is_not_looked_for(dataset):
    assert problems(**dataset) == []


@pytest.mark.parametrize(
    ('name', 'count'),
    [('nowhere.pth', 1), (None, 0), ('https://host/x.pth', 0), (__file__, 0)],
)
def test_load_from_must_exist(name, count):
    report = Report()
    check_load_from(Config({'load_from': name}), report)
    assert len(report.problems) == count
    assert all('nowhere.pth' in p.found for p in report.problems)


def test_local_pretrained_weights_must_exist_and_addresses_are_noted():
    report = Report()
    gone = {'type': 'Pretrained', 'checkpoint': 'gone.pth'}
    model = {
        'pretrained': 'open-mmlab://resnet18_v1c',
        'backbone': {'init_cfg': gone},
        'neck': {'pretrained': __file__},
        'necks': [{'init_cfg': [{**gone, 'checkpoint': 'torchvision://x'}]}],
        'head': {'pretrained': None, 'init_cfg': {'type': 'Normal'}},
    }
    check_pretrained(model, 'model', report)
    assert [p.path for p in report.problems] == ['model.backbone.init_cfg.checkpoint']
    assert [p.path for p in report.notes] == [
        'model.pretrained', 'model.necks[0].init_cfg[0].checkpoint']


@pytest.mark.parametrize('line', [
    "data_root = '{{$TOYS_ROOT:data/toys}}'",
    "data_root = __import__('os').environ.get('TOYS_ROOT', 'data/toys')",
])  # fmt: skip
def test_the_variable_from_which_a_missing_root_is_read_is_named(
    line, tmp_path, monkeypatch
):
    file = tmp_path / 'config.py'
    file.write_text(f'{line}\ndata = dict(data_root=data_root)\n')
    for value in (None, str(tmp_path / 'gone')):
        if value is not None:
            monkeypatch.setenv('TOYS_ROOT', value)
        cfg = Config.fromfile(file)
        report = Report()
        root = value or 'data/toys'
        report.problem('a', f'there is no folder {root!r}.', 'Put it there.')
        report.problem('b', "there is no file 'else/where'.")
        name_variables(cfg, report)
        assert '$TOYS_ROOT' in report.problems[0].hint
        assert report.problems[1].hint == ''


@pytest.mark.parametrize(('name', 'hint'), [
    ('work_dirs/teacher/iter_1.pth', 'the config that names it says how'),
    ('teacher.pth', 'Correct the path'),
])  # fmt: skip
def test_a_missing_checkpoint_that_a_training_makes_is_no_wrong_path(name, hint):
    model, report = torch.nn.Linear(1, 1), Report()
    summary = summarize('teacher', model)
    load_checkpoint(model, name, 'model.teacher_ckpt', summary, report)
    (problem,) = report.problems
    assert problem.path == 'model.teacher_ckpt'
    assert hint in problem.hint
