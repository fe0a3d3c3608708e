"""The runs of an experiment differ in what they are compared for, only."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from mmengine.config import Config

from experiment_kit.experiment import load_experiment

ROOT = Path(__file__).parents[2]
EXPERIMENTS = [
    *(pytest.param(name, marks=pytest.mark.mmdet)
      for name in ('bccd_gfl', 'bccd_retinanet')),
    *(pytest.param(name, marks=pytest.mark.mmseg)
      for name in ('camvid_fpn', 'camvid_segformer'))]
# of the whole config: what a run with a given seed comes out to but for the links
SAME = ('train_dataloader', 'train_cfg', 'param_scheduler', 'test_dataloader',
        'test_evaluator', 'custom_hooks', 'randomness')
MODEL = {'type', 'architecture', 'teacher', 'teacher_ckpt', 'distiller'}

read = functools.lru_cache(Config.fromfile)


@pytest.fixture
def load(monkeypatch):
    """Reads an experiment's runs and their configs."""

    def load(name):
        monkeypatch.chdir(ROOT)
        runs = load_experiment(f'benchmarks/experiments/{name}.py').runs
        return {run.name: run for run in runs}, {r.name: read(r.config) for r in runs}

    return load


def optimizer(config):
    """The student's; an adversary has one of its own beside it."""
    wrapper = config.optim_wrapper
    return wrapper.get('student', wrapper).optimizer


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_students_differ_in_their_links_only(name, load):
    runs, configs = load(name)
    alone, teacher = configs['student'], configs['teacher']
    distilled = [run.name for run in runs.values() if run.teacher and run.tested]
    assert len(distilled) >= (4 if name.startswith('bccd') else 10)
    for run in distilled:
        config = configs[run]
        for key in SAME:
            assert config.get(key) == alone.get(key), (run, key)
        assert optimizer(config) == optimizer(alone), run
        assert config.model.architecture == alone.model, run
        # pictures are cropped once, for the student
        prep = config.model.teacher.data_preprocessor
        assert config.model.teacher == {**teacher.model, 'data_preprocessor': prep}, run
        assert set(config.model) == MODEL, run
    # the same ones with another weight aside
    links = [configs[run].model.distiller for run in distilled
             if runs[run].weight_factor == 1]  # fmt: skip
    assert all(links.count(one) == 1 for one in links)


@pytest.mark.mmseg
@pytest.mark.parametrize('name', ['camvid_fpn', 'camvid_segformer'])
def test_distillations_find_the_teacher_that_the_experiment_trains(name, load):
    runs, configs = load(name)
    length = configs['teacher'].train_cfg.max_iters
    file = f'work_dirs/repeat/{name}/teacher/iter_{length}.pth'
    found = {configs[run].model.teacher_ckpt for run in runs if runs[run].teacher}
    assert found == {file}


@pytest.mark.parametrize(('variable', 'config'), [
    pytest.param('BCCD_ROOT', 'bccd/student_gfl-r18-w8', marks=pytest.mark.mmdet),
    pytest.param('CAMVID_ROOT', 'camvid/student_fpn-r18-w8', marks=pytest.mark.mmseg)])
def test_the_data_are_found_where_the_variable_says(monkeypatch, variable, config):
    monkeypatch.setenv(variable, '/somewhere/data')
    config = Config.fromfile(ROOT / f'benchmarks/configs/{config}.py')
    assert config.train_dataloader.dataset.data_root == '/somewhere/data'
    assert config.test_dataloader.dataset.data_root == '/somewhere/data'
    if variable == 'BCCD_ROOT':
        assert config.test_evaluator.classwise
        assert config.test_evaluator.ann_file == '/somewhere/data/annotations/val.json'
