"""Patches for the stack: made where needed, and only there; loading stays safe."""

from __future__ import annotations

import copy
import functools
import importlib
import os
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.hooks import LoggerHook
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint
from mmengine.utils import package_utils
from torch.ao.quantization import fuser_method_mappings
from torch.ao.quantization.backend_config import BackendPatternConfig

from mmkd_ext import compat
from mmkd_ext.errors import StackError

FUSERS = ['reverse2', 'reverse3', 'reverse_sequential_wrapper2']
SETTERS = ['_set_overwrite_output_fake_quantize', '_set_overwrite_output_observer',
           '_set_input_output_observed']


def patch(name):
    return next(row for row in compat.PATCHES if row.name == name)


@pytest.fixture
def fresh(monkeypatch):
    """Everything that `apply` touched is put back afterwards."""
    listed = torch.serialization.get_safe_globals()
    yield monkeypatch
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(listed)


def state_of(name):
    return next(row.state for row in compat.report() if row.name == name)


def test_all_that_is_needed_is_applied_once_and_told(fresh):
    compat.apply()
    before = (compat.report(), list(warnings.filters), package_utils.get_installed_path,
              set(map(str, torch.serialization.get_safe_globals())))
    assert [row.name for row in compat.PATCHES if row.needed()] == []
    assert {row.state for row in before[0]} <= {'applied', 'not needed'}
    assert all(len(row.reason) > 20 for row in before[0])
    compat.apply()
    after = (compat.report(), list(warnings.filters), package_utils.get_installed_path,
             set(map(str, torch.serialization.get_safe_globals())))
    assert after == before


@pytest.mark.parametrize(('packages', 'needs', 'states', 'fixed'), [
    ((), [False], ['not needed'], 0), ((), [True, False], ['applied', 'applied'], 1),
    (('a_package_that_is_not_there',), [True], ['absent'], 0)])
def test_a_patch_is_made_where_it_is_needed(fresh, packages, needs, states, fixed):
    made, answers = [], iter(needs)
    name = f'{packages}{needs}'
    row = compat.Patch(name, 'why', packages, lambda: next(answers),
                       lambda: made.append(name))
    fresh.setattr(compat, 'PATCHES', (row,))
    assert state_of(name) == 'not run'
    for state in states:
        compat.apply()
        assert state_of(name) == state
    assert len(made) == fixed


# --- mmrazor -----------------------------------------------------------------------


@pytest.mark.parametrize('name', FUSERS)
def test_a_fuser_that_torch_lost_is_brought_back(fresh, name):
    compat.apply()
    fresh.delattr(fuser_method_mappings, name)
    assert patch('quantization-fusers').needed()
    compat.apply()
    assert callable(getattr(fuser_method_mappings, name))
    assert state_of('quantization-fusers') == 'applied'


def test_fusers_that_torch_has_are_left_alone(fresh):
    for name in FUSERS:
        fresh.setattr(fuser_method_mappings, name, f'torch {name}', raising=False)
    assert not patch('quantization-fusers').needed()
    compat.apply()
    assert [getattr(fuser_method_mappings, name) for name in FUSERS] == [
        f'torch {name}' for name in FUSERS]


def test_fusers_hand_modules_over_in_the_order_of_the_network(fresh):
    for name in FUSERS:
        fresh.delattr(fuser_method_mappings, name, raising=False)
    compat.apply()
    order = fuser_method_mappings.reverse2(lambda qat, *found: (qat, *found))
    assert order(True, 'bn', 'conv') == (True, 'conv', 'bn')
    order = fuser_method_mappings.reverse3(lambda qat, *found: (qat, *found))
    assert order(False, 'relu', ('bn', 'conv')) == (False, 'conv', 'bn', 'relu')
    order = fuser_method_mappings.reverse_sequential_wrapper2(lambda *found: found)
    assert order(False, 'relu', 'conv') == ('conv', 'relu')


@pytest.mark.parametrize('name', SETTERS)
def test_a_setter_that_torch_lost_is_brought_back(fresh, name):
    compat.apply()
    fresh.delattr(BackendPatternConfig, name)
    assert patch('quantization-setters').needed()
    compat.apply()
    config = BackendPatternConfig(torch.nn.Linear)
    assert getattr(config, name)('value') is config
    assert getattr(config, name.replace('_set', '', 1)) == 'value'


