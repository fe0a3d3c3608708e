"""Every registered loss obeys the laws.

The cases of a loss stand in the test file of its method, ``tests/methods/test_x.py``,
in a list ``CASES``; they are collected from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from mmkd_ext.methods import PairLoss
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.laws import applicable, broken_laws

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


@pytest.mark.parametrize(('law', 'case'), applicable(CASES), ids=str)
def test_obeys(law, case):
    law.check(case)


@pytest.mark.parametrize('cls', registered_losses(), ids=lambda cls: cls.__name__)
def test_every_registered_loss_has_a_case(cls):
    method = cls.__module__.rpartition('.')[2]
    assert any(type(case.loss()) is cls for case in CASES), (
        f'`{cls.__name__}` has no case for the laws. Add it to the list `CASES` of '
        f'tests/methods/test_{method}.py: LossCase({cls.__name__}, dict(...)), with '
        'inputs, extras and values of its own where the defaults do not fit; see '
        'mmkd_ext/testing/laws.py.')


@pytest.mark.parametrize('cls', registered_losses(), ids=lambda cls: cls.__name__)
def test_every_registered_loss_has_a_value_from_elsewhere(cls):
    cases = [case for case in CASES if type(case.loss()) is cls]
    assert any(case.values for case in cases), (
        f'no case of `{cls.__name__}` has a `KnownValue`; the laws alone cannot tell '
        'whether student and teacher are swapped.')


@pytest.mark.parametrize('case', CASES, ids=str)
def test_every_exemption_is_needed(case):
    needless = set(case.exempt) - set(broken_laws(case) if case.exempt else ())
    assert not needless, f'{case} obeys {sorted(needless)}; take its exemption away.'
