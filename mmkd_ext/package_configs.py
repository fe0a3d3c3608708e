"""Configs that installed packages ship, named ``package::path``."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import ModuleSpec
from pathlib import Path

from mmkd_ext.errors import ConfigError, did_you_mean

__all__ = ['config_folders', 'find_config', 'find_packaged_config']


def config_folders(package: str) -> list[Path]:
    """Returns the folders with configs that an installed package brings.

    Args:
        package: Its import name.
    """
    spec = _spec(package)
    roots = map(Path, (spec and spec.submodule_search_locations) or ())
    # an installed package, mmrazor's way, and a checkout
    folders = [
        folder / 'configs'
        for root in roots
        for folder in (root / '.mim', root, root.parent)
    ]
    return [folder for folder in folders if folder.is_dir()]


def find_config(name: str) -> str:
    """Returns the path of a config file: a path, or ``package::path``.

    Raises:
        ConfigError: There is no such file; says which lie beside it.
    """
    if '::' in name:
        return find_packaged_config(name)
    path = Path(name)
    if path.is_file():
        return name
    beside = os.listdir(path.parent) if path.parent.is_dir() else []
    near = did_you_mean(path.name, beside)
    hint = "A config of an installed package is written 'mmseg::pspnet/....py'."
    raise ConfigError(f'There is no config file {name!r}.{near} {hint}')


def find_packaged_config(name: str) -> str:
    """Returns the path of a config, whether or not a metafile lists it.

    Args:
        name: Its name, as ``package::path``.

    Raises:
        ConfigError: The package is not installed, or has no such config.
    """
    package, relative = name.split('::', 1)
    folders = config_folders(package)
    if _spec(package) is None:
        raise ConfigError(f'Config {name!r}: no package `{package}` is installed.')
    for folder in folders:
        if (folder / relative).is_file():
            return str(folder / relative)
    known = [
        f'{package}::{path.relative_to(folder).as_posix()}'
        for folder in folders
        for path in folder.rglob('*.py')
    ]
    hint = did_you_mean(name, known)
    raise ConfigError(f'Package `{package}` has no config {relative!r}.{hint}')


def _spec(package: str) -> ModuleSpec | None:
    return importlib.util.find_spec(package) if package.isidentifier() else None
