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


@pytest.mark.parametrize(('name', 'builtin'), [
    ('ConfigError', ValueError), ('ShapeError', ValueError),
    ('CheckpointError', RuntimeError), ('StackError', ImportError),
    ('DataError', ValueError), ('NonFiniteError', FloatingPointError),
    ('TapError', RuntimeError)])
def test_is_ours_and_the_builtin_that_callers_expect(name, builtin):
    error = getattr(errors, name)
    assert issubclass(error, MMKDError)
    assert issubclass(error, builtin)


def test_everything_public_is_listed():
    public = {name for name, value in vars(errors).items()
              if getattr(value, '__module__', '') == errors.__name__
              and not name.startswith('_')}
    assert public == set(errors.__all__)


def test_imports_neither_torch_nor_mmengine():
    code = ('import sys, mmkd_ext.errors; '
            'sys.exit(any(m in sys.modules for m in ("torch", "mmengine", "numpy")))')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


# ---- problems -----------------------------------------------------------------------


def test_a_problem_reads_as_where_what_and_what_to_do():
    problem = Problem('model.distiller', 'has no links.', 'Add one.')
    assert str(problem) == '`model.distiller`: has no links. Add one.'


@pytest.mark.parametrize(('problem', 'text'), [
    (Problem('a.b', 'is 3.'), '`a.b`: is 3.'),
    (Problem('', 'is 3.', 'Take 4.'), 'is 3. Take 4.'),
    (Problem('a', 'is 3.', ' '), '`a`: is 3.')])
def test_leaves_out_what_it_does_not_know(problem, text):
    assert str(problem) == text


def test_one_problem_is_told_without_a_list():
    error = ConfigError.of([Problem('tau', 'is 0.')])
    assert str(error) == '`tau`: is 0.'
    assert error.problems == (Problem('tau', 'is 0.'),)


def test_several_problems_are_counted_and_numbered():
    problems = [Problem('a', 'is 1.'), Problem('b', 'is 2.', 'Take 3.')]
    error = ConfigError.of(problems)
    assert str(error) == ('2 problem(s) in the config:\n'
                          '  1. `a`: is 1.\n'
                          '  2. `b`: is 2. Take 3.')
    assert error.problems == tuple(problems)


def test_an_error_of_one_sentence_has_no_problems():
    assert ConfigError('no').problems == ()


def test_survives_the_way_between_processes():
    # a data loader worker sends its errors pickled
    problems = [Problem('a', 'is 1.'), Problem('b', 'is 2.')]
    error = pickle.loads(pickle.dumps(ConfigError.of(problems)))
    assert isinstance(error, ConfigError)
    assert error.problems == tuple(problems)


# ---- suggestions --------------------------------------------------------------------


@pytest.mark.parametrize(('word', 'names', 'text'), [
    ('tua', ['tau', 'loss_weight'], ' Did you mean `tau`?'),
    ('xyz', ['tau', 'loss_weight'], ''),
    ('tau', [], ''),
    ('meen', ['mean', 'seen', 'none'], ' Did you mean `seen` or `mean`?'),
    ('conv_seg', ['decode_head.conv_seg', 'backbone'],
     ' Did you mean `decode_head.conv_seg`?'),
    ('cls.fc', ['neck', 'module.classifier.fc'],
     ' Did you mean `module.classifier.fc`?'),
])
def test_suggests_what_is_close(word, names, text):
    assert did_you_mean(word, names) == text


def test_suggests_no_more_than_three():
    names = [f'levels.{i}.conv' for i in range(9)]
    assert did_you_mean('conv', names).count('`levels.') == 3


def test_suggests_each_name_once_in_whatever_order_they_come():
    text = did_you_mean('fc', ['b.fc', 'a.fc', 'b.fc'])
    assert text == did_you_mean('fc', {'a.fc', 'b.fc'})
    assert text.count('`b.fc`') == text.count('`a.fc`') == 1


# ---- choices ------------------------------------------------------------------------


def test_takes_a_choice():
    check_choice('reduction', 'sum', iter(['sum', 'mean']))
    check_choice('levels', 3, [1, 3])


def test_lists_the_choices_and_suggests_one():
    with pytest.raises(ConfigError) as caught:
        check_choice('reduction', 'men', ['sum', 'mean'])
    assert str(caught.value) == ("`reduction` must be one of 'sum', 'mean', but is "
                                 "'men'. Did you mean `mean`?")


def test_shows_a_choice_of_another_type_with_its_quotes():
    with pytest.raises(ConfigError, match="must be one of 1, 3, but is '3'"):
        check_choice('levels', '3', [1, 3])


# ---- ranges -------------------------------------------------------------------------


@pytest.mark.parametrize(('value', 'limits'), [
    (0.1, {'gt': 0}), (0, {'ge': 0}), (1, {'le': 1}), (-1e9, {}),
    (0.5, {'ge': 0, 'le': 1}), (3, {'gt': 2, 'le': 3})])
def test_takes_a_number_in_range(value, limits):
    check_range('x', value, **limits)