def test_backend_utils_are_imported_when_torch_does_not(fresh):
    from torch.ao.quantization import backend_config

    compat.apply()
    assert not patch('quantization-utils').needed()
    fresh.delattr(backend_config, 'utils')
    fresh.delitem(sys.modules, 'torch.ao.quantization.backend_config.utils')
    assert patch('quantization-utils').needed()
    compat.apply()
    assert hasattr(backend_config.utils, 'get_pattern_to_dtype_configs')


def test_mmrazor_fails_without_the_patches_and_imports_with_them():
    script = 'import sys, warnings; warnings.simplefilter("ignore")\n{}\n' \
             'import mmrazor.models, mmdet.models, mmseg.models'
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False)
    with_them = run([sys.executable, '-c', script.format(
        'from mmkd_ext import compat; compat.apply()')])
    assert with_them.returncode == 0, with_them.stderr
    if patch('quantization-setters').name in needed_here():
        without = run([sys.executable, '-c', script.format('')])
        assert without.returncode != 0


def needed_here():
    done = subprocess.run(
        [sys.executable, '-c',
         'from mmkd_ext import compat\n'
         'print(*[row.name for row in compat.PATCHES if row.needed()])'],
        capture_output=True, text=True, check=True)
    return done.stdout.split()


# --- checkpoints -------------------------------------------------------------------


def mmengine_content():
    buffer = HistoryBuffer()
    for value in (1.0, 3.0):
        buffer.update(value)
    kinds = ['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32',
             'uint64', 'float16', 'float32', 'float64']
    return {
        'state_dict': {'weight': torch.arange(3.0)}, 'message_hub': {'loss': buffer},
        'arrays': {kind: np.ones(2, kind) for kind in kinds},
        'scalars': [np.float64(0.5), np.float32(0.25), np.int64(7), np.bool_(True)]}


def check_content(found):
    assert found['message_hub']['loss'].mean() == 2.0
    assert found['message_hub']['loss'].statistics('max') == 3.0
    for kind, array in found['arrays'].items():
        assert array.dtype == np.dtype(kind)
        assert array.tolist() == [1, 1]
    assert found['scalars'] == [0.5, 0.25, 7, True]
    assert found['state_dict']['weight'].tolist() == [0, 1, 2]


def test_without_the_list_torch_refuses_what_mmengine_wrote(fresh, tmp_path):
    torch.save(mmengine_content(), tmp_path / 'a.pth')
    torch.serialization.clear_safe_globals()
    assert patch('checkpoint-allow-list').needed()
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        torch.load(tmp_path / 'a.pth', weights_only=True)
    compat.apply()
    assert not patch('checkpoint-allow-list').needed()
    check_content(torch.load(tmp_path / 'a.pth', weights_only=True))


def test_weights_only_stays_the_default_of_torch(fresh, tmp_path):
    default = torch.load.__defaults__, copy.copy(torch.load.__kwdefaults__)
    compat.apply()
    assert (torch.load.__defaults__, torch.load.__kwdefaults__) == default
    assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.parametrize(('here', 'there'), [
    (b'numpy._core.multiarray', b'numpy.core.multiarray'),
    (b'numpy.core.multiarray', b'numpy._core.multiarray'),
], ids=['numpy 1', 'numpy 2'])
def test_loads_what_either_numpy_wrote(tmp_path, here, there):
    torch.save(mmengine_content(), tmp_path / 'a.pth',
               _use_new_zipfile_serialization=False)
    content = (tmp_path / 'a.pth').read_bytes()
    renamed = content.replace(b'c' + here + b'\n', b'c' + there + b'\n')
    if here in content:
        assert renamed != content
    (tmp_path / 'b.pth').write_bytes(renamed)
    check_content(torch.load(tmp_path / 'b.pth', weights_only=True))


class Runs:
    """A pickle of this calls ``function(*args)`` when it is loaded unchecked."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


class Chain:
    """A pickle of this asks for ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    loot = tmp_path / 'loot'
    trap = tmp_path / 'trap.pth'
    torch.save({'state_dict': {}, 'x': Runs(os.system, f'touch {loot}')}, trap)
    with pytest.raises(pickle.UnpicklingError, match='system'):
        torch.load(trap)
    with pytest.raises(pickle.UnpicklingError, match='system'):
        load_checkpoint(torch.nn.Linear(1, 1), str(trap))
    assert not loot.exists()
    torch.load(trap, weights_only=False)  # the trap is real
    assert loot.exists()


