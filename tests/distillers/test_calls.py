"""How much Python one step goes through: few calls, so that a step can be read.

Every call of a function of the package counts, and each resumed generator; list, dict
and set comprehensions do not, since they are no calls from Python 3.12 on.
"""

from __future__ import annotations

import sys

import pytest

if sys.version_info < (3, 11):
    pytest.skip('code objects have no qualified name', allow_module_level=True)
count_calls = pytest.importorskip('count_calls')


def test_a_training_step_of_one_link_is_short_and_flat():
    step = count_calls.count(count_calls.training_step(), count_calls.OURS)
    assert step['calls'] <= 80
    assert step['depth'] <= 8


@pytest.mark.mmseg
@pytest.mark.parametrize(('method', 'most'), [('Tent', 60), ('DoSe', 450)])
def test_an_adaptation_step_is_short(method, most):
    job = count_calls.adaptation_step(f'{method}Distiller')
    assert count_calls.count(job, count_calls.OURS)['calls'] <= most
