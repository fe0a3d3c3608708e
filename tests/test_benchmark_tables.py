"""Tables of time and memory say what was measured, and on what machine."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load(path):
    """Imports a file that is in no package, unless another test has."""
    if path.stem in sys.modules:
        return sys.modules[path.stem]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


results = load(ROOT / 'docs' / 'results.py')

MACHINE = dict(commit='abc', versions=dict(torch='2.1'), processor='x86', threads=1)
RATIO = dict(median=1.034, q1=1.0, q3=1.1)
METHODS = dict(
    environment=MACHINE,
    results=[
        dict(
            method='fgd',
            family='retinanet',
            input=[2, 3, 8, 8],
            to_floor=RATIO,
            to_student=dict(median=1.5),
            own_parameters=1234,
            peak_mib=dict(step=20.4, student=10.2),
        )
    ],
)
RELATIONS = dict(
    environment=MACHINE,
    results=[
        dict(
            loss='CIRKD mini-batch, 16 MB',
            shape=[1, 128, 64, 128],
            time=dict(mmkd_ext=dict(median_ms=10.0), dense=dict(median_ms=20.0)),
            time_ratio=dict(median=0.5),
            peak_mib=dict(mmkd_ext=30.0, dense=1000.0),
        )
    ],
    limits=[
        dict(
            shape=[1, 128, 64, 128],
            max_memory=16,
            peak_mib=30.2,
            features_mib=4.0,
            matrix_mib=256.0,
        )
    ],
)


def text_of(content, folder):
    (folder / 'x.json').write_text(json.dumps(content))
    return results.benchmarks_text(folder)


@pytest.mark.parametrize(
    ('task', 'what', 'roi'),
    [
        (None, 'detection', True),
        ('mmdet', 'detection', True),
        ('mmseg', 'segmentation', False),
    ],
)
def test_steps_of_methods_say_of_which_package_they_are(tmp_path, task, what, roi):
    content = METHODS if task is None else {**METHODS, 'task': task}
    text = text_of(content, tmp_path)
    assert f'## What each {what} method adds to a step' in text
    assert ('RoI' in text) is roi
    assert '| fgd | retinanet | 1.034 | 1.50 | 1,234 | 20 | 10 |' in text


def test_parts_are_shown_where_they_were_measured(tmp_path):
    content = copy.deepcopy(METHODS)
    content['results'][0]['parts_to_floor'] = dict(median=1.021)
    text = text_of(content, tmp_path)
    assert '| fgd | retinanet | 1.034 | 1.021 | 1.50 | 1,234 | 20 | 10 |' in text
    assert 'The parts are student' in text


def test_relations_show_that_memory_follows_the_setting(tmp_path):
    text = text_of(RELATIONS, tmp_path)
    assert '## Relations between the pixels of a batch, beside whole matrices' in text
    assert '| 1 x 128 x 64 x 128 | 16 | 30 | 4 | 256 |' in text


@pytest.mark.parametrize(('busy', 'said'), [(None, False), (0.4, False), (6.5, True)])
def test_a_shared_machine_is_said(tmp_path, busy, said):
    content = copy.deepcopy(RELATIONS)
    if busy is not None:
        content['environment']['load_per_core'] = busy
    assert ('a shared machine (load 6.5 a core)' in text_of(content, tmp_path)) is said


@pytest.mark.parametrize(
    'path',
    sorted((ROOT / 'benchmarks' / 'results').glob('*.json')),
    ids=lambda path: path.stem,
)
def test_every_committed_result_becomes_a_table(path):
    assert 'See `benchmarks' not in results.result_text(path)


def grid(runs, **more):
    methods = dict(
        source=dict(title='Source', learning_rates=[]),
        tent=dict(title='TENT', learning_rates=more.pop('rates', [])),
    )
    return dict(
        title='A stream', methods=methods, orders=dict(order=None), seeds=[0],
        command='python x', commit='abc', versions=dict(torch='2.1'), note='Toy.',
        runs=runs, **more)


def test_a_choice_of_rates_is_a_table_of_methods_by_rates():
    means = {'Source': 11.174, 'TENT, lr 0.01': 13.0}  # 0.1 is not done yet
    runs = {name: dict(mIoU=dict(mean=mean)) for name, mean in means.items()}
    text = results._grid(grid(runs, rates=[0.01, 0.1], best=[dict(method='tent')]))
    assert '| mIoU | does not learn | 0.01 | 0.1 |' in text
    assert '| Source | 11.17 |  |  |' in text
    assert '| TENT |  | 13.00 | - |' in text
    assert 'seeds 0, commit `abc`' in text
    assert text.endswith('Toy.')


def test_a_grid_says_what_each_domain_gives():
    one = dict(mean=1.0, std=None, values=[1.0])
    figures = dict.fromkeys(
        ('worst', 'last_minus_first', 'forgetting', 'predicted_classes',
         'source_predicted_classes', 'updates', 'skipped', 'rolled_back', 'resets',
         'forwards', 'backwards', 'images_per_second', 'peak_memory_mb'))
    run = dict(
        figures, mIoU=one, finished=1, seeds=[0], cells={'1': {'fog': one}},
        round_means={'1': one}, domain_means={'fog': one})
    content = grid({'Source': run}, best=[], domains=['fog'], rounds=1)
    assert '|method|fog|' in results._grid(content).replace(' ', '')


def test_the_comparison_with_an_oracle_shows_every_set_and_the_largest_difference():
    content = dict(
        environment=MACHINE,
        oracle={'0.5': dict(logits=0.0), '2.0': dict(logits=2e-5)},
        camvid={
            '0.5': dict(day=dict(mIoU=46.61)),
            '2.0': dict(day=dict(mIoU=56.41), tent=dict(mIoU=53.55)),
        },
    )
    text = results._oracle(content)
    assert '|width|day|tent|' in text.replace(' ', '')
    assert '|0.5|46.6||' in text.replace(' ', '')
    assert '|2.0|56.4|53.5|' in text.replace(' ', '')
    assert 'by at most 2e-05' in text
