"""`load_from` with the file of a plain model fills the student."""

from __future__ import annotations

from types import SimpleNamespace

import distill_toys as toys
import pytest
import torch
from distill_toys import equal_states
from mmengine.hooks import EMAHook
from mmengine.runner.checkpoint import load_checkpoint

from mmkd_ext.errors import CheckpointError
from mmkd_ext.testing.toy import ToyModel


def build():
    return toys.build(toys.link('neck', 'FitNetsLoss'), ToyModel())


def saved(folder, state):
    path = str(folder / 'plain.pth')
    torch.save({'state_dict': state, 'meta': {}}, path)
    return path


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_plain_models_file_goes_into_the_student(tmp_path, prefix):
    torch.manual_seed(3)
    state = ToyModel().state_dict()
    algorithm = build()
    connector = {k: v.clone() for k, v in algorithm.distiller.state_dict().items()}
    path = saved(tmp_path, {f'{prefix}{k}': v for k, v in state.items()})
    load_checkpoint(algorithm, path, map_location='cpu')
    assert equal_states(state, algorithm.student.state_dict())
    assert equal_states(connector, algorithm.distiller.state_dict())


def test_a_part_of_a_plain_model_is_enough(tmp_path):
    state = {k: v for k, v in ToyModel().state_dict().items() if 'backbone' in k}
    algorithm = build()
    # a plain model may keep something of its preprocessor as well
    path = saved(tmp_path, {**state, 'data_preprocessor.step': torch.ones(1)})
    load_checkpoint(algorithm, path, map_location='cpu')
    got = algorithm.student.state_dict()
    assert all(torch.equal(got[key], value) for key, value in state.items())


def test_an_average_of_weights_starts_with_them_too(tmp_path):
    torch.manual_seed(3)
    state = ToyModel().state_dict()
    algorithm = build()
    hook = EMAHook()
    hook.before_run(SimpleNamespace(model=algorithm, iter=0, epoch=0))
    checkpoint = {'state_dict': dict(state), 'meta': {}}
    runner = SimpleNamespace(_resume=False)
    hook.after_load_checkpoint(runner, checkpoint)
    assert equal_states(state, hook.ema_model.module.architecture.state_dict())
    assert list(checkpoint['state_dict']) == list(state)


def test_weights_in_memory_are_taken_as_well():
    algorithm, state = build(), ToyModel().state_dict()
    names = list(state)
    keys = algorithm.load_state_dict(state, strict=False)
    assert not keys.unexpected_keys
    assert all(key.startswith('distiller.') for key in keys.missing_keys)
    # the caller's state dict stays as it is
    assert list(state) == names


def test_a_file_that_fills_nothing_is_an_error(tmp_path):
    path = saved(tmp_path, {'layer1.weight': torch.zeros(1)})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(build(), path, map_location='cpu')
    assert "'layer1.weight'" in str(error.value)
    assert '`model.student_ckpt`' in str(error.value)


def test_a_distillations_own_file_is_loaded_as_ever(tmp_path):
    torch.manual_seed(4)
    source, target = build(), build()
    load_checkpoint(target, saved(tmp_path, source.state_dict()), map_location='cpu')
    assert equal_states(source.state_dict(), target.state_dict())
