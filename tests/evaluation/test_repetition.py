from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mmkd_ext.evaluation.experiment import Experiment, Outcome, Run
from mmkd_ext.evaluation.repetition import results, summary_table

RUNS = (
    Run('teacher', 'teacher.py', once=True),
    Run('student', 'student.py', title='student alone'),
    Run('distilled', 'distilled.py', teacher='teacher'),
)
EXPERIMENT = Experiment('toy', 'Toy', RUNS, {'val': {}}, (0, 1, 2), {}, 'toy.py')
PLAIN, DISTILLED = (30.0, 34.0, 32.0), (33.0, 35.0, 34.0)


def outcome(run, seed, value):
    folder = Path('w') if run.once else Path(f'w/seed{seed}')
    metrics = {'mIoU': value, 'mAcc': value, 'aAcc': value, 'IoU.car': value + 1}
    return Outcome(run, seed, folder / run.name, folder / 'c.pth', 10.0,
                   {'val': metrics})


@pytest.fixture
def content():
    outcomes = {
        seed: [outcome(RUNS[0], 0, 50.0), outcome(RUNS[1], seed, PLAIN[seed]),
               outcome(RUNS[2], seed, DISTILLED[seed])]
        for seed in (0, 1, 2)
    }
    return results(EXPERIMENT, outcomes)


def test_mean_spread_and_values_by_seed(content):
    figures = content['sets']['val']['runs']['student']['mIoU']
    assert figures == {'mean': 32.0, 'std': 2.0, 'values': [30.0, 34.0, 32.0]}


def test_a_shared_teacher_is_one_value_without_spread(content):
    figures = content['sets']['val']['runs']['teacher']['mIoU']
    assert figures == {'mean': 50.0, 'std': None, 'values': [50.0]}
    assert content['runs']['teacher']['train_seconds'] == [10.0]


def test_the_gain_is_taken_seed_by_seed(content):
    gain = content['sets']['val']['gain']['distilled']
    # by hand: 3, 1, 2, so 2 +- 1, where unpaired spreads would add up to more
    assert gain == {'over': 'student', 'mean': 2.0, 'std': 1.0,
                    'values': [3.0, 1.0, 2.0]}


def test_classes_have_mean_and_spread_too(content):
    figures = content['sets']['val']['runs']['student']['IoU']['car']
    assert figures['mean'] == 33.0


def test_can_be_repeated_and_names_no_machine(content):
    text = json.dumps(content)
    assert content['command'] == 'python tools/repeat.py toy.py'
    assert content['seeds'] == [0, 1, 2]
    assert {'machine', 'versions', 'commit', 'date'} <= set(content)
    assert not re.search(r'"/(root|home|work|tmp)', text)
    import platform

    assert platform.node() not in json.dumps(content['machine'])


def test_the_table_shows_runs_and_gain(content):
    text = summary_table(content, 'val').markdown()
    assert '32.00 ± 2.00' in text
    assert '+2.00 ± 1.00' in text
    assert '50.00 |' in text
