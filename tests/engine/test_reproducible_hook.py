"""What the hook for resuming does to the data; that runs are equal is in e2e."""

from __future__ import annotations

import random

import engine_toys as toys
import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, SequentialSampler

from mmkd_ext.datasets.augmentations import Augmentations
from mmkd_ext.engine.hooks import reproducible
from mmkd_ext.engine.hooks.reproducible import _SeededBatch, _SeededBatches
from mmkd_ext.errors import DataError
from mmkd_ext.random_state import derive_seed, seed_all


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def seeded(length, size, *, drop_last=False, endless=True, skip=0):
    sampler = BatchSampler(SequentialSampler(range(length)), size, drop_last)
    return _SeededBatches(sampler, seed=0, rank=0, endless=endless, skip=skip)


def order(tmp_path, monkeypatch, *, hook, **settings):
    """Indices in the order in which they are loaded."""
    seen = []
    original = toys.ToyPixels.__getitem__
    with monkeypatch.context() as patch:
        patch.setattr(
            toys.ToyPixels,
            '__getitem__',
            lambda self, i: seen.append(i) or original(self, i),
        )
        cfg = toys.config(tmp_path / str(hook), model=dict(type='ToyNet'), **settings)
        if not hook:
            cfg.custom_hooks = []
        toys.train(cfg)
    return seen


@pytest.mark.parametrize(
    'settings',
    [dict(length=9), dict(length=3, by_epoch=True)],
    ids=['by iteration', 'by epoch'],
)
def test_samples_come_in_the_order_of_mmengine(settings, tmp_path, monkeypatch):
    ours = order(tmp_path, monkeypatch, hook=True, **settings)
    assert ours == order(tmp_path, monkeypatch, hook=False, **settings)
    # and the passes over the data differ from each other
    assert ours[:12] != ours[12:24]


def test_a_sample_is_augmented_differently_in_each_epoch():
    batches = seeded(2, 2, endless=False)
    drawn = []
    for epoch in range(2):
        batches.epoch = epoch
        for batch in batches:
            drawn += [draws() for _ in batch]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize('world', [1, 2])
@pytest.mark.parametrize('endless', [True, False])
def test_each_pass_over_the_data_has_the_next_of_the_augmentations(
    endless, world, monkeypatch
):
    """A pass crosses batches; all ranks together have each picture once."""
    monkeypatch.setattr(reproducible, 'get_world_size', lambda: world)
    fixed = Augmentations(range(6), 2)
    passes = [torch.randperm(6).tolist() for _ in range(3)]
    whole = [index for one in passes for index in one]
    numbers = []
    for rank in range(world):
        mine = []
        # an endless sampler goes on over the passes, another one is begun anew
        for epoch, some in enumerate([whole] if endless else passes):
            sampler = BatchSampler(some[rank::world], 2, drop_last=False)
            batches = _SeededBatches(
                sampler, 0, rank, endless=False, skip=0, fixed=fixed
            )
            batches.epoch = epoch
            mine += [number for batch in batches for number in batch]
        numbers.append(mine)
    together = [number for step in zip(*numbers) for number in step]
    assert together == [
        e % 2 * 6 + i for e, indices in enumerate(passes) for i in indices
    ]


def test_skipping_gives_what_would_have_come():
    def rest(skip):
        batches = seeded(5, 2, skip=skip)
        return [(b.indices, b.place) for b, _ in zip(batches, range(9))]

    assert rest(4)[:5] == rest(0)[4:]


def test_a_batch_gives_the_same_draws_wherever_it_is_loaded():
    batch = _SeededBatch([5, 6], (0, 'data', 1, 2, 0))
    first = [(i, draws()) for i in batch]
    torch.rand(100), np.random.rand(3)
    assert [(i, draws()) for i in batch] == first
    assert [i for i, _ in first] == [5, 6]
    assert first[0][1] != first[1][1]


def test_seeds_fit_every_generator():
    for seed in (0, 2**63 - 1, derive_seed('x')):
        seed_all(seed)
        first = draws()
        seed_all(seed, devices=False)
        assert draws() == first


def test_data_without_a_batch_is_an_error_not_an_endless_loop():
    batches = seeded(2, 3, drop_last=True)
    with pytest.raises(DataError, match='drop_last'):
        next(iter(batches))


def test_a_loop_of_another_kind_is_left_alone_with_a_word(tmp_path, monkeypatch):
    from mmkd_ext.engine.hooks import reproducible

    class Other:
        pass

    monkeypatch.setattr(reproducible, 'IterBasedTrainLoop', Other)
    words = []
    cfg = toys.config(tmp_path, length=2)
    from mmengine.runner import Runner

    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(runner.logger, 'warning', words.append)
    runner.train()
    assert any('cannot replay' in word for word in words)


def test_persistent_workers_follow_the_seeded_batches(tmp_path):
    weights = []
    for workers in (0, 1):
        # 4 batches a pass: the run needs a second pass of a sampler that ends
        cfg = toys.config(
            tmp_path / str(workers), length=6, sampler='DefaultSampler', workers=workers
        )
        weights.append(toys.train(cfg).model.architecture.state_dict())
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
