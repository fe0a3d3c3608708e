"""How many calls inside the package a step of adaptation makes: what a reader steps
through with a debugger."""

from __future__ import annotations

import sys
from pathlib import Path

import adapt_toys as toys
import pytest
import torch

import mmkd_ext

pytestmark = pytest.mark.mmseg
PACKAGE = str(Path(mmkd_ext.__file__).parent)


def calls(distiller):
    """Calls of one step after three, on a network with 22 batch norms."""
    built = toys.model(distiller)
    optim = toys.wrapper(built, kind=torch.optim.Adam)
    toys.stream(built, optim)
    data, count = toys.batch(7, truth=False), 0

    def profile(frame, event, argument):
        nonlocal count
        if event == 'call' and frame.f_code.co_filename.startswith(PACKAGE):
            count += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        built.adapt_step(data, optim, domain='fog', step=3)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ('distiller', 'most'),
    [
        (dict(type='mmkd_ext.TentDistiller'), 62),
        # the source's pass, for the share of mixing, tells of its 22 layers
        (dict(type='mmkd_ext.DoSeDistiller'), 430),
        (dict(type='mmkd_ext.DoSeDistiller', mixing=0.5), 360),
    ],
)
def test_a_step_makes_few_calls(distiller, most):
    assert calls(distiller) <= most
