"""Patches that let the packages of OpenMMLab run on today's torch.

Each patch is a row of `PATCHES`: its name, its reason, a test of whether it is needed
here, and the change. The tests look at features, not at version numbers, so a patch is
no longer applied once upstream has fixed what it fixes. Nothing else in this package
patches anything, and no patch weakens a check: the allow-list for checkpoints names a
few harmless types, and everything else stays refused.

`apply` is called by `mmkd_ext.registry` and by the tools. Calling it again costs
microseconds and changes nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pickle
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ['PATCHES', 'Applied', 'Patch', 'apply', 'report', 'safe_globals']

_PKG_RESOURCES_WARNING = 'pkg_resources is deprecated as an API'


@dataclass(frozen=True)
class Patch:
    """One change to a package of the stack.

    Args:
        name: Short name, shown in reports.
        reason: What fails without it.
        packages: Packages that must be installed for it to make sense.
        needed: Returns whether the patch is needed here.
        fix: Makes the change; called only if `needed` returns True.
    """

    name: str
    reason: str
    packages: tuple[str, ...]
    needed: Callable[[], bool]
    fix: Callable[[], None]


@dataclass(frozen=True)
class Applied:
    """The state of one patch: ``'applied'``, ``'not needed'`` or ``'absent'``."""

    name: str
    state: str
    reason: str


_states: dict[str, str] = {}


def apply() -> None:
    """Applies every patch that this machine needs and that is not yet in place."""
    for patch in PATCHES:
        if any(importlib.util.find_spec(name) is None for name in patch.packages):
            _states[patch.name] = 'absent'
        elif patch.needed():
            patch.fix()
            _states[patch.name] = 'applied'
        elif _states.get(patch.name) != 'applied':
            _states[patch.name] = 'not needed'


def report() -> list[Applied]:
    """Returns the state of each patch; all are ``'not run'`` before `apply`."""
    return [
        Applied(patch.name, _states.get(patch.name, 'not run'), patch.reason)
        for patch in PATCHES
    ]


# --- mmrazor's quantization tables, which it builds while being imported ------------


def _fuser_mappings() -> Any:
    return importlib.import_module('torch.ao.quantization.fuser_method_mappings')


def _pattern_config() -> Any:
    return importlib.import_module(_BACKEND).BackendPatternConfig


def _reverse2(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns ``method`` with its two modules taken in the other order."""
    return lambda is_qat, last, first: method(is_qat, first, last)


