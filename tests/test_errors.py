"""Errors say where, what was found and what to do."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy
import pytest
import torch

from mmkd_ext import errors
from mmkd_ext.errors import (
    ConfigError,
    MMKDError,
    Problem,
    ShapeError,
    check_choice,
    check_integer,
    check_keys,
    check_range,
    check_shapes,
    did_you_mean,
)

NAN = float('nan')


@pytest.mark.parametrize(('name', 'builtin'), [
    ('ConfigError', ValueError), ('ShapeError', ValueError),
    ('CheckpointError', RuntimeError), ('StackError', ImportError),
    ('DataError', ValueError), ('NonFiniteError', FloatingPointError),
    ('TapError', RuntimeError)])
def test_is_ours_and_the_builtin_that_callers_expect(name, builtin):
    error = getattr(errors, name)
    assert issubclass(error, MMKDError)
    assert issubclass(error, builtin)


def test_imports_neither_torch_nor_mmengine():
    code = ('import sys, mmkd_ext.errors; '
            'sys.exit(any(m in sys.modules for m in ("torch", "mmengine", "numpy")))')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


# ---- problems -----------------------------------------------------------------------


@pytest.mark.parametrize(('problem', 'text'), [
    (Problem('a.b', 'is 3.', 'Take 4.'), '`a.b`: is 3. Take 4.'),
    (Problem('a.b', 'is 3.'), '`a.b`: is 3.'),
    (Problem('', 'is 3.', 'Take 4.'), 'is 3. Take 4.'),
    (Problem('a', 'is 3.', ' '), '`a`: is 3.')])
def test_a_problem_reads_as_where_what_and_what_to_do(problem, text):
    assert str(problem) == text
    assert str(ConfigError.of([problem])) == text


def test_several_problems_are_numbered_and_survive_the_way_between_processes():
    problems = (Problem('a', 'is 1.'), Problem('b', 'is 2.', 'Take 3.'))
    error = ConfigError.of(problems)
    assert [f'{i}. {one}' in str(error) for i, one in enumerate(problems, 1)] == [
        True, True]
    # a data loader worker sends its errors pickled
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(one, ConfigError)
        assert one.problems == problems
    assert ConfigError('no').problems == ()


# ---- suggestions and choices --------------------------------------------------------


@pytest.mark.parametrize(('word', 'names', 'suggested'), [
    ('tua', ['tau', 'loss_weight'], ['tau']),
    ('xyz', ['tau', 'loss_weight'], []),
    ('tau', [], []),
    ('meen', ['mean', 'seen', 'none'], ['seen', 'mean']),
    ('conv_seg', ['decode_head.conv_seg', 'backbone'], ['decode_head.conv_seg']),
    ('cls.fc', ['neck', 'module.classifier.fc'], ['module.classifier.fc'])])
def test_suggests_what_is_close(word, names, suggested):
    text = did_you_mean(word, names)
    assert bool(text) == bool(suggested)
    assert [name for name in names if f'`{name}`' in text] == sorted(
        suggested, key=names.index)


def test_suggests_no_more_than_three_and_each_name_once_in_any_order():
    names = [f'levels.{i}.conv' for i in range(9)]
    assert did_you_mean('conv', names).count('`levels.') == 3
    text = did_you_mean('fc', ['b.fc', 'a.fc', 'b.fc'])
    assert text == did_you_mean('fc', {'a.fc', 'b.fc'})
    assert text.count('`b.fc`') == text.count('`a.fc`') == 1


def test_a_choice_is_taken_or_refused_with_the_choices():
    check_choice('reduction', 'sum', iter(['sum', 'mean']))
    check_choice('levels', 3, [1, 3])
    with pytest.raises(ConfigError, match=r"`reduction`.*'sum', 'mean'.*'men'.*`mean`"):
        check_choice('reduction', 'men', ['sum', 'mean'])
    # of another type: with its quotes
    with pytest.raises(ConfigError, match=r"`levels`.*1, 3.*'3'"):
        check_choice('levels', '3', [1, 3])


# ---- ranges -------------------------------------------------------------------------


@pytest.mark.parametrize(('check', 'value', 'limits'), [
    (check_range, 0.1, {'gt': 0}), (check_range, 0, {'ge': 0}),
    (check_range, 1, {'le': 1}), (check_range, -1e9, {}),
    (check_range, 0.5, {'ge': 0, 'le': 1}), (check_integer, 1, {'ge': 1}),
    (check_integer, -3, {}), (check_integer, 3, {'gt': 2, 'le': 3}),
    (check_integer, numpy.int64(4), {'ge': 1})])
def test_takes_a_number_in_range(check, value, limits):
    check('x', value, **limits)


@pytest.mark.parametrize(('check', 'value', 'limits', 'wanted'), [
    (check_range, 0, {'gt': 0}, 'a number > 0'),
    (check_range, -0.1, {'ge': 0}, 'a number >= 0'),
    (check_range, 2, {'ge': 0, 'le': 1}, 'a number >= 0 and <= 1'),
    (check_range, NAN, {}, 'a number'),
    (check_range, True, {'ge': 0}, 'a number >= 0'),
    (check_range, '1', {'ge': 0}, 'a number >= 0'),
    (check_range, None, {}, 'a number'),
    (check_integer, 1.5, {'ge': 1}, 'an integer >= 1'),
    (check_integer, 8.0, {'ge': 1}, 'an integer >= 1'),
    (check_integer, 4, {'ge': 1, 'le': 3}, 'an integer >= 1 and <= 3'),
    (check_integer, 2, {'gt': 2}, 'an integer > 2'),
    (check_integer, True, {}, 'an integer'),
    (check_integer, '3', {'ge': 1}, 'an integer >= 1'),
    (check_integer, NAN, {}, 'an integer'),
    (check_integer, float('inf'), {'ge': 1}, 'an integer >= 1')])
def test_says_what_range_is_wanted(check, value, limits, wanted):
    with pytest.raises(ConfigError) as caught:
        check('x', value, **limits)
    assert f'`x` must be {wanted}, ' in str(caught.value)
    assert repr(value) in str(caught.value)


# ---- shapes and keys ----------------------------------------------------------------


def zeros(*shape):
    return torch.zeros(shape)


@pytest.mark.parametrize(('shape', 'pattern', 'sizes'), [
    ((2, 3), 'n c ...', {'n': 2, 'c': 3}),
    ((2, 3, 4, 5), 'n c ...', {'n': 2, 'c': 3}),
    ((2, 3, 4, 5), 'n ... w', {'n': 2, 'w': 5}),
    ((2, 3), 'n ... w', {'n': 2, 'w': 3}),
    ((), '...', {}), ((7,), '... k', {'k': 7}), ((4, 4), 'a a', {'a': 4}), ((), '', {}),
    ((2, 3, 4), 'n 3 w', {'n': 2, 'w': 4})])
def test_reads_patterns(shape, pattern, sizes):
    found = check_shapes(x=(zeros(*shape), pattern))
    assert {key: found[key] for key in sizes} == sizes


def test_axes_of_several_tensors_are_the_same_by_name():
    sizes = check_shapes(student=(zeros(2, 3, 4, 5), 'n c h w'),
                         mask=(zeros(2, 4, 5), 'n h w'))
    assert sizes == {'n': 2, 'c': 3, 'h': 4, 'w': 5}
    with pytest.raises(ShapeError, match=(
            r'`c` differs: `teacher` \(2, 6, 8, 8\) has 6, '
            r'`student` \(2, 3, 8, 8\) has 3')):
        check_shapes(student=(zeros(2, 3, 8, 8), 'n c h w'),
                     teacher=(zeros(2, 6, 8, 8), 'n c h w'))


@pytest.mark.parametrize(('shape', 'pattern', 'told'), [
    ((4, 5), 'a a', r'`a` differs: `x` \(4, 5\)'),
    ((2, 4, 4), 'n 3 w', r'`3` differs: `x` \(2, 4, 4\)'),
    ((2, 3), 'n c h w', r'`x` .*2 axes.*`n c h w`'),
    ((2, 3, 4), 'n c', r'`x` .*3 axes.*`n c`'),
    ((2,), 'n ... w', r'`x` .*1 axes.*`n ... w`'), ((2,), '', '`x` .*1 axes')])
def test_another_shape_is_told_with_the_pattern(shape, pattern, told):
    with pytest.raises(ShapeError, match=told):
        check_shapes(x=(zeros(*shape), pattern))


def test_a_config_with_unknown_keys_is_refused_with_all_of_them():
    with pytest.raises(ConfigError) as error:
        check_keys('a.b', dict(intervall=1, x=2, interval=3), ['interval'])
    assert [p.path for p in error.value.problems] == ['a.b.intervall', 'a.b.x']
    assert 'Did you mean `interval`?' in str(error.value)
    check_keys('a.b', dict(interval=3), ['interval'])


@pytest.mark.parametrize('config', [3, 'interval', ['interval'], None])
def test_what_is_no_dict_has_no_keys(config):
    with pytest.raises(ConfigError, match='`a`'):
        check_keys('a', config, ['interval'])
