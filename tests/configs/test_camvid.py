"""The runs of the CamVid experiments differ in what they are compared for, only."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from mmengine.config import Config

from experiment_kit.experiment import load_experiment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.mmseg

# of the whole config: what a run with a given seed comes out to but for the links
SAME = ('train_dataloader', 'train_cfg', 'param_scheduler', 'test_dataloader',
        'test_evaluator', 'custom_hooks', 'randomness')


read = functools.lru_cache(Config.fromfile)


def optimizer(config):
    """The student's; an adversary has one of its own beside it."""
    wrapper = config.optim_wrapper
    return wrapper.get('student', wrapper).optimizer


@pytest.mark.parametrize('name', ['camvid_fpn', 'camvid_segformer'])
def test_students_differ_in_their_links_only(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment = load_experiment(f'benchmarks/experiments/{name}.py')
    configs = {run.name: read(run.config) for run in experiment.runs}
    alone, teacher = configs['student'], configs['teacher']
    distilled = [r.name for r in experiment.runs if r.teacher and r.tested]
    assert len(distilled) >= 10
    for run in distilled:
        config = configs[run]
        for key in SAME:
            assert config.get(key) == alone.get(key), (run, key)
        assert optimizer(config) == optimizer(alone), run
        assert config.model.architecture == alone.model, run
        # pictures are cropped once, for the student
        theirs = dict(config.model.teacher)
        assert {**teacher.model, 'data_preprocessor': theirs['data_preprocessor']} == (
            theirs), run
        assert set(config.model) == {
            'type', 'architecture', 'teacher', 'teacher_ckpt', 'distiller'}, run
    links = [configs[run].model.distiller for run in distilled]
    assert all(links.count(one) == 1 for one in links)


@pytest.mark.parametrize('name', ['camvid_fpn', 'camvid_segformer'])
def test_distillations_find_the_teacher_that_the_experiment_trains(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = {run.name: run for run in load_experiment(
        f'benchmarks/experiments/{name}.py').runs}
    length = read(runs['teacher'].config).train_cfg.max_iters
    for run in runs.values():
        if run.teacher:
            model = read(run.config).model
            assert model.teacher_ckpt == (
                f'work_dirs/repeat/{name}/teacher/iter_{length}.pth')


def test_the_data_are_found_where_the_variable_says(monkeypatch):
    monkeypatch.setenv('CAMVID_ROOT', '/somewhere/camvid')
    config = Config.fromfile(ROOT / 'benchmarks/configs/camvid/student_fpn-r18-w8.py')
    assert config.train_dataloader.dataset.data_root == '/somewhere/camvid'
    assert config.test_dataloader.dataset.data_root == '/somewhere/camvid'
