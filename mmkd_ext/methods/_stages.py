"""What a second stage of training takes over from the first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config

from mmkd_ext.checkpoint import latest_checkpoint
from mmkd_ext.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['differ', 'stage_one_file']


def stage_one_file(
    checkpoint: str | None, stage_one: str | None, *, who: str, what: str
) -> str:
    """Returns the checkpoint of stage one.

    Args:
        checkpoint: The file, or the folder of its run; None to look where `stage_one`
            writes.
        stage_one: Config of stage one.
        who: Name of the module that needs it, for the message.
        what: What stage one trains.

    Raises:
        CheckpointError: There is none.
    """
    places = _folders_of(str(stage_one)) if checkpoint is None else [checkpoint]
    for place in places:
        if '://' in place or os.path.isfile(place):
            return place
        checkpoint_file = latest_checkpoint(place)
        if checkpoint_file is not None:
            return checkpoint_file
    run = f': `python tools/train.py {stage_one}`' if stage_one else ''
    looked = ' or '.join(repr(os.path.abspath(place)) for place in places)
    raise CheckpointError(
        f'`{who}` finds no checkpoint of stage one in {looked}. Train the '
        f'{what} first{run}. If its result is elsewhere, set `checkpoint` to the '
        'file or to the folder of the run.'
    )


def _folders_of(stage_one: str) -> list[str]:
    """Returns where a training of a config may have written.

    That is its `work_dir`, else ``work_dirs/<its name>`` in the working folder, or in
    the folder in which ``configs`` lies, from where it may have been started.
    """
    config = Path(stage_one)
    usual = Path('work_dirs', config.stem)
    folders = [usual]
    if config.is_file():
        own = Config.fromfile(config).get('work_dir')
        if own is not None:
            return [str(own)]
        roots = [up.parent for up in config.resolve().parents if up.name == 'configs']
        folders += [root / usual for root in roots]
    return list(dict.fromkeys(str(folder) for folder in folders))


def differ(one: Tensor | None, other: Tensor) -> bool:
    """Whether two known fingerprints are of different teachers."""
    if one is None or not one.any() or not other.any():
        return False
    return not torch.equal(one.cpu(), other.cpu())
