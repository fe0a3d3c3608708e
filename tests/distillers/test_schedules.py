"""How the weight of a link changes during training."""

from __future__ import annotations

import re

import pytest

from mmkd_ext.distillers.schedules import SCHEDULES, Schedule, build_schedule
from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import dkd


@pytest.mark.parametrize(
    ('config', 'positions', 'factors'),
    [
        (dict(type='constant'), [0, 7, 10**9], [1, 1, 1]),
        (dict(type='constant', value=0.3), [0, 7], [0.3, 0.3]),
        (
            dict(type='constant', value=2, begin=3, end=5),
            range(7),
            [0, 0, 0, 2, 2, 0, 0],
        ),
        (dict(type='linear', end=4), range(6), [0, 0.25, 0.5, 0.75, 1, 1]),
        (
            dict(type='linear', start=3.0, stop=1.0, begin=2, end=6),
            [0, 2, 3, 4, 6, 9],
            [3, 3, 2.5, 2, 1, 1],
        ),
        # (1 - cos(pi x)) / 2 at 0, 60, 90, 120, 180 degrees
        (dict(type='cosine', end=6), [0, 2, 3, 4, 6, 7], [0, 0.25, 0.5, 0.75, 1, 1]),
        (dict(type='cosine', start=2.0, stop=0.0, end=10), [0, 5, 10], [2, 1, 0]),
        (
            dict(type='multistep', milestones=[3, 5], gamma=0.5, value=8),
            range(7),
            [8, 8, 8, 4, 4, 2, 2],
        ),
        (dict(type='multistep', milestones=[1]), [0, 1], [1, 0.1]),
    ],
)
def test_factors_by_hand(config, positions, factors):
    before = dict(config)
    schedule = build_schedule(config)
    assert [schedule.at(position) for position in positions] == pytest.approx(factors)
    assert config == before


def test_the_warm_up_of_dkd_counts_epochs_from_one():
    # the authors' min(epoch / 20, 1) with epochs 1, 2, ...; as the docstring has it
    (text,) = re.findall(r'schedule=(dict\([^`]*\))``', dkd.__doc__)
    schedule = build_schedule(eval(text))
    weights = [schedule.factor(0, epoch) for epoch in range(240)]
    assert weights == pytest.approx([min(epoch / 20, 1) for epoch in range(1, 241)])
    # iterations do not matter
    assert schedule.factor(10**6, 0) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ('kind', 'more'),
    [
        ('constant', dict(begin=2)),
        ('linear', dict(end=4)),
        ('cosine', dict(end=4)),
        ('multistep', dict(milestones=[2])),
    ],
)
def test_counts_iterations_unless_asked_for_epochs(kind, more):
    assert kind in SCHEDULES
    by_iteration = build_schedule(dict(type=kind, **more))
    by_epoch = build_schedule(dict(type=kind, **more, by_epoch=True))
    assert by_iteration.factor(iteration=3, epoch=0) == by_iteration.at(3)
    assert by_epoch.factor(iteration=3, epoch=0) == by_epoch.at(0)
    assert by_iteration.at(3) != by_iteration.at(0)


def test_is_abstract():
    with pytest.raises(TypeError, match='abstract'):
        Schedule()


@pytest.mark.parametrize(
    ('config', 'word'),
    [
        (dict(type='liner', end=5), '`linear`'),
        (dict(end=5), 'None'),
        ('linear', "'linear'"),
        (dict(type='linear', ends=5), '`end`'),
        (dict(type='linear'), r"\['end'\]"),
        (dict(type='multistep'), 'milestones'),
        (dict(type='constant', value=-1), '`value`'),
        (dict(type='constant', begin=-1), '`begin`'),
        (dict(type='constant', begin=5, end=5), '> 5'),
        (dict(type='linear', end=0), '`end`'),
        (dict(type='linear', end=5, start=-0.5), '`start`'),
        (dict(type='linear', end=5, stop=-0.5), '`stop`'),
        (dict(type='linear', end=5, begin=-2), '`begin`'),
        (dict(type='multistep', milestones=[]), '`milestones`'),
        (dict(type='multistep', milestones=[5, 3]), '`milestones`'),
        (dict(type='multistep', milestones=[3, 3]), '`milestones`'),
        (dict(type='multistep', milestones=[3, 4.0]), '`milestones`'),
        (dict(type='linear', end=5.0), '`end`'),
        (dict(type='multistep', milestones=[3], gamma=-1), '`gamma`'),
        (dict(type='multistep', milestones=[3], value=-1), '`value`'),
    ],
)
def test_wrong_configs_are_refused(config, word):
    with pytest.raises(ConfigError, match=word):
        build_schedule(config)