@pytest.mark.parametrize('trap', [
    Runs(eval, '1 + 1'), Runs(exec, 'x = 1'), Runs(subprocess.check_output, ['true']),
    Chain(HistoryBuffer, '__init__'),
    Chain(Chain(HistoryBuffer, 'mean'), '__globals__'), Chain(np.ndarray, 'tofile'),
    np.array([{}], dtype=object), np.array(['text']), functools.partial(print, 'x'),
], ids=['eval', 'exec', 'subprocess', 'init', 'globals', 'tofile', 'objects', 'text',
        'partial'])
def test_nothing_else_gets_in_beside_the_list(tmp_path, trap):
    torch.save({'x': trap}, tmp_path / 'trap.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'trap.pth')


class Point(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode='tensor', **_):
        return {'loss': (self.weight * torch.stack(list(inputs))).sum()}


def make_runner(folder, iterations):
    return Runner(
        model=Point(), work_dir=str(folder), experiment_name=f'compat{iterations}',
        train_dataloader=dict(
            dataset=[dict(inputs=torch.ones(1))] * 4, batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False)),
        log_level='ERROR')


def test_a_runner_resumes_from_the_checkpoint_that_it_wrote(tmp_path):
    straight = make_runner(tmp_path / 'a', 4)
    straight.train()
    make_runner(tmp_path / 'b', 2).train()
    resumed = make_runner(tmp_path / 'b', 4)
    resumed.resume(str(tmp_path / 'b' / 'iter_2.pth'))
    assert resumed.iter == 2
    resumed.train()
    assert resumed.model.weight.item() == straight.model.weight.item() != 1.0


# --- config paths ------------------------------------------------------------------


def test_mmengine_learns_the_name_of_this_package(fresh):
    fresh.delitem(config_utils.MODULE2PACKAGE, 'mmkd_ext', raising=False)
    assert patch('config-scope').needed()
    compat.apply()
    assert config_utils.MODULE2PACKAGE['mmkd_ext'] == 'mmkd_ext'


def test_configs_of_a_package_elsewhere_are_found(fresh, tmp_path):
    package = tmp_path / 'elsewhere' / 'a_linked_package'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    fresh.syspath_prepend(str(package.parent))
    for name in ('utils.package_utils', 'utils', 'config.config', 'hub.hub'):
        module = importlib.import_module(f'mmengine.{name}')
        fresh.setattr(module, 'get_installed_path',
                      lambda package: f'{tmp_path}/site-packages/{package}')
    assert patch('editable-paths').needed()
    compat.apply()
    assert package_utils.get_installed_path('a_linked_package') == str(package)
    missing = f'{tmp_path}/site-packages/not_there'
    assert package_utils.get_installed_path('not_there') == missing


