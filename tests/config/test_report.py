"""What the report looks like."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from mmkd_ext.config.check import check_config, list_taps
from mmkd_ext.config.context import (
    LinkSummary,
    ModelSummary,
    Report,
    TapSummary,
    TrainingSummary,
)
from mmkd_ext.config.report import WIDTH, console_for, render, render_taps
from mmkd_ext.errors import ConfigError, Problem


def written(what):
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(what)
    return out.getvalue()


def test_a_report_reads_at_100_columns(distillation):
    text = written(render(check_config(distillation())))
    assert max(map(len, text.splitlines())) <= WIDTH
    for part in (
        'mmkd_ext.TeacherDistill',
        'Models',
        'Links',
        'Terms of the loss',
        'distill.loss_cwd',
        'head.conv_seg',
        '2x4x64x64',
        '2,360',
        'No problem, 1 warning(s).',
    ):
        assert part in text


def test_problems_stand_last_with_their_hints(distillation):
    cfg = distillation({'lr_config': {}})
    text = written(render(check_config(cfg)))
    assert '-> Write param_scheduler=' in text
    assert text.index('Warnings') < text.index('Problems')
    assert text.rstrip().endswith('1 problem(s), 1 warning(s).')


def test_shapes_change_along_the_way():
    taps = (
        TapSummary('preds_S', 'student', 'neck', '2x4', 'ConvAdapter', '2x8'),
        TapSummary('preds_T', 'teacher', 'neck', '2x8', '', '2x8'),
    )
    report = Report(links=[LinkSummary('loss_x', 'X()', taps, 'none', 'constant')])
    lines = [' '.join(line.split()) for line in written(render(report)).splitlines()]
    assert 'preds_S student neck 2x4 -> ConvAdapter -> 2x8' in lines
    assert 'preds_T teacher neck 2x8' in lines


def test_brackets_are_not_taken_for_markup():
    report = Report(
        models=[ModelSummary('student', '[red]X', 2_500_000, 'x.pth', 0.98)]
    )
    text = written(render(report))
    assert '[red]X' in text
    assert '2.50 M' in text
    assert 'x.pth: 98.0% matched' in text


@pytest.mark.parametrize(('facts', 'said'), [
    (TrainingSummary('SGD', 0.02, 2, 8, 16, 'the name', False, 0.02, '12 epochs'),
     ['12 epochs', 'SGD with learning rate 0.02', '8 GPU(s) x 2 samples = 16',
     'made for a batch of 16 (the name)', '--auto-scale-lr']),
    (TrainingSummary('SGD', 0.02, 2, 8, 16, 'the name', True, 0.02), ['by itself']),
])  # fmt: skip
def test_says_how_the_learning_rate_fits_the_batch(facts, said):
    text = written(render(Report(training=facts)))
    assert all(part in text for part in said)


def test_nothing_is_said_about_a_training_that_is_not_described():
    assert 'Training' not in written(render(Report(training=TrainingSummary())))


def test_values_without_gradients_leave_the_columns_empty(distillation):
    text = written(render(check_config(distillation(), gradients=False)))
    assert '#' not in text
    assert 'distill.loss_cwd' in text


def test_the_dict_of_a_report_is_json(distillation):
    found = json.loads(json.dumps(check_config(distillation()).to_dict()))
    assert found['ok'] is True
    assert found['links'][0]['taps'][0]['at'] == 'head.conv_seg'
    assert found['warnings'][0]['path'] == 'model.teacher_ckpt'
    assert found['problems'] == []


def test_the_table_of_taps_has_a_row_each(distillation):
    text = written(render_taps('student', list_taps(distillation(), 'student')))
    rows = [line.split() for line in text.splitlines()]
    assert ['aux_head', 'Conv2d', '(1,', '4,', '16,', '16)', '1', 'loss'] in rows


def test_a_console_is_100_columns_wide_where_there_is_no_terminal(monkeypatch):
    assert console_for(io.StringIO()).width == WIDTH

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv('COLUMNS', '140')
    assert console_for(Terminal()).width == 140


def test_a_problem_is_kept_once_and_tidy():
    report = Report()
    for _ in range(2):
        report.problem('a', 'b', '  c ')
    assert report.problems == [Problem('a', 'b', 'c')]
    with report.collecting('here'):
        raise KeyError('x')
    with report.collecting('here'):
        raise ConfigError.at('there', 'is wrong.')
    assert [problem.path for problem in report.problems] == ['a', 'here', 'there']
