"""Every registered loss obeys the laws.

The cases of a loss stand in the test file of its method, ``tests/methods/test_x.py``,
in a list ``CASES``; they are collected from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import PairLoss
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.laws import broken_laws

METHODS = Path(__file__).parents[1] / 'methods'


def collected_cases():
    cases = []
    for path in sorted(METHODS.glob('test_*.py')):
        spec = importlib.util.spec_from_file_location(f'cases_of_{path.stem}', path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up there
        spec.loader.exec_module(module)
        cases += getattr(module, 'CASES', [])
    return cases


def registered_losses():
    importlib.import_module('mmkd_ext.methods')
    return [cls for cls in MODELS.module_dict.values()
            if isinstance(cls, type) and issubclass(cls, PairLoss)
            and cls.__module__.startswith('mmkd_ext.')]


CASES = collected_cases()
LOSSES = pytest.mark.parametrize(
    'cls', registered_losses(), ids=lambda cls: cls.__name__)
# Those of which a case gives all arguments; a method's own test has the others.
BUILT = {case.build: case for case in reversed(CASES) if isinstance(case.build, type)}
ARGUMENTS = pytest.mark.parametrize(
    ('cls', 'case'), BUILT.items(), ids=lambda one: getattr(one, '__name__', ''))


@pytest.mark.parametrize('case', CASES, ids=str)
def test_breaks_no_law_but_those_from_which_it_is_exempt(case):
    broken = broken_laws(case)
    assert {law: found for law, found in broken.items() if law not in case.exempt} == {}
    needless = case.exempt.keys() - broken.keys()
    assert not needless, f'{case} obeys {sorted(needless)}; take its exemption away.'


@LOSSES
def test_every_registered_loss_has_a_case_and_a_value_from_elsewhere(cls):
    method = cls.__module__.rpartition('.')[2]
    cases = [case for case in CASES if type(case.loss()) is cls]
    assert cases, (
        f'`{cls.__name__}` has no case for the laws. Add it to the list `CASES` of '
        f'tests/methods/test_{method}.py: LossCase({cls.__name__}, dict(...)), with '
        'inputs, extras and values of its own where the defaults do not fit; see '
        'mmkd_ext/testing/laws.py.')
    assert any(case.values for case in cases), (
        f'no case of `{cls.__name__}` has a `KnownValue`; the laws alone cannot tell '
        'whether student and teacher are swapped.')


def numbers_of(cls):
    """Settings of a loss that are annotated as a number, its bases' included."""
    takes = [inspect.signature(base.__init__).parameters.values()
             for base in cls.__mro__ if issubclass(base, PairLoss)]
    return {parameter.name for parameters in takes for parameter in parameters
            if parameter.annotation in ('int', 'float', 'int | None')}


@ARGUMENTS
def test_every_setting_that_is_a_number_refuses_what_is_none(cls, case):
    for name in numbers_of(cls):
        for wrong in ('1', float('nan')):
            with pytest.raises(ConfigError, match=f'`{name}`'):
                cls(**{**case.arguments, name: wrong})


# A temperature of 0 and a negative weight, for all that have one.
OUT_OF_RANGE = {'tau': 0, 'loss_weight': -1, 'alpha': -1, 'beta': -1, 'gamma': -1,
                'weight_fg': -1, 'weight_bg': -1, 'max_memory': 0}


@ARGUMENTS
def test_a_setting_out_of_range_is_named(cls, case):
    for name in numbers_of(cls) & OUT_OF_RANGE.keys():
        with pytest.raises(ConfigError, match=f'`{name}`'):
            cls(**{**case.arguments, name: OUT_OF_RANGE[name]})
