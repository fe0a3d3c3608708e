"""Checks of the folders and files of a data set."""

from __future__ import annotations

import os
from typing import Any

from mmkd_ext.errors import DataError


def check_folder(dataset: Any, folder: str) -> None:
    """Raises `DataError` unless ``folder`` exists; names the part that is missing."""
    if os.path.isdir(folder):
        return
    there = os.path.abspath(folder)
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    inside = ', '.join(sorted(os.listdir(there))[:8]) or 'nothing'
    raise DataError(
        f'{type(dataset).__name__}: folder `{folder}` does not exist; `{there}` does, '
        f'and holds {inside}. Set `data_root` to where the data set lies.'
    )


def check_file(dataset: Any, path: str, purpose: str) -> None:
    """Raises `DataError` unless the file ``path`` exists."""
    if not os.path.isfile(path):
        raise DataError(
            f'{type(dataset).__name__}: {purpose} `{path}` does not exist. Set '
            f'`data_root` to where the data set lies, and check the name.'
        )


def check_pictures(dataset: Any, found: list[dict[str, Any]]) -> None:
    """Raises `DataError` unless at least one picture was found."""
    if not found:
        raise DataError(
            f'{type(dataset).__name__}: no picture ends in `{dataset.img_suffix}` '
            f'below `{dataset.data_prefix["img_path"]}`. Check `data_root`, '
            f'`data_prefix` and `img_suffix`.'
        )
