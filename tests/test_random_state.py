"""Seeds and states of the global random generators."""

from __future__ import annotations

import random

import numpy as np
import torch

from mmkd_ext.random_state import (
    get_random_state,
    preserve_random_state,
    seed_all,
    set_random_state,
)


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_a_block_leaves_python_numpy_and_torch_as_they_were():
    seed_all(1)
    expected = draw()
    seed_all(1)
    with preserve_random_state():
        seed_all(7)
        draw()
    assert draw() == expected


def test_an_error_in_the_block_restores_them_too():
    seed_all(1)
    expected = draw()
    seed_all(1)
    try:
        with preserve_random_state():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert draw() == expected


def test_a_state_goes_through_a_checkpoint_that_holds_no_code(tmp_path):
    seed_all(5)
    torch.save(get_random_state(), tmp_path / 'state.pth')
    expected = draw()
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert draw() == expected