@pytest.mark.parametrize(('value', 'limits', 'wanted'), [
    (0, {'gt': 0}, 'a number > 0'),
    (-0.1, {'ge': 0}, 'a number >= 0'),
    (1.1, {'le': 1}, 'a number <= 1'),
    (2, {'ge': 0, 'le': 1}, 'a number >= 0 and <= 1'),
    (2, {'gt': 0, 'le': 1}, 'a number > 0 and <= 1'),
    (float('nan'), {}, 'a number'),
    (float('nan'), {'ge': 0}, 'a number >= 0'),
    (True, {'ge': 0}, 'a number >= 0'),
    ('1', {'ge': 0}, 'a number >= 0'),
    (None, {}, 'a number'),
])
def test_says_what_range_is_wanted(value, limits, wanted):
    with pytest.raises(ConfigError) as caught:
        check_range('x', value, **limits)
    assert str(caught.value) == f'`x` must be {wanted}, but is {value!r}.'


@pytest.mark.parametrize(('value', 'limits'), [
    (1, {'ge': 1}), (0, {}), (-3, {}), (3, {'gt': 2, 'le': 3}),
    (numpy.int64(4), {'ge': 1})])
def test_takes_an_integer_in_range(value, limits):
    check_integer('x', value, **limits)


@pytest.mark.parametrize(('value', 'limits', 'wanted'), [
    (1.5, {'ge': 1}, 'an integer >= 1'),
    (8.0, {'ge': 1}, 'an integer >= 1'),
    (0, {'ge': 1}, 'an integer >= 1'),
    (4, {'ge': 1, 'le': 3}, 'an integer >= 1 and <= 3'),
    (2, {'gt': 2}, 'an integer > 2'),
    (True, {}, 'an integer'),
    ('3', {'ge': 1}, 'an integer >= 1'),
    (None, {}, 'an integer'),
    (float('nan'), {}, 'an integer'),
    (float('inf'), {'ge': 1}, 'an integer >= 1'),
])
def test_says_what_integer_is_wanted(value, limits, wanted):
    with pytest.raises(ConfigError) as caught:
        check_integer('x', value, **limits)
    assert str(caught.value) == f'`x` must be {wanted}, but is {value!r}.'


# ---- shapes -------------------------------------------------------------------------


def zeros(*shape):
    return torch.zeros(shape)


def test_returns_the_size_of_each_axis():
    sizes = check_shapes(student=(zeros(2, 3, 4, 5), 'n c h w'),
                         mask=(zeros(2, 4, 5), 'n h w'))
    assert sizes == {'n': 2, 'c': 3, 'h': 4, 'w': 5}


@pytest.mark.parametrize(('shape', 'pattern', 'sizes'), [
    ((2, 3), 'n c ...', {'n': 2, 'c': 3}),
    ((2, 3, 4, 5), 'n c ...', {'n': 2, 'c': 3}),
    ((2, 3, 4, 5), 'n ... w', {'n': 2, 'w': 5}),
    ((2, 3), 'n ... w', {'n': 2, 'w': 3}),
    ((), '...', {}),
    ((7,), '... k', {'k': 7}),
    ((4, 4), 'a a', {'a': 4}),
    ((), '', {}),
])
def test_reads_patterns(shape, pattern, sizes):
    assert check_shapes(x=(zeros(*shape), pattern)) == sizes


def test_a_number_in_a_pattern_must_be_met():
    check_shapes(image=(zeros(2, 3, 4), 'n 3 w'))
    with pytest.raises(ShapeError, match=r'Axis `3` differs: `image` \(2, 4, 4\)'):
        check_shapes(image=(zeros(2, 4, 4), 'n 3 w'))


def test_names_the_axis_and_shows_both_shapes():
    with pytest.raises(ShapeError, match=(
            r'Axis `c` differs: `teacher` \(2, 6, 8, 8\) has 6, '
            r'`student` \(2, 3, 8, 8\) has 3')):
        check_shapes(student=(zeros(2, 3, 8, 8), 'n c h w'),
                     teacher=(zeros(2, 6, 8, 8), 'n c h w'))


def test_an_axis_must_agree_within_one_tensor():
    with pytest.raises(ShapeError, match=r'Axis `a` differs: `x` \(4, 5\) has 5'):
        check_shapes(x=(zeros(4, 5), 'a a'))


@pytest.mark.parametrize(('shape', 'pattern'), [
    ((2, 3), 'n c h w'), ((2, 3, 4), 'n c'), ((2,), 'n ... w'), ((2,), '')])
def test_counts_the_axes(shape, pattern):
    wanted = rf'`x` has shape .* \({len(shape)} axes\), but `{pattern}` is needed'
    with pytest.raises(ShapeError, match=wanted):
        check_shapes(x=(zeros(*shape), pattern))


# ---- keys --------------------------------------------------------------------------


def test_a_config_with_unknown_keys_is_refused_with_all_of_them():
    with pytest.raises(ConfigError) as error:
        check_keys('a.b', dict(intervall=1, x=2, interval=3), ['interval'])
    assert [p.path for p in error.value.problems] == ['a.b.intervall', 'a.b.x']
    assert 'Did you mean `interval`?' in str(error.value)
    check_keys('a.b', dict(interval=3), ['interval'])


@pytest.mark.parametrize('config', [3, 'interval', ['interval'], None])
def test_what_is_no_dict_has_no_keys(config):
    with pytest.raises(ConfigError, match='`a` must be a dict'):
        check_keys('a', config, ['interval'])
