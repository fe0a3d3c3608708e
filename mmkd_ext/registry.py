"""Registries of scope ``mmkd_ext``, children of mmengine's.

Each knows the packages that hold its parts (`locations`), so a config may say
``type='mmkd_ext.CWDLoss'`` from inside any OpenMMLab project without
``custom_imports``: mmengine imports this module when it first meets the scope, and
the packages when a name is first looked up.
"""

from __future__ import annotations

import warnings
from typing import Any

from mmengine import registry as _root
from mmengine.registry import Registry

from mmkd_ext import compat

compat.apply()

__all__ = [
    'DATASETS',
    'FUNCTIONS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'TRANSFORMS',
    'register_old_name',
    'type_name',
]


def type_name(kind: Any) -> str:
    """Returns the name of a `type`, which in new-style configs is a class.

    Examples:
        >>> type_name('mmkd_ext.CWDLoss'), type_name(Registry)
        ('mmkd_ext.CWDLoss', 'mmengine.Registry')
    """
    if not hasattr(kind, '__name__'):
        return str(kind)
    return f'{kind.__module__.split(".")[0]}.{kind.__name__}'


def register_old_name(registry: Registry, old: str, new: type) -> type:
    """Keeps the former name of a registered class in use for one release.

    Args:
        registry: Where the class is registered.
        old: Its former name, which building warns about.
        new: The class.

    Returns:
        A subclass of that name, which behaves as the class does.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f'`mmkd_ext.{old}` is now called `mmkd_ext.{new.__name__}`; the old name '
            'will go in the next release.',
            FutureWarning,
            stacklevel=2,
        )
        new.__init__(self, *args, **kwargs)  # type: ignore[misc]

    kind: Any = type(old, (new,), {'__init__': __init__, '__module__': new.__module__})
    registry.register_module(name=old, module=kind)
    return kind


def _child(name: str, parent: Registry, *packages: str) -> Registry:
    locations = [f'mmkd_ext.{package}' for package in packages]
    return Registry(name, parent=parent, scope='mmkd_ext', locations=locations)


MODELS = _child(
    'model',
    _root.MODELS,
    'methods',
    'connectors',
    'distillers',
    'algorithms',
    'adaptation',
    'backbones',
)
HOOKS = _child('hook', _root.HOOKS, 'engine', 'visualization.hook')
# not in the package `engine`: hooks work without the adaptation that it imports
LOOPS = _child('loop', _root.LOOPS, 'engine.continual_loop')
OPTIM_WRAPPERS = _child('optimizer_wrapper', _root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', _root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine'
)
PARAM_SCHEDULERS = _child('parameter scheduler', _root.PARAM_SCHEDULERS, 'engine')
# not the package: it imports none of its modules
DATASETS = _child(
    'dataset',
    _root.DATASETS,
    'datasets.acdc',
    'datasets.camvid',
    'datasets.cdriving',
    'datasets.digits',
    'datasets.shift',
)
TRANSFORMS = _child(
    'transform',
    _root.TRANSFORMS,
    'datasets.corrupt',
    'datasets.kept',
    'datasets.labels',
    'datasets.original',
    'datasets.selfmix',
    'datasets.views',
)
FUNCTIONS = _child('function', _root.FUNCTIONS, 'datasets.views')
# mmseg's metric; the rest of the package works without mmseg
METRICS = _child('metric', _root.METRICS, 'evaluation.segmentation')
