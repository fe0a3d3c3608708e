from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pandas import DataFrame

from experiment_kit.experiment import Experiment, Failure, Outcome, Run
from experiment_kit.results import kd_shares, results, step_seconds, summary_table
from mmkd_ext.evaluation.tables import markdown

RUNS = (
    Run('teacher', 'teacher.py', once=True),
    Run('student', 'student.py', title='student alone'),
    Run('distilled', 'distilled.py', teacher='teacher'))
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
        for seed in (0, 1, 2)}
    return results(EXPERIMENT, outcomes)


def test_a_shared_teacher_is_one_value_without_spread(content):
    figures = content['sets']['val']['runs']['teacher']['mIoU']
    assert figures == {'mean': 50.0, 'std': None, 'values': [50.0]}
    assert content['runs']['teacher']['train_seconds'] == [10.0]


def test_the_gain_is_taken_seed_by_seed(content):
    gain = dict(content['sets']['val']['gain']['distilled'])
    assert gain.pop('classes')['car']['values'] == [3.0, 1.0, 2.0]
    # by hand: 3, 1, 2, so 2 +- 1, where unpaired spreads would add up to more
    assert gain == {'over': 'student', 'mean': 2.0, 'std': 1.0,
                    'values': [3.0, 1.0, 2.0], 'verdict': 'none',
                    # 4.303 / sqrt(3): Student's t of two degrees of freedom
                    'ci95': [-0.48, 4.48]}


def test_a_gain_over_a_named_run_is_what_is_less_of_an_error():
    runs = (RUNS[1], Run('many', 'student.py'), Run('more', 'more.py', over='many'))
    errors = {'student': 9.0, 'many': 8.0, 'more': 7.5}
    outcomes = {0: [replace(outcome(run, 0, 0.0), metrics={
        'val': {'video/MSE': errors[run.name]}}) for run in runs]}
    gain = results(replace(EXPERIMENT, runs=runs), outcomes)['sets']['val']['gain']
    assert {name: (one['over'], one['mean']) for name, one in gain.items()} == {
        'many': ('student', 1.0), 'more': ('many', 0.5)}


def test_a_second_mean_leaves_rare_classes_out(content):
    rare = replace(EXPERIMENT, rare=('bicyclist', 'pole'))
    values = {'IoU.car': 60.0, 'IoU.road': 90.0, 'IoU.pole': 3.0, 'IoU.bicyclist': 0.0}
    outcomes = {0: [outcome(RUNS[1], 0, 38.25)]}
    outcomes[0][0].metrics['val'].update(values)
    found = results(rare, outcomes)
    assert found['sets']['val']['rare'] == ['bicyclist', 'pole']
    figures = found['sets']['val']['runs']['student']['without rare classes']
    assert figures['mean'] == 75.0  # of 60 and 90
    assert 'without rare classes' in markdown(summary_table(found, 'val'))
    assert 'without rare classes' not in content['sets']['val']['runs']['student']
    assert 'without rare classes' not in markdown(summary_table(content, 'val'))


def test_can_be_repeated_and_names_no_machine(content):
    text = json.dumps(content)
    assert content['command'] == 'python benchmarks/repeat.py toy.py'
    assert content['seeds'] == [0, 1, 2]
    assert {'machine', 'versions', 'commit', 'date'} <= set(content)
    assert not re.search(r'"/(root|home|work|tmp)', text)
    import platform

    assert platform.node() not in json.dumps(content['machine'])


@pytest.mark.parametrize(('plain', 'distilled', 'verdict'), [
    ((30.0, 30.5, 31.0), (33.0, 34.0, 34.0), 'gain'),  # 3.2 +- 0.3 over 0.5
    ((33.0, 34.0, 34.0), (30.0, 30.5, 31.0), 'loss'),
    ((30.0, 30.0, 30.0), (31.0, 33.0, 29.0), 'none'),  # 1 +- 2: the gains disagree
    ((30.0, 34.0, 32.0), (31.5, 35.5, 33.5), 'none'),  # 1.5 +- 0, but seeds make 2
    ((30.0,), (40.0,), 'unknown')])
def test_a_gain_within_the_spread_is_called_none(plain, distilled, verdict):
    outcomes = {
        seed: [outcome(RUNS[1], seed, a), outcome(RUNS[2], seed, b)]
        for seed, (a, b) in enumerate(zip(plain, distilled))}
    found = results(EXPERIMENT, outcomes)['sets']['val']['gain']['distilled']
    assert found['verdict'] == verdict


