"""The grammar of config names.

A name is made of parts joined by ``_``; words inside a part are joined by ``-``:

.. code-block:: text

    <method>[-<where>]_<teacher>_<student>_<gpus>xb<samples>-<length>_<dataset>[-<size>]
    cwd-logits_pspnet-r101_pspnet-r18_4xb2-80k_cityscapes-512x1024

``<length>`` is a number and a unit: ``80k`` iterations in thousands, ``600i``
iterations, ``12e`` epochs, ``1x`` the schedule of 12 epochs. Several methods and
several teachers are joined by ``+``. The file lies in a folder named after the (first)
method.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mmkd_ext.errors import ConfigError, Problem

if TYPE_CHECKING:
    from os import PathLike

__all__ = ['ConfigName', 'batch_of_name', 'name_problems', 'parse_name']

GRAMMAR = (
    '<method>[-<where>]_<teacher>_<student>_<gpus>xb<samples>-<length>_'
    '<dataset>[-<size>]'
)

_WORDS = re.compile(r'[a-z0-9.+]+(-[a-z0-9.+]+)*')
_SETTING = re.compile(r'(\d+)xb(\d+)-(\d+)([kiex])')
_BATCH = re.compile(r'(?:^|_)(\d+)xb(\d+)(?=[-_]|$)')
_UNITS = {
    'k': ('max_iters', 1000),
    'i': ('max_iters', 1),
    'e': ('max_epochs', 1),
    'x': ('max_epochs', 12),
}


@dataclass(frozen=True)
class ConfigName:
    """The parts of a config's name.

    Args:
        gpus: Number of GPUs that the learning rate was made for.
        samples: Samples on each GPU.
        limit: Key of `train_cfg` that holds the length.
    """

    method: str
    teacher: str
    student: str
    gpus: int
    samples: int
    limit: str
    length: int
    dataset: str

    @property
    def folder(self) -> str:
        """Name of the folder it belongs in; of several methods, the first one's."""
        return re.split('[-+]', self.method)[0]


def parse_name(path: str | PathLike[str]) -> ConfigName:
    """Reads the name of a config file.

    Raises:
        ConfigError: The name does not follow the grammar; says which part.

    Examples:
        >>> parse_name('cwd-logits_pspnet-r101_pspnet-r18_4xb2-80k_camvid.py').length
        80000
    """
    stem = PurePath(path).stem
    parts = stem.split('_')
    if len(parts) != 5:
        raise ConfigError(
            f'name {stem!r} has {len(parts)} parts joined by `_`, but 5 '
            f'are needed: {GRAMMAR}.'
        )
    for part in parts:
        if not _WORDS.fullmatch(part):
            raise ConfigError(
                f'name {stem!r}: part {part!r} must be small letters, '
                'digits, `.` and `+`, words joined by `-`.'
            )
    method, teacher, student, setting, dataset = parts
    match = _SETTING.fullmatch(setting)
    if match is None:
        raise ConfigError(
            f'name {stem!r}: part {setting!r} must be '
            '`<gpus>xb<samples>-<length>`, as `4xb2-80k`, `1xb8-600i`, '
            '`8xb2-12e` or `8xb2-1x`.'
        )
    gpus, samples, count = (int(match[i]) for i in (1, 2, 3))
    limit, factor = _UNITS[match[4]]
    length = count * factor
    return ConfigName(method, teacher, student, gpus, samples, limit, length, dataset)


def batch_of_name(path: str | PathLike[str] | None) -> tuple[int, int] | None:
    """Returns GPUs and samples a GPU that any OpenMMLab name says, else None.

    Examples:
        >>> batch_of_name('pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')
        (4, 2)
    """
    match = _BATCH.search(PurePath(path).stem) if path else None
    return (int(match[1]), int(match[2])) if match else None


def name_problems(
    path: str | PathLike[str], config: Mapping[str, Any]
) -> list[Problem]:
    """Compares the name of a config of ``configs/distill`` with what it holds.

    Returns:
        What does not agree; nothing for files that lie elsewhere.
    """
    folders = PurePath(path).parts[:-1]
    # other packages name their configs as they like
    foreign = '.mim' in folders and 'mmkd_ext' not in folders
    if foreign or 'distill' not in folders or 'configs' not in folders:
        return []
    try:
        name = parse_name(path)
    except ConfigError as error:
        return [Problem('name', str(error))]
    problems = []
    if folders[-1] != name.folder:
        hint = f'Put it into {name.folder!r}, named after its method.'
        problems.append(Problem('name', f'lies in the folder {folders[-1]!r}.', hint))
    for part, key, named in (
        ('train_dataloader', 'batch_size', name.samples),
        ('train_cfg', name.limit, name.length),
    ):
        value = (config.get(part) or {}).get(key)
        if value is not None and value != named:
            found = f'is {value}, but the name says {named}.'
            problems.append(Problem(f'{part}.{key}', found))
    return problems
