"""A very small `make demo`: the same tools, experiment file and configs, by options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmkd_ext.datasets.streets import StreetSettings, make_streets

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[2]
ITERATIONS = 4


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """The experiment, its outcomes, what was said, and where."""
    from dataclasses import replace

    from mmkd_ext.evaluation.experiment import Workshop, load_experiment

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    root = tmp_path_factory.mktemp('demo')
    streets = make_streets(
        root / 'streets',
        StreetSettings(height=64, train=6, val=3, drives=0, val_drives=0, frames=1),
        workers=1,
    ).root
    experiment = load_experiment('benchmarks/experiments/demo.py')
    options = {
        f'{part}_dataloader.dataset.data_root': streets
        for part in ('train', 'val', 'test')
    }
    options.update({
        'train_dataloader.batch_size': 2,
        'val_dataloader.dataset.indices': 2,
        'train_cfg.max_iters': ITERATIONS,
        'train_cfg.val_interval': ITERATIONS,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.interval': ITERATIONS,
        'log_processor.window_size': 1,
    })
    experiment = replace(experiment, options=options)
    said: list[str] = []
    shop = Workshop(root / 'work', say=said.append, data='tiny', pictures=True)
    yield experiment, shop.run(experiment, 0), said, root
    monkeypatch.undo()


def test_all_three_are_trained_and_tested(made):
    _, outcomes, said, _ = made
    assert [o.run.name for o in outcomes] == ['teacher', 'student', 'distilled']
    for outcome in outcomes:
        assert outcome.checkpoint.name == f'iter_{ITERATIONS}.pth'
        assert 0 <= outcome.metrics['val']['mIoU'] <= 100
    assert any('teacher: ' in line and 'iterations' in line for line in said)


def test_the_student_alone_and_the_distilled_one_start_from_the_same_weights(made):
    from mmkd_ext.evaluation.runs import curve, read_scalars

    _, (_, plain, distilled), _, _ = made
    first = [
        curve(read_scalars(outcome.folder), 'task_loss')[1][0]
        for outcome in (plain, distilled)
    ]
    # the same weights, batch and dropout: what is logged first is before any update
    assert first[0] == first[1]


def test_the_distilled_student_learns_from_the_teacher_and_is_as_large_as_the_other(
    made,
):
    import torch

    from mmkd_ext.evaluation.runs import curve, read_scalars

    _, (_, plain, distilled), _, _ = made
    assert all(v > 0 for v in curve(read_scalars(distilled.folder), 'distill_loss')[1])
    shapes = [
        {k: v.shape for k, v in torch.load(o.student)['state_dict'].items()}
        for o in (plain, distilled)
    ]
    assert shapes[0] == shapes[1]


def test_a_second_call_does_nothing(made):
    from mmkd_ext.evaluation.experiment import Workshop

    experiment, outcomes, _, root = made
    shop = Workshop(root / 'work', say=lambda line: None, data='tiny', pictures=True,
                    python='/bin/false')
    assert shop.run(experiment, 0) == outcomes


def test_the_report_has_the_table_and_the_pictures(made, tmp_path):
    pytest.importorskip('matplotlib')
    from mmkd_ext.evaluation.demo import costs, make_report, result_table, verdict

    experiment, outcomes, _, _ = made
    found = costs(experiment, (64, 128))
    assert found['student'] == found['distilled']
    assert found['teacher'].parameters > 10 * found['student'].parameters
    page, markdown = make_report(
        experiment, outcomes, tmp_path, found, seed=0, images=2
    )
    text = page.read_text()
    # curves, classes, and 2 rows of input, truth, three predictions and the change
    assert text.count('data:image/png;base64,') == 2 + 2 * 6
    for outcome in outcomes:
        assert f'{outcome.metrics["val"]["mIoU"]:.2f}' in text
    assert 'mended' in markdown.read_text()
    table = result_table(experiment, outcomes, found)
    assert [row[0] for row in table.rows] == [o.run.title for o in outcomes]
    gain = outcomes[2].metrics['val']['mIoU'] - outcomes[1].metrics['val']['mIoU']
    assert f'{gain:+.2f}' in verdict(experiment, outcomes)


def test_the_repetition_of_it_is_json(made):
    from mmkd_ext.evaluation.repetition import results

    experiment, outcomes, _, _ = made
    content = results(experiment, {0: outcomes})
    assert json.loads(json.dumps(content)) == content
    assert content['sets']['val']['runs']['student']['mIoU']['std'] is None
