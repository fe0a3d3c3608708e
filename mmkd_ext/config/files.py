"""Files that a config names and that are not there."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmengine.registry import DATASETS

from mmkd_ext.config.parts import datasets_in, find_type, walk
from mmkd_ext.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.config import Config

    from mmkd_ext.config.context import Report

__all__ = [
    'check_load_from',
    'check_pretrained',
    'downloads',
    'is_remote',
    'missing_data',
    'name_variables',
]


def is_remote(name: str) -> bool:
    """Whether a name is an address, such as ``https://`` or ``torchvision://``."""
    return '://' in name


def check_load_from(cfg: Config, report: Report) -> None:
    """Looks for the checkpoint to start from."""
    name = cfg.get('load_from')
    if name and not is_remote(str(name)) and not os.path.isfile(name):
        hint = 'Correct the path, or set load_from=None.'
        report.problem('load_from', f'there is no file {name!r}.', hint)


def check_pretrained(config: Any, path: str, report: Report) -> None:
    """Looks for the weights that a model's ``init_cfg`` and ``pretrained`` name."""
    for where, node in walk(config, path):
        keys = ['pretrained']
        if node.get('type') == 'Pretrained':
            keys.append('checkpoint')
        for key in [key for key in keys if isinstance(node.get(key), str)]:
            name = node[key]
            if is_remote(name):
                found = f'first weights come from {name}, which the check does not'
                report.note(f'{where}.{key}', f'{found} fetch.')
            elif not os.path.isfile(name):
                hint = 'Correct the path, or give None to start at random.'
                report.problem(f'{where}.{key}', f'there is no file {name!r}.', hint)


def missing_data(config: Any, path: str) -> Iterator[Problem]:
    """Looks for the folders and annotation files of data sets.

    Args:
        config: Config of a data set, or a list of these.
        path: Its config path.
    """
    for where, dataset in datasets_in(config, path):
        # with `backend_args` the files lie on a server
        if isinstance(dataset, Mapping) and not dataset.get('backend_args'):
            yield from _missing_files(dataset, where)


def downloads(dataset: Any) -> bool:
    """Whether a data set fetches what is missing, as mmpretrain's CIFAR does.

    Args:
        dataset: Its config.
    """
    if not isinstance(dataset, Mapping):
        return False
    cls = find_type(dataset.get('type'), DATASETS)
    accepted = inspect.signature(cls).parameters if inspect.isclass(cls) else {}
    if 'download' not in accepted:
        return False
    return bool(dataset.get('download', accepted['download'].default))


def _missing_files(dataset: Mapping[str, Any], path: str) -> Iterator[Problem]:
    root = str(dataset.get('data_root') or '')
    if root and not is_remote(root) and not os.path.isdir(root):
        found = f'there is no folder {root!r}.'
        yield Problem(f'{path}.data_root', found, _how_to_get(root, path))
        return
    wanted = {f'{path}.ann_file': dataset.get('ann_file')}
    prefixes = dataset.get('data_prefix')
    for key, prefix in prefixes.items() if isinstance(prefixes, Mapping) else ():
        wanted[f'{path}.data_prefix.{key}'] = prefix
    for where, name in wanted.items():
        if isinstance(name, str) and name and not is_remote(root + name):
            full = os.path.join(root, name)
            if not os.path.exists(full):
                found = f'there is no {full!r}.'
                yield Problem(where, found, 'Correct the path or `data_root`.')


def _how_to_get(root: str, path: str) -> str:
    if 'streets' in root:
        command = 'python projects/toy_streets/make.py'
        return f'Draw it, in the checkout: {command} --out {root.rstrip("/")}'
    return f'Put the data there, or say where it is: --cfg-options {path}.data_root=...'


#: mmengine's ``{{$NAME:default}}``, and what Python code has instead.
_VARIABLES = (
    re.compile(r'\{\{\s*\$(\w+)\s*:\s*([^}\s]+)\s*\}\}'),
    re.compile(r"(?:environ\.get|getenv)\(\s*['\"](\w+)['\"]\s*,\s*['\"]([^'\"]+)"),
)


def name_variables(cfg: Config, report: Report) -> None:
    """Names the environment variable from which a config reads a place that is missing.

    Args:
        cfg: The config, as it was read from a file.
        report: Its problems get hints.
    """
    roots = {
        os.environ.get(name, default): name
        for pattern in _VARIABLES
        for name, default in pattern.findall(cfg.text or '')
    }
    for i, problem in enumerate(report.problems):
        for root, name in roots.items():
            if root and f"'{root}" in problem.found:
                hint = f'{problem.hint} The config reads it from ${name}: set that.'
                report.problems[i] = replace(problem, hint=hint.strip())