@pytest.mark.parametrize('path', [
    pytest.param('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                 marks=pytest.mark.mmdet),
    pytest.param('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
                 marks=pytest.mark.mmseg)])
def test_configs_of_the_neighbours_can_be_bases(tmp_path, path):
    compat.apply()
    (tmp_path / 'config.py').write_text(f'_base_ = {path!r}\n')
    assert 'backbone' in Config.fromfile(tmp_path / 'config.py').model


# --- several processes that write one file -----------------------------------------


@pytest.mark.parametrize(('rank', 'written'), [(0, True), (1, False)])
def test_the_first_process_alone_writes_the_result_of_a_test(
        fresh, tmp_path, rank, written):
    compat.apply()
    fresh.setattr('mmengine.dist.utils.get_rank', lambda group=None: rank)
    hook = LoggerHook()
    hook.json_log_path = 'result.json'
    tag = {'acc': 0.5}
    runner = SimpleNamespace(
        test_dataloader=[], log_dir=str(tmp_path), logger=MMLogger('quiet'),
        log_processor=SimpleNamespace(
            get_log_after_epoch=lambda *args, **kwargs: (tag, 'text')))
    hook.after_test_epoch(runner, tag)
    assert (tmp_path / 'result.json').exists() == written


# --- noise -------------------------------------------------------------------------


def test_only_the_notice_about_pkg_resources_is_silenced(fresh):
    with warnings.catch_warnings(record=True) as heard:
        warnings.resetwarnings()
        warnings.simplefilter('always')
        assert patch('quiet-pkg-resources').needed()
        patch('quiet-pkg-resources').fix()
        assert not patch('quiet-pkg-resources').needed()
        warnings.warn('pkg_resources is deprecated as an API. See ...', stacklevel=1)
        warnings.warn('something else', stacklevel=1)
    assert [str(entry.message) for entry in heard] == ['something else']


# --- mmpretrain without torchvision ------------------------------------------------


@pytest.fixture
def users(tmp_path, monkeypatch):
    """A package whose modules import torchvision, which is looked for in a folder."""
    package = tmp_path / 'shop'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'user.py').write_text(
        'import torchvision\n'
        'import torchvision.ops.boxes as boxes\n'
        'import torchvision.transforms.functional as F\n'
        'from torchvision import transforms\n'
        'from torchvision.transforms.transforms import InterpolationMode\n'
        'class Own(transforms.RandomResizedCrop): pass\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compat, '_TORCHVISION_USERS', ('shop.user',))
    others = [name for name in sys.modules if name.split('.')[0] == 'torchvision']
    for name in others:
        monkeypatch.delitem(sys.modules, name)
    compat.apply()
    finders = [compat._TorchvisionUserFinder, *sys.meta_path]
    monkeypatch.setattr(sys, 'meta_path', finders)

    def load(torchvision=None):
        if torchvision is not None:
            for name in ('', 'ops/', 'transforms/'):
                (tmp_path / 'torchvision' / name).mkdir()
                (tmp_path / 'torchvision' / name / '__init__.py').touch()
            (tmp_path / 'torchvision' / '__init__.py').write_text(torchvision)
            for name in ('ops/boxes', 'transforms/functional', 'transforms/transforms'):
                (tmp_path / 'torchvision' / f'{name}.py').write_text(
                    'InterpolationMode = "mine"\n')
            (tmp_path / 'torchvision' / 'transforms' / '__init__.py').write_text(
                'class RandomResizedCrop: pass\n')
        return importlib.import_module('shop.user')

    yield load
    for name in [*sys.modules]:
        if name.split('.')[0] in ('shop', 'torchvision'):
            del sys.modules[name]


def absent_torchvision(monkeypatch):
    """Hides a torchvision that is installed."""
    class Hide:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == 'torchvision':
                raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    monkeypatch.setattr(sys, 'meta_path', [Hide, *sys.meta_path])


def test_what_imports_an_absent_torchvision_loads_and_says_so_when_used(
        users, monkeypatch):
    absent_torchvision(monkeypatch)
    user = users()
    for call in (user.Own, user.boxes.box_iou, user.F.resized_crop,
                 user.transforms.ToTensor, lambda: user.InterpolationMode.NEAREST):
        with pytest.raises(StackError, match='but torchvision is not installed'):
            call()
    # mmpretrain registers these by name
    assert 'RandAugment' in dir(user.torchvision.transforms)
    # whoever asks next is told the truth
    assert not [name for name in sys.modules if name.startswith('torchvision')]


def test_a_broken_torchvision_is_replaced_while_it_is_imported_and_named(users):
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    user = users(broken)
    with pytest.raises(StackError, match='RuntimeError: operator torchvision::nms'):
        user.F.pil_to_tensor(None)
    with pytest.raises(RuntimeError, match='nms does not exist'):
        importlib.import_module('torchvision')


def test_a_torchvision_that_works_is_what_is_used(users):
    user = users('here = True')
    assert user.torchvision.here
    assert user.InterpolationMode == 'mine'
    assert isinstance(user.Own(), user.transforms.RandomResizedCrop)


def test_mmpretrain_imports_and_its_transforms_name_what_is_missing():
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    from mmpretrain.registry import TRANSFORMS

    if compat._torchvision_failure():
        with pytest.raises(StackError, match=r'torchvision.transforms.ToTensor'):
            TRANSFORMS.build({'type': 'torchvision/ToTensor'})
