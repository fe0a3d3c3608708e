"""A teacher whose values were stored: it has no modules and never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mmkd_ext.datasets.augmentations import rows_of
from mmkd_ext.errors import DataError

if TYPE_CHECKING:
    from torch import nn

    from mmkd_ext.algorithms.teacher import Renormalize
    from mmkd_ext.checkpoint import LoadReport
    from mmkd_ext.distillers.store import TeacherStore
    from mmkd_ext.distillers.taps import Recorder

__all__ = ['StoredTeacher']


class StoredTeacher:
    """Fills the taps of a teacher from a store; see `Teacher` for what it stands for.

    Args:
        name: Its name in links.
        store: The store.
        weight: Factor on the losses of the links that tap it.
    """

    #: There is none, nor anything that belongs to it.
    module: nn.Module | None = None
    learns = False
    checkpoint: str | None = None
    report: LoadReport | None = None
    renormalize: Renormalize | None = None
    mode = 'stored'

    def __init__(self, name: str, store: TeacherStore, weight: float = 1.0) -> None:
        self.name, self.store, self.weight = name, store, weight

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredTeacher:
        return self

    def load(self) -> None:
        """Has nothing to load."""

    def run(self, recorder: Recorder, inputs: Any, data_samples: Any) -> None:
        """Gives a recorder what was stored for the samples of a batch."""
        size = tuple(inputs.shape[2:])
        if size != self.store.input_size:
            raise DataError(
                f'The pictures are {size[0]} x {size[1]}, but the teacher of '
                f'{str(self.store.folder)!r} saw {self.store.input_size}.'
            )
        values = self.store.values(recorder.taps, rows_of(data_samples))
        recorder.give(values, inputs.device)

    def run_blank(self, recorder: Recorder) -> None:
        """Gives a recorder values of the right shapes, for one picture."""
        recorder.give(self.store.values(recorder.taps, [0]), torch.device('cpu'))
