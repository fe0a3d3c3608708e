"""Tables of committed results say what was measured, and on what machine."""

from __future__ import annotations

import copy
import doctest
import json
import re
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).resolve().parents[1]
MACHINE = dict(commit='abc', versions=dict(torch='2.1'), processor='x86', threads=1)
ONE = dict(mean=1.0, std=None, values=[1.0])


def value(*values, std=None, **more):
    return dict(mean=sum(values) / len(values), std=std, values=list(values), **more)


def of_ap(ap):
    return {'AP': value(ap, ap, std=0.5), 'AP50': value(ap + 20, ap + 20, std=0.5),
            'class AP': {'RBC': value(ap - 5, ap - 5, std=0.5)}}


def experiment(runs, lead, figures, gain):
    return dict(
        title='An experiment', command='python tools/repeat.py x', seeds=[0, 1],
        date='2026-01-02', commit='0123456789abcdef0123+changes',
        machine=dict(processor='a processor', cores=2), runs=runs,
        sets=dict(val=dict(lead=lead, runs=figures, gain=gain)))


SEGMENTATION = experiment(
    dict(teacher=dict(title='the teacher'), student=dict(title='alone'),
         distilled=dict(title='distilled', train_seconds=[60.0, 180.0])), 'mIoU',
    dict(teacher=dict(mIoU=value(61.5)), student=dict(mIoU=value(49.0, 51.0, std=1.41)),
         distilled=dict(mIoU=value(51.0, 51.0, std=0.0))),
    dict(distilled=value(2.0, 0.0, std=1.41, over='student')))
DETECTION = experiment(
    dict(student=dict(title='alone', step=dict(seconds=0.2, to_plain=1.0)),
         fgd=dict(title='FGD', step=dict(seconds=0.3, to_plain=1.5),
                  kd_share=dict(all=dict(first=60.0, last=30.0, mean=45.0)))), 'AP',
    dict(student=of_ap(40.0), fgd=of_ap(40.25)),
    dict(fgd=value(0.25, 0.25, std=0.5, over='student', verdict='none')))
VIDEO = experiment(
    dict(alone=dict(title='alone')), 'CC',
    dict(alone={'CC': value(80.5), 'KL': value(0.5), 'frames/s': value(900.0)}),
    {})
STEPS = dict(environment=MACHINE, results=[dict(
    pair='a pair', input=[2, 3, 8, 8], rows={'a job': dict(
        median_ms=123.4, q1_ms=120.0, q3_ms=130.0, to_floor=dict(median=1.034),
        peak_mib=55.5)})])
LOSSES = dict(environment=MACHINE, results=[dict(
    loss='CWD', shape=[2, 19, 8, 8],
    time=dict(mmkd_ext=dict(median_ms=1.3), mmrazor=dict(median_ms=5)),
    time_ratio=dict(median=0.25), peak_mib=dict(mmkd_ext=3.0, mmrazor=6.0))])
METHODS = dict(environment=MACHINE, results=[dict(
    method='fgd', family='retinanet', input=[2, 3, 8, 8], to_floor=dict(median=1.034),
    to_student=dict(median=1.5), own_parameters=1234,
    peak_mib=dict(step=20.4, student=10.2))])
RELATIONS = dict(
    environment=MACHINE,
    results=[dict(
        loss='CIRKD mini-batch, 16 MB', shape=[1, 128, 64, 128],
        time=dict(mmkd_ext=dict(median_ms=10.0), dense=dict(median_ms=20.0)),
        time_ratio=dict(median=0.5), peak_mib=dict(mmkd_ext=30.0, dense=1000.0))],
    limits=[dict(shape=[1, 128, 64, 128], max_memory=16, peak_mib=30.2,
                 features_mib=4.0, matrix_mib=256.0)])
ORACLE = dict(
    environment=MACHINE, oracle={'0.5': dict(logits=0.0), '2.0': dict(logits=2e-5)},
    camvid={'0.5': dict(day=dict(mIoU=46.61)),
            '2.0': dict(day=dict(mIoU=56.41), tent=dict(mIoU=53.55))})


def grid(runs, rates=(), **more):
    methods = dict(source=dict(title='Source', learning_rates=[]),
                   tent=dict(title='TENT', learning_rates=list(rates)))
    return dict(
        title='A stream', methods=methods, orders=dict(order=None), seeds=[0],
        command='python x', commit='abc', versions=dict(torch='2.1'), note='Toy.',
        runs=runs, **more)


RATES = grid(  # 0.1 is not done yet
    {'Source': dict(mIoU=dict(mean=11.174)), 'TENT, lr 0.01': dict(mIoU=ONE)},
    rates=[0.01, 0.1], best=[dict(method='tent')])
DOMAINS = grid({'Source': dict(
    dict.fromkeys(
        ('worst', 'last_minus_first', 'forgetting', 'predicted_classes',
         'source_predicted_classes', 'updates', 'skipped', 'resets',
         'forwards', 'backwards', 'images_per_second', 'peak_memory_mb')),
    mIoU=ONE, finished=1, seeds=[0], cells={'1': {'fog': ONE}},
    round_means={'1': ONE}, domain_means={'fog': ONE})}, best=[], domains=['fog'],
    rounds=1)


