"""How the weight of a link changes during training."""

from __future__ import annotations

import re

import pytest

from mmkd_ext.distillers.schedules import SCHEDULES, Schedule, build_schedule
from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import dkd


def factors(config, positions):
    schedule = build_schedule(config)
    return [schedule.at(position) for position in positions]


def test_a_constant_stays():
    assert factors(dict(type='constant'), [0, 7, 10**9]) == [1, 1, 1]
    assert factors(dict(type='constant', value=0.3), [0, 7]) == [0.3, 0.3]


def test_a_constant_holds_from_begin_until_before_end():
    config = dict(type='constant', value=2, begin=3, end=5)
    assert factors(config, range(7)) == [0, 0, 0, 2, 2, 0, 0]


def test_a_line_rises_and_stays_up():
    assert factors(dict(type='linear', end=4), [0, 1, 2, 3, 4, 5]) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 1]
    )


def test_a_line_waits_for_begin_and_may_fall():
    config = dict(type='linear', start=3.0, stop=1.0, begin=2, end=6)
    assert factors(config, [0, 2, 3, 4, 6, 9]) == pytest.approx([3, 3, 2.5, 2, 1, 1])


def test_the_warm_up_of_dkd_counts_epochs_from_one():
    # the authors' min(epoch / 20, 1) with epochs 1, 2, ...; as the docstring has it
    (text,) = re.findall(r'schedule=(dict\([^`]*\))``', dkd.__doc__)
    schedule = build_schedule(eval(text))
    weights = [schedule.factor(0, epoch) for epoch in range(240)]
    assert weights[:3] == pytest.approx([0.05, 0.10, 0.15])
    assert weights == pytest.approx([min(epoch / 20, 1) for epoch in range(1, 241)])
    # iterations do not matter
    assert schedule.factor(10**6, 0) == pytest.approx(0.05)


def test_half_a_cosine_is_flat_at_both_ends():
    config = dict(type='cosine', end=6)
    # (1 - cos(pi x)) / 2 at 0, 60, 90, 120, 180 degrees
    assert factors(config, [0, 2, 3, 4, 6, 7]) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 1]
    )


def test_a_cosine_may_fall_to_nothing():
    assert factors(
        dict(type='cosine', start=2.0, stop=0.0, end=10), [0, 5, 10]
    ) == pytest.approx([2, 1, 0])


def test_steps_multiply_at_each_milestone():
    config = dict(type='multistep', milestones=[3, 5], gamma=0.5, value=8)
    assert factors(config, range(7)) == [8, 8, 8, 4, 4, 2, 2]


def test_steps_default_to_tenths():
    assert factors(dict(type='multistep', milestones=[1]), [0, 1]) == [1, 0.1]


@pytest.mark.parametrize('kind', SCHEDULES)
def test_counts_iterations_unless_asked_for_epochs(kind):
    config = dict(type=kind)
    config.update(
        dict(
            constant=dict(begin=2),
            linear=dict(end=4),
            cosine=dict(end=4),
            multistep=dict(milestones=[2]),
        )[kind]
    )
    by_iteration = build_schedule(config)
    by_epoch = build_schedule(dict(config, by_epoch=True))
    assert by_iteration.factor(iteration=3, epoch=0) == by_iteration.at(3)
    assert by_epoch.factor(iteration=3, epoch=0) == by_epoch.at(0)
    assert by_iteration.at(3) != by_iteration.at(0)


def test_is_abstract():
    with pytest.raises(TypeError, match='abstract'):
        Schedule()


def test_leaves_the_config_as_it_was():
    config = dict(type='linear', end=4)
    build_schedule(config)
    assert config == dict(type='linear', end=4)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='liner', end=5), r"but has 'liner'\. Did you mean `linear`\?"),
        (dict(end=5), "needs `type`, one of .*'cosine'.* but has None"),
        ('linear', "but has 'linear'"),
        (None, 'but has None'),
        (
            dict(type='linear', ends=5),
            r'no such argument; it takes .* Did you mean `end`\?',
        ),
        (dict(type='linear'), r"`LinearSchedule` needs \['end'\]"),
        (dict(type='multistep'), r"`MultiStepSchedule` needs \['milestones'\]"),
        (dict(type='constant', value=-1), '`value` must be a number >= 0, but is -1'),
        (dict(type='constant', begin=-1), '`begin` must be an integer >= 0'),
        (dict(type='constant', begin=5, end=5), 'must be an integer > 5, but is 5'),
        (dict(type='constant', begin='3'), "must be an integer >= 0, but is '3'"),
        (dict(type='linear', end=0), '`end` must be an integer > 0, but is 0'),
        (dict(type='linear', end=5, start=-0.5), '`start` must be a number >= 0'),
        (dict(type='linear', end=5, stop=-0.5), '`stop` must be a number >= 0'),
        (dict(type='linear', end=5, begin=-2), '`begin` must be an integer >= 0'),
        (dict(type='cosine', end=5, begin=5), '`end` must be an integer > 5'),
        (dict(type='multistep', milestones=[]), r'`milestones` must be .* but is \[\]'),
        (dict(type='multistep', milestones=[5, 3]), r'of integers, but is \[5, 3\]'),
        (dict(type='multistep', milestones=[3, 3]), 'rising list'),
        (dict(type='multistep', milestones=[3, 4.0]), 'rising list of integers'),
        (dict(type='multistep', milestones=[True, 4]), 'rising list of integers'),
        (dict(type='linear', end=5.0), '`end` must be an integer > 0, but is 5.0'),
        (
            dict(type='multistep', milestones=[3], gamma=-1),
            '`gamma` must be a number >= 0',
        ),
        (
            dict(type='multistep', milestones=[3], value=-1),
            '`value` must be a number >= 0',
        ),
    ],
)
def test_says_what_is_wrong_and_what_is_meant(config, message):
    with pytest.raises(ConfigError, match=message):
        build_schedule(config)
