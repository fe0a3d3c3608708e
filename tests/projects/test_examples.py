"""The examples in docstrings of projects run.

pytest's own collection would import the modules under other names, a second time.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [
    '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    for path in sorted(ROOT.glob('projects/*/*.py'))
    if path.stem != '__init__']


@pytest.mark.parametrize('name', MODULES)
def test_examples_of_a_module_run(name):
    needed = {'espnetv2': 'mmseg', 'efficientnet_lite': 'efficientnet_lite_pytorch'}
    pytest.importorskip(needed.get(name.split('.')[1], 'numpy'))
    found = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
