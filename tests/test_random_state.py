"""Seeds and states of the global random generators."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from mmkd_ext.random_state import (
    get_random_state,
    preserve_random_state,
    seed_all,
    set_random_state,
)


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


@pytest.mark.parametrize('error', [None, KeyError])
def test_a_block_leaves_all_generators_as_they_were_also_after_an_error(error):
    seed_all(1)
    expected = draw()
    seed_all(1)
    try:
        with preserve_random_state():
            seed_all(7)
            draw()
            if error:
                raise error
    except KeyError:
        pass
    assert draw() == expected


def test_a_state_goes_through_a_checkpoint_that_holds_no_code(tmp_path):
    seed_all(5)
    torch.save(get_random_state(), tmp_path / 'state.pth')
    expected = draw()
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert draw() == expected
