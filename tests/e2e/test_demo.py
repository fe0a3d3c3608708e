"""A very small `make demo`: the same tools, experiment file and configs, by options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[2]
ITERATIONS = 4


@pytest.fixture(scope='module')
def made(tmp_path_factory, small_streets):
    """The experiment, its outcomes, what was logged, and where."""
    from dataclasses import replace

    from experiment_kit.experiment import ExperimentRunner, load_experiment

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    root = tmp_path_factory.mktemp('demo')
    experiment = load_experiment('benchmarks/experiments/demo.py')
    options = {
        f'{part}_dataloader.dataset.data_root': small_streets
        for part in ('train', 'val', 'test')}
    options.update({
        'train_dataloader.batch_size': 2, 'val_dataloader.dataset.indices': 2,
        'train_cfg.max_iters': ITERATIONS, 'train_cfg.val_interval': ITERATIONS,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.interval': ITERATIONS, 'log_processor.window_size': 1,
    })
    experiment = replace(experiment, options=options)
    logged: list[str] = []
    runner = ExperimentRunner(root / 'work', log=logged.append, data='tiny',
                              pictures=True)
    yield experiment, runner.run(experiment, 0), logged, root
    monkeypatch.undo()


def test_all_three_are_trained_and_tested(made):
    _, outcomes, logged, _ = made
    assert [o.run.name for o in outcomes] == ['teacher', 'student', 'distilled']
    for outcome in outcomes:
        assert outcome.checkpoint.name == f'iter_{ITERATIONS}.pth'
        assert 0 <= outcome.metrics['val']['mIoU'] <= 100
    assert any('teacher (seed 0) on val: mIoU ' in line for line in logged)


def test_the_student_alone_and_the_distilled_one_start_from_the_same_weights(made):
    from mmkd_ext.evaluation.runs import curve, read_scalars

    _, (_, plain, distilled), _, _ = made
    first = [
        curve(read_scalars(outcome.folder), 'task_loss').iloc[0]
        for outcome in (plain, distilled)]
    # the same weights, batch and dropout: what is logged first is before any update
    assert first[0] == first[1]


def test_the_distilled_student_learns_from_the_teacher_and_is_as_large_as_the_other(
    made,
):
    import torch

    from mmkd_ext.evaluation.runs import curve, read_scalars

    _, (_, plain, distilled), _, _ = made
    assert (curve(read_scalars(distilled.folder), 'distill_loss') > 0).all()
    shapes = [
        {k: v.shape for k, v in torch.load(o.student)['state_dict'].items()}
        for o in (plain, distilled)]
    assert shapes[0] == shapes[1]


def test_a_second_call_does_nothing(made):
    from experiment_kit.experiment import ExperimentRunner

    experiment, outcomes, _, root = made
    runner = ExperimentRunner(root / 'work', log=lambda line: None, data='tiny',
                              pictures=True, python='/bin/false')
    assert runner.run(experiment, 0) == outcomes


def test_the_report_has_the_table_and_the_pictures(made, tmp_path):
    import demo

    from mmkd_ext.evaluation.training_report import (
        change_text,
        result_table,
        write_training_report,
    )

    experiment, outcomes, _, _ = made
    models = demo.models_of(experiment, outcomes, (64, 128))
    teacher, plain, distilled = (models[r] for r in ('teacher', 'plain', 'distilled'))
    assert plain.costs == distilled.costs
    assert plain.costs['parameters'] != teacher.costs['parameters']
    page, text = write_training_report(
        tmp_path, title='Toy', **models, dataset=demo.test_set(experiment), images=2)
    # curves, classes, and the grid of pictures
    assert page.read_text().count('data:image/png;base64,') == 3
    for outcome in outcomes:
        assert f'{outcome.metrics["val"]["mIoU"]:.2f}' in text.read_text()
    assert list(result_table([teacher, plain, distilled], distilled).iloc[:, 0]) == [
        outcome.run.title for outcome in outcomes]
    gain = outcomes[2].metrics['val']['mIoU'] - outcomes[1].metrics['val']['mIoU']
    assert f'{gain:+.2f}' in change_text(**models)


def test_the_repetition_of_it_is_json(made):
    from experiment_kit.results import results

    experiment, outcomes, _, _ = made
    content = results(experiment, {0: outcomes})
    assert json.loads(json.dumps(content)) == content
    assert content['sets']['val']['runs']['student']['mIoU']['std'] is None
