"""The runs of the BCCD experiments differ in what they are compared for, only."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from experiment_kit.experiment import load_experiment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.mmdet

# of the whole config: what a run with a given seed comes out to but for the links
SAME = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
        'test_dataloader', 'test_evaluator', 'custom_hooks', 'randomness')


def settings(config):
    return {key: config[key] for key in SAME}


@pytest.mark.parametrize('name', ['bccd_gfl', 'bccd_retinanet'])
def test_students_differ_in_their_links_only(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment = load_experiment(f'benchmarks/experiments/{name}.py')
    configs = {run.name: Config.fromfile(run.config) for run in experiment.runs}
    alone, teacher = configs['student'], configs['teacher']
    distilled = [run.name for run in experiment.runs if run.teacher]
    assert len(distilled) >= 4
    for run in distilled:
        config = configs[run]
        assert settings(config) == settings(alone), run
        assert config.model.architecture == alone.model, run
        assert config.model.teacher == teacher.model, run
        assert set(config.model) == {
            'type', 'architecture', 'teacher', 'teacher_ckpt', 'distiller'}, run
    links = [configs[run].model.distiller for run in distilled]
    assert all(links.count(one) == 1 for one in links)


def test_the_data_are_found_where_the_variable_says(monkeypatch):
    monkeypatch.setenv('BCCD_ROOT', '/somewhere/bccd')
    config = Config.fromfile(ROOT / 'benchmarks/configs/bccd/student_gfl-r18-w8.py')
    assert config.train_dataloader.dataset.data_root == '/somewhere/bccd'
    assert config.test_dataloader.dataset.data_root == '/somewhere/bccd'
    assert config.test_evaluator.ann_file == '/somewhere/bccd/annotations/val.json'
    assert config.test_evaluator.classwise