def _reverse3(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns ``method`` for a nested pattern ``(last, (middle, first))``."""
    return lambda is_qat, last, inner: method(is_qat, inner[1], inner[0], last)


def _reverse_sequential_wrapper2(sequential: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method that puts two modules, last first, into ``sequential``."""
    return lambda is_qat, last, first: sequential(first, last)


_FUSERS = {
    'reverse2': _reverse2,
    'reverse3': _reverse3,
    'reverse_sequential_wrapper2': _reverse_sequential_wrapper2,
}


def _lacks_fusers() -> bool:
    return any(not hasattr(_fuser_mappings(), name) for name in _FUSERS)


def _add_fusers() -> None:
    module = _fuser_mappings()
    for name, function in _FUSERS.items():
        if not hasattr(module, name):
            setattr(module, name, function)


_BACKEND = 'torch.ao.quantization.backend_config'


def _lacks_backend_utils() -> bool:
    return not hasattr(importlib.import_module(_BACKEND), 'utils')


def _import_backend_utils() -> None:
    importlib.import_module(f'{_BACKEND}.utils')


def _setter(attribute: str) -> Callable[[Any, Any], Any]:
    """Returns a method that stores its argument and returns the config itself."""

    def method(config: Any, value: Any) -> Any:
        setattr(config, attribute, value)
        return config

    return method


_SETTERS = (
    'overwrite_output_fake_quantize',
    'overwrite_output_observer',
    'input_output_observed',
)


def _lacks_setters() -> bool:
    config = _pattern_config()
    return any(not hasattr(config, f'_set_{name}') for name in _SETTERS)


def _add_setters() -> None:
    config = _pattern_config()
    for name in _SETTERS:
        if not hasattr(config, f'_set_{name}'):
            setattr(config, f'_set_{name}', _setter(f'_{name}'))


# --- checkpoints: weights-only loading stays on ------------------------------------


_BUFFER_MODULE = 'mmengine.logging.history_buffer'


def _history_buffer() -> Any:
    return importlib.import_module(_BUFFER_MODULE).HistoryBuffer


def _statistic(owner: Any, name: str) -> Any:
    """Returns a statistic of `HistoryBuffer`; refuses any other owner or name."""
    buffer = _history_buffer()
    if owner is not buffer or name not in ('current', 'max', 'mean', 'min'):
        raise pickle.UnpicklingError(
            f'The checkpoint asks for `getattr({owner!r}, {name!r})`, which is not '
            f'part of what mmengine writes. It may run code of its author: load it '
            f'only where you would run a program of theirs.'
        )
    return getattr(buffer, name)


# torch < 2.6 knows listed functions only by their own names
_statistic.__module__, _statistic.__qualname__ = 'builtins', 'getattr'
_statistic.__name__ = 'getattr'


def safe_globals() -> list[tuple[Any, str]]:
    """Returns what mmengine's own checkpoints hold beside tensors, with its names.

    These are `HistoryBuffer` (the logged scalars) and plain numeric numpy arrays and
    scalars. numpy 1 and 2 call the same functions by different module names, so both
    are listed and a file written under either loads under the other. Building any of
    them runs no code of the file's author; arrays of objects are not on the list.

    A `HistoryBuffer` also refers to its four statistics, which pickle writes as a
    call of ``getattr``. That name stands for `_statistic` here, which answers for
    those four and refuses everything else; the real ``getattr`` stays refused.
    """
    found: list[tuple[Any, str]] = []
    if importlib.util.find_spec('mmengine') is not None:
        found.append((_history_buffer(), f'{_BUFFER_MODULE}.HistoryBuffer'))
        found.append((_statistic, 'builtins.getattr'))
    if importlib.util.find_spec('numpy') is not None:
        found += _numpy_globals()
    return found


def _numpy_globals() -> Iterator[tuple[Any, str]]:
    np = importlib.import_module('numpy')
    codes = ('?', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
    yield np.ndarray, 'numpy.ndarray'
    yield np.dtype, 'numpy.dtype'
    core = importlib.import_module(
        'numpy._core.multiarray'
        if importlib.util.find_spec('numpy._core') is not None
        else 'numpy.core.multiarray'
    )
    for package in ('numpy._core', 'numpy.core'):
        yield core._reconstruct, f'{package}.multiarray._reconstruct'
        yield core.scalar, f'{package}.multiarray.scalar'
    for code in codes:
        kind = type(np.dtype(code))
        yield kind, f'{kind.__module__}.{kind.__qualname__}'


def _unlisted_globals() -> list[tuple[Any, str]]:
    serialization = importlib.import_module('torch.serialization')
    if not hasattr(serialization, 'add_safe_globals'):
        return []  # before torch 2.4 there is no list to add to
    listed = set()
    for entry in serialization.get_safe_globals():
        if not isinstance(entry, tuple):
            entry = (entry, f'{entry.__module__}.{entry.__qualname__}')
        listed.add(entry[1])
    return [entry for entry in _listable_globals() if entry[1] not in listed]


def _listable_globals() -> list[tuple[Any, str]]:
    """Returns `safe_globals`, less the aliases where torch cannot hold them."""
    if _takes_names():
        return safe_globals()
    return [
        (value, name)
        for value, name in safe_globals()
        if name == f'{value.__module__}.{value.__qualname__}'
    ]


def _takes_names() -> bool:
    """Whether ``add_safe_globals`` takes pairs of object and name (torch >= 2.6)."""
    torch = importlib.import_module('torch')
    major, minor = (int(part) for part in torch.__version__.split('.')[:2])
    return (major, minor) >= (2, 6)


def _add_safe_globals() -> None:
    serialization = importlib.import_module('torch.serialization')
    missing: list[Any] = list(_unlisted_globals())
    if not _takes_names():
        missing = [value for value, _ in missing]
    serialization.add_safe_globals(missing)


# --- config paths `mmkd_ext::...` --------------------------------------------------


def _scope_map() -> Any:
    return importlib.import_module('mmengine.config.utils').MODULE2PACKAGE


def _lacks_scope() -> bool:
    return 'mmkd_ext' not in _scope_map()


def _add_scope() -> None:
    _scope_map()['mmkd_ext'] = 'mmkd_ext'


#: Modules that hold a function of mmengine by name; the first defines it. Those that
#: are not loaded yet take it from there when they are.
_HOLDERS = {
    'get_installed_path': (
        'mmengine.utils.package_utils',
        'mmengine.utils',
        'mmengine.config.config',
        'mmengine.hub.hub',
    ),
    'build_optim_wrapper': (
        'mmengine.optim.optimizer.builder',
        'mmengine.optim.optimizer',
        'mmengine.optim',
        'mmengine.runner.runner',
        'mmengine._strategy.base',
    ),
}


def _holders(function: str) -> list[Any]:
    names = _HOLDERS[function]
    importlib.import_module(names[0])
    return [sys.modules[name] for name in names if name in sys.modules]


def _is_original(function: str) -> bool:
    """Whether some module still holds mmengine's own function."""
    return any(not _is_wrapped(getattr(m, function)) for m in _holders(function))


def _is_wrapped(function: Any) -> bool:
    return getattr(function, '__wrapped__', None) is not None


def _wrap(function: str, wrapper: Callable[[Any], Any]) -> None:
    holders = _holders(function)
    current = getattr(holders[0], function)
    wrapped = current if _is_wrapped(current) else wrapper(current)
    for module in holders:
        setattr(module, function, wrapped)


def _with_editable_paths(original: Callable[[str], str]) -> Callable[[str], str]:
    """Returns ``original`` that asks the import system when its path is not there."""

    @functools.wraps(original)
    def get_installed_path(package: str) -> str:
        path = original(package)
        if Path(path).exists():
            return path
        spec = importlib.util.find_spec(Path(path).name)
        if spec is None or spec.origin is None:
            return path
        return str(Path(spec.origin).parent)

    return get_installed_path


# --- optimizers of a student ------------------------------------------------------


def _with_model_builder(original: Callable[..., Any]) -> Callable[..., Any]:
    """Returns ``original`` for models without a `build_optim_wrapper` of their own."""

    @functools.wraps(original)
    def build_optim_wrapper(model: Any, cfg: Any) -> Any:
        inner = getattr(model, 'module', model)
        build = getattr(type(inner), 'build_optim_wrapper', None)
        return original(model, cfg) if build is None else build(inner, original, cfg)

    return build_optim_wrapper


# --- several processes that write one file -----------------------------------------


def _logger_hook() -> Any:
    return importlib.import_module('mmengine.hooks').LoggerHook


def _every_process_writes_results() -> bool:
    # `functools.wraps`, which mmengine's own `master_only` uses, leaves this mark
    return not hasattr(_logger_hook().after_test_epoch, '__wrapped__')


def _first_process_writes_results() -> None:
    from mmengine.dist import master_only

    hook = _logger_hook()
    hook.after_test_epoch = master_only(hook.after_test_epoch)


# --- mmpretrain where torchvision is absent or does not load -----------------------

#: What of mmpretrain imports torchvision, each for a few transforms or box functions.
_TORCHVISION_USERS = (
    'mmpretrain.datasets.transforms.formatting',
    'mmpretrain.datasets.transforms.processing',
    'mmpretrain.evaluation.metrics.visual_grounding_eval',
    'mmpretrain.models.utils.box_utils',
)
_TORCHVISION_MODULES = (
    'torchvision',
    'torchvision.ops',
    'torchvision.ops.boxes',
    'torchvision.transforms',
    'torchvision.transforms.functional',
    'torchvision.transforms.transforms',
)
#: Those that mmpretrain registers as `torchvision/NAME`, of torchvision 0.17.
_TORCHVISION_TRANSFORMS = (
    'AugMix', 'AutoAugment', 'CenterCrop', 'ColorJitter', 'Compose',
    'ConvertImageDtype', 'ElasticTransform', 'FiveCrop', 'GaussianBlur',
    'Grayscale', 'Lambda', 'LinearTransformation', 'Normalize', 'PILToTensor',
    'Pad', 'RandAugment', 'RandomAdjustSharpness', 'RandomAffine', 'RandomApply',
    'RandomAutocontrast', 'RandomChoice', 'RandomCrop', 'RandomEqualize',
    'RandomErasing', 'RandomGrayscale', 'RandomHorizontalFlip', 'RandomInvert',
    'RandomOrder', 'RandomPerspective', 'RandomPosterize', 'RandomResizedCrop',
    'RandomRotation', 'RandomSolarize', 'RandomVerticalFlip', 'Resize', 'TenCrop',
    'ToPILImage', 'ToTensor', 'TrivialAugmentWide',
)  # fmt: skip


def _torchvision_failure() -> str:
    """Returns why torchvision cannot be imported; nothing where it can."""
    before = set(sys.modules)
    try:
        importlib.import_module('torchvision')
    except Exception as error:
        # its operators fail to register beside a torch of another build
        for name in set(sys.modules) - before:
            if name.split('.')[0] == 'torchvision':
                del sys.modules[name]
        if isinstance(error, ModuleNotFoundError) and error.name == 'torchvision':
            return 'is not installed'
        return f'cannot be imported ({type(error).__name__}: {error})'
    return ''


class _StandIn(ModuleType):
    """A module in which every name is a class that cannot be used."""

    def __init__(self, name: str, failure: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._failure = failure
        if name == 'torchvision.transforms':
            for transform in _TORCHVISION_TRANSFORMS:
                setattr(self, transform, self._unusable(transform))

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return self._unusable(name)

    def _unusable(self, name: str) -> type:
        from mmkd_ext.errors import StackError

        said = (
            f'`{self.__name__}.{name}` is needed, but torchvision {self._failure}. '
            'Install one that was built for this torch, or write a config without it.'
        )

        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise StackError(said)

        meta = type('Meta', (type,), {'__getattr__': refuse})
        return meta(name, (), {'__new__': refuse, '__module__': self.__name__})


@contextmanager
def _torchvision_at_hand() -> Iterator[None]:
    """Has `import torchvision` succeed in the block, by a stand-in if it must be."""
    failure = _torchvision_failure()
    modules = {
        name: _StandIn(name, failure)
        for name in (_TORCHVISION_MODULES if failure else ())
    }
    for name, module in modules.items():
        parent, _, last = name.rpartition('.')
        if parent:
            setattr(modules[parent], last, module)
    sys.modules.update(modules)
    try:
        yield
    finally:
        # whoever else looks for torchvision must not find it
        for name in modules:
            sys.modules.pop(name, None)


class _TorchvisionUser(SourceFileLoader):
    """Loads a module of mmpretrain that imports torchvision."""

    def exec_module(self, module: ModuleType) -> None:
        with _torchvision_at_hand():
            super().exec_module(module)


class _TorchvisionUserFinder:
    """Finds the modules of mmpretrain that import torchvision."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns how to load one of them; None for any other."""
        if name not in _TORCHVISION_USERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None:
            return spec
        spec.loader = _TorchvisionUser(name, spec.origin)
        return spec


def _lacks_torchvision_finder() -> bool:
    wanted = importlib.util.find_spec('mmpretrain') is not None
    return wanted and _TorchvisionUserFinder not in sys.meta_path


def _add_torchvision_finder() -> None:
    sys.meta_path.insert(0, _TorchvisionUserFinder)


# --- warnings ----------------------------------------------------------------------


def _shows_pkg_resources_warning() -> bool:
    return not any(
        entry[0] == 'ignore'
        and getattr(entry[1], 'pattern', '') == _PKG_RESOURCES_WARNING
        for entry in warnings.filters
    )


def _silence_pkg_resources() -> None:
    # The cure that it names, setuptools < 81, is what the stack pins; mmengine and
    # mmcv import pkg_resources, and no user can do anything about it.
    warnings.filterwarnings('ignore', message=_PKG_RESOURCES_WARNING)


PATCHES: tuple[Patch, ...] = (
    Patch(
        'quiet-pkg-resources',
        'mmengine imports pkg_resources, which warns on every start',
        (),
        _shows_pkg_resources_warning,
        _silence_pkg_resources,
    ),
    Patch(
        'quantization-fusers',
        'mmrazor imports `reverse2`, `reverse3` and `reverse_sequential_wrapper2`, '
        'which torch 2 made private',
        ('torch',),
        _lacks_fusers,
        _add_fusers,
    ),
    Patch(
        'quantization-utils',
        'mmrazor uses `torch.ao.quantization.backend_config.utils` without '
        'importing it',
        ('torch',),
        _lacks_backend_utils,
        _import_backend_utils,
    ),
    Patch(
        'quantization-setters',
        'mmrazor calls three setters of `BackendPatternConfig` that torch 2 removed',
        ('torch',),
        _lacks_setters,
        _add_setters,
    ),
    Patch(
        'checkpoint-allow-list',
        "torch >= 2.6 loads weights only and refuses mmengine's own checkpoints",
        ('torch',),
        lambda: bool(_unlisted_globals()),
        _add_safe_globals,
    ),
    Patch(
        'config-scope',
        'mmengine knows `pkg::path` only for packages on a fixed list',
        ('mmengine',),
        _lacks_scope,
        _add_scope,
    ),
    Patch(
        'editable-paths',
        'mmengine looks for the configs of a package installed with `pip install -e` '
        'in site-packages, where they are not',
        ('mmengine', 'pkg_resources'),
        lambda: _is_original('get_installed_path'),
        lambda: _wrap('get_installed_path', _with_editable_paths),
    ),
    Patch(
        'optimizer-of-a-student',
        'mmengine, mmdet and mmseg choose learning rates by the names that parameters '
        'have in a plain model, and in a distillation they begin with `architecture.`',
        ('mmengine', 'torch'),
        lambda: _is_original('build_optim_wrapper'),
        lambda: _wrap('build_optim_wrapper', _with_model_builder),
    ),
    Patch(
        'one-result-file',
        'mmengine lets every process of a distributed test write the same JSON file, '
        'which leaves a mixture of both when they do so at once',
        ('mmengine',),
        _every_process_writes_results,
        _first_process_writes_results,
    ),
    Patch(
        'torchvision-of-mmpretrain',
        'mmpretrain imports torchvision for a few transforms, and the torchvision of '
        'the package index does not load beside a torch of another build',
        (),
        _lacks_torchvision_finder,
        _add_torchvision_finder,
    ),
)