@pytest.fixture
def text_of(tmp_path):
    """The tables of some content, without the spaces that align them."""

    def text_of(content):
        (tmp_path / 'x.json').write_text(json.dumps(content))
        return re.sub(' +', ' ', results.benchmarks_text(tmp_path))

    return text_of


@pytest.mark.parametrize(('content', 'lines'), [
    (SEGMENTATION, [
        '## An experiment', '| the teacher | 61.50 | 1 | | | | |',
        '| alone | 50.00 ± 1.41 | 2 | | | | |',
        '| distilled | 51.00 ± 0.00 | 2 | +1.00 ± 1.41 | +2.00, +0.00 | 2.0 | +0.5 |']),
    (DETECTION, [
        '| | AP on val | AP50 | RBC | runs | gain | gain of each seed | minutes '
        '| gain a minute |',
        '| FGD | 40.25 ± 0.50 | 60.25 ± 0.50 | 35.25 ± 0.50 | 2 | none (+0.25 ± 0.50) '
        '| +0.25, +0.25 | | |', '| FGD | 300 | 1.50 | 60 | 45 |']),
    (VIDEO, ['| alone | 80.50 | 0.50 | 900.00 | 1 | | | | |']),
    (STEPS, ['| a job | 123 | 120 to 130 | 1.034 | 56 |']),
    (LOSSES, ['| CWD | 2 x 19 x 8 x 8 | 1.3 | 5.0 | 0.25 | 3.0 | 6.0 |']),
    (METHODS, ['## What each detection method adds to a step',
               '| fgd | retinanet | 1.034 | 1.50 | 1,234 | 20 | 10 |']),
    (dict(METHODS, task='mmseg'), ['## What each segmentation method adds to a step']),
    (RELATIONS, [
        '## Relations between the pixels of a batch, beside whole matrices',
        '| 1 x 128 x 64 x 128 | 16 | 30 | 4 | 256 |']),
    (RATES, ['| mIoU | does not learn | 0.01 | 0.1 |', '| Source | 11.17 | | |',
             '| TENT | | 1.00 | - |']),
    (DOMAINS, ['| method | fog |']),
    (ORACLE, ['| width | day | tent |', '| 0.5 | 46.6 | |', '| 2.0 | 56.4 | 53.5 |']),
    (dict(other=1), ['See `benchmarks/results/x.json`.'])])
def test_each_kind_of_result_has_its_table(text_of, content, lines):
    found = text_of(content).splitlines()
    assert [line for line in lines if line not in found] == []


def test_a_text_says_how_it_was_measured(text_of):
    text = text_of(SEGMENTATION)
    assert 'seeds 0, 1' in text
    assert '`python benchmarks/repeat.py x`' in text  # where the command is today
    assert '`0123456789ab+changes`' in text
    assert 'seeds 0, commit `abc`' in text_of(RATES)
    assert text_of(RATES).endswith('Toy.')
    assert 'by at most 2e-05' in text_of(ORACLE)
    assert 'RoI' in text_of(METHODS)
    assert 'RoI' not in text_of(dict(METHODS, task='mmseg'))


def test_parts_are_shown_where_they_were_measured(text_of):
    content = copy.deepcopy(METHODS)
    content['results'][0]['parts_to_floor'] = dict(median=1.021)
    text = text_of(content)
    assert '| fgd | retinanet | 1.034 | 1.021 | 1.50 | 1,234 | 20 | 10 |' in text
    assert 'The parts are student' in text


@pytest.mark.parametrize(('busy', 'said'), [(None, False), (0.4, False), (6.5, True)])
def test_a_shared_machine_is_said(text_of, busy, said):
    content = copy.deepcopy(RELATIONS)
    if busy is not None:
        content['environment']['load_per_core'] = busy
    assert ('a shared machine (load 6.5 a core)' in text_of(content)) is said


@pytest.mark.parametrize('path', sorted(results.RESULTS.glob('*.json')),
                         ids=lambda path: path.stem)
def test_every_committed_result_becomes_a_table(path):
    assert 'See `benchmarks' not in results.result_text(path)


def test_no_results_and_the_examples(tmp_path):
    assert results.benchmarks_text(tmp_path) == 'There are no results yet.'
    found = doctest.testmod(results)
    assert (found.attempted > 0, found.failed) == (True, 0)


def test_figures_in_the_readme_are_those_of_the_results():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    content = json.loads((results.RESULTS / 'camvid_fpn.json').read_text())
    shown = text.partition('<!-- results:begin -->')[2].partition('<!-- results:end')[0]
    shown = re.findall(r'^\| [\w:].*$', shown, re.MULTILINE)
    table, shown = ({re.sub(' +', ' ', line) for line in lines} for lines in (
        results.experiment_text(content).splitlines(), shown))
    assert shown
    assert shown <= table