def test_what_failed_is_named_and_the_rest_is_compared():
    outcomes = {
        0: [outcome(RUNS[0], 0, 50.0), outcome(RUNS[1], 0, 30.0),
            outcome(RUNS[2], 0, 31.0)],
        1: [outcome(RUNS[0], 0, 50.0), outcome(RUNS[1], 1, 32.0)]}
    failures = [Failure(RUNS[2], 1, RuntimeError('/secret/path'))]
    content = results(EXPERIMENT, outcomes, failures=failures)
    assert content['failed'] == [{'run': 'distilled', 'seed': 1, 'why': 'RuntimeError'}]
    figures = content['sets']['val']
    assert figures['runs']['distilled']['mIoU']['values'] == [31.0]
    assert figures['runs']['student']['mIoU']['values'] == [30.0, 32.0]
    assert figures['gain']['distilled']['values'] == [1.0]


def detected(run, seed, ap, folder):
    metrics = {'coco/bbox_mAP': ap, 'coco/bbox_mAP_50': ap + 0.2,
               'coco/bbox_mAP_75': ap - 0.1, 'coco/RBC_precision': ap + 0.1,
               'coco/WBC_precision': ap - 0.1}
    return Outcome(run, seed, folder, folder / 'c.pth', 10.0, {'val': metrics})


def write_log(folder, records):
    target = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    target.parent.mkdir(parents=True)
    target.write_text(''.join(json.dumps(record) + '\n' for record in records))


@pytest.fixture
def boxes(tmp_path):
    """Two seeds of a detection, with logs; steps take twice as long with seed 1."""
    outcomes = {}
    for seed in (0, 1):
        folders = [tmp_path / str(seed) / run.name for run in RUNS[1:]]
        slow = seed + 1
        write_log(folders[0], [{'loss': 2.0, 'time': 9.0, 'step': 5},
                               {'loss': 2.0, 'time': 0.2 * slow, 'step': 10}])
        write_log(folders[1], [
            {'loss': 4.0, 'distill.loss_cwd': 1.0, 'time': 9.0, 'step': 5},
            {'loss': 2.0, 'distill.loss_cwd': 0.25, 'time': 0.3 * slow, 'step': 10}])
        outcomes[seed] = [detected(RUNS[1], seed, 0.3, folders[0]),
                          detected(RUNS[2], seed, 0.35, folders[1])]
    return results(EXPERIMENT, outcomes)


def test_a_detection_leads_with_ap_in_percent(boxes):
    part = boxes['sets']['val']
    assert part['lead'] == 'AP'
    assert part['runs']['student']['AP']['values'] == [30.0, 30.0]
    assert part['runs']['student']['AP50']['mean'] == 50.0
    assert part['runs']['student']['class AP']['WBC']['mean'] == 20.0
    assert part['gain']['distilled']['mean'] == 5.0
    assert part['gain']['distilled']['classes']['RBC']['mean'] == 5.0
    header, _, student, distilled = markdown(summary_table(boxes, 'val')).splitlines()
    assert [cell.strip() for cell in header.split('|')[1:-1]] == [
        'run', 'AP', 'AP50', 'RBC', 'WBC', 'seeds', 'gain, seed by seed', 'minutes',
        'gain a minute']
    assert student.split('|')[2].strip() == '30.00 ± 0.00'
    assert '+5.00 ± 0.00' in distilled


def test_the_time_of_a_step_is_compared_with_the_plain_run_of_the_same_seed(boxes):
    step = boxes['runs']['distilled']['step']
    assert step['values'] == [0.3, 0.6]
    assert step['to_plain'] == 1.5
    assert boxes['runs']['student']['step']['to_plain'] == 1.0


def test_a_step_takes_the_median_of_the_log_without_its_warm_up():
    records = [{'loss': 1.0, 'time': t, 'step': i} for i, t in enumerate([9, 2, 1, 3])]
    validation = {'mIoU': 5.0, 'time': 50.0, 'step': 9}
    assert step_seconds(DataFrame([*records, validation])) == 2
    assert step_seconds(DataFrame(records[:1])) == 9
    assert step_seconds(DataFrame([{'loss': 1.0, 'step': 1}])) is None


def test_shares_are_of_the_whole_loss_and_for_each_link():
    records = [
        {'loss': 8.0, 'distill.loss_a': 1.0, 'distill.loss_b': 3.0, 'step': 1},
        {'mIoU': 3.0, 'step': 1},
        {'loss': 4.0, 'distill.loss_a': 1.0, 'distill.loss_b': 0.0, 'step': 2}]
    found = kd_shares(DataFrame(records))
    # by hand: 4 / 8 and 1 / 4; 1 / 8 and 1 / 4
    assert found['all'] == {'first': 50.0, 'last': 25.0, 'mean': 37.5}
    assert found['loss_a'] == {'first': 12.5, 'last': 25.0, 'mean': 18.75}
    assert kd_shares(DataFrame([{'loss': 1.0, 'step': 1}])) == {}
