"""What every test shares: one thread, repeatable hypothesis, markers that skip."""

from __future__ import annotations

import importlib.util
import logging
import os

# before torch is imported; on shared machines more threads only fight each other
os.environ.setdefault('OMP_NUM_THREADS', '1')

import hypothesis
import pytest

hypothesis.settings.register_profile('ci', derandomize=True, deadline=None)
hypothesis.settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))


@pytest.fixture(autouse=True)
def _no_runner_left_behind():
    """Forgets scopes, positions and visualizers that a test's Runner has set."""
    yield
    from mmengine.logging import MessageHub
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    # a visualizer writes into the folder of the test that made it, which is gone
    for cls in (Visualizer, *Visualizer.__subclasses__()):
        cls._instance_dict.clear()


@pytest.fixture
def _one_thread():
    """Sums have one order only on one thread, as in the subprocesses."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def logged():
    """What the current logger gets."""
    from mmengine.logging import MMLogger

    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@pytest.fixture
def _plain_dumps(monkeypatch):
    """Configs are dumped without yapf, which takes longer than a short training."""
    from mmengine.config import Config

    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


@pytest.fixture(scope='session')
def draw_streets(tmp_path_factory):
    """Draws toy streets of given settings into a folder of their own."""
    from projects.toy_streets import StreetSettings, make_streets

    def draw(**settings):
        root = tmp_path_factory.mktemp('drawn') / 'streets'
        return make_streets(root, StreetSettings(**settings), workers=1).root

    return draw


@pytest.fixture(scope='session')
def small_streets(draw_streets):
    """Streets of 64 x 128, 5 and 2 by day, a drive of 4 frames a weather and split."""
    return draw_streets(
        seed=3, height=64, train=5, val=2, drives=1, val_drives=1, frames=4)


@pytest.fixture
def _one_block_a_stage(monkeypatch):
    """Large backbones are quick: one block a stage, and every stage as wide as ever."""
    from mmdet.models import ResNet, ResNeXt
    from mmseg.models import ResNet as SegmentorsResNet

    for model in (ResNet, ResNeXt, SegmentorsResNet):
        one = {depth: (block, (1,) * 4) for depth, (block, _) in
               model.arch_settings.items()}
        monkeypatch.setattr(model, 'arch_settings', one)


def pytest_configure(config):
    from mmkd_ext import compat

    compat.apply()


def pytest_collection_modifyitems(items):
    reasons = {}
    for name in ('mmdet', 'mmseg'):
        if importlib.util.find_spec(name) is None:
            reasons[name] = f'{name} is not installed: `make setup` brings it'
    if any(item.get_closest_marker('gpu') for item in items):
        import torch

        if not torch.cuda.is_available():
            reasons['gpu'] = 'this machine has no CUDA device'
    for item in items:
        for name, reason in reasons.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))
