"""The teacher of a distillation: its weights, mode, input, and where its pass stops."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

import torch
from mmengine.logging import print_log

from mmkd_ext.algorithms.preprocess import (
    InputStats,
    Renormalize,
    pad_batch,
    padding_divisor,
    preprocessor_of,
)
from mmkd_ext.checkpoint import LoadReport, load_weights
from mmkd_ext.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from mmkd_ext.distillers.taps import Recorder

__all__ = ['Teacher']


class Teacher:
    """A frozen model that is asked for features.

    It is no `nn.Module`, so it stays out of the student's state dict, optimizer and
    DDP buckets, and copies of the student (as `EMAHook` makes) share it.

    Args:
        name: Its name in links.
        module: The model. It is put into eval mode, with dropout and drop path off,
            and its parameters are frozen.
        checkpoint: File or URL of its weights; read when they are first needed.
        min_matched: Least share of its parameters that the file must fill.
        weight: Factor on the losses that ask it.
        renormalize: Maps the student's input to its own.
        own_input: Whether its input is made as its own preprocessor makes it, padding
            included; False to feed it the student's.

    Raises:
        ConfigError: ``checkpoint`` names a file that is not there.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        checkpoint: str | None = None,
        min_matched: float = 0.5,
        weight: float = 1.0,
        renormalize: Renormalize | None = None,
        own_input: bool = True,
    ) -> None:
        self.name = name
        self.module = module.eval().requires_grad_(False)
        self.checkpoint = checkpoint
        self.min_matched = min_matched
        self.weight = weight
        self.renormalize = renormalize
        own = preprocessor_of(self.module)
        stats = InputStats.of(own) if own_input else None
        self.preprocessor = None if stats is None else own
        self.padding = 0.0 if stats is None else stats.pad
        self.own_input = own_input
        self.divisor = padding_divisor(self.module) if own_input else 1
        self.mode = 'tensor'
        self.report: LoadReport | None = None
        self._ready = checkpoint is None
        if (
            checkpoint is not None
            and '://' not in checkpoint
            and not os.path.isfile(checkpoint)
        ):
            raise ConfigError(
                f'the checkpoint of `{name}` is missing: there is no file '
                f'{checkpoint!r}.'
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        return self

    @property
    def is_ready(self) -> bool:
        """Whether it has the weights of its checkpoint."""
        return self._ready

    def initialize(self) -> None:
        """Reads its checkpoint; without one, does what its own config says."""
        if self.checkpoint is None:
            initialize: Callable[[], None] = self.module.init_weights  # type: ignore[assignment]
            initialize()
            print_log(
                f'Teacher `{self.name}` has no checkpoint; unless it came trained '
                'or its `init_cfg` loads weights, it knows nothing.',
                logger='current',
            )
        self.load()

    def load(self) -> None:
        """Fills it from its checkpoint, once."""
        if self._ready:
            return
        self.report = load_weights(
            self.module,
            str(self.checkpoint),
            role='teacher',
            min_matched=self.min_matched,
            logger='current',
        )
        # a later init_weights() must not undo this
        vars(self.module)['_is_init'] = True
        self._ready = True

    def keep_preprocessor(self, student: Any) -> None:
        """Takes its own preprocessor back, should something have replaced it.

        MMRazor's validation loop gives teachers the student's.

        Args:
            student: The student's preprocessor, on whose device it is to be.
        """
        if self.preprocessor is None or self.preprocessor is student:
            return
        if preprocessor_of(self.module) is not self.preprocessor:
            self.module.data_preprocessor = self.preprocessor
        self.preprocessor.to(getattr(student, 'device', 'cpu'))

    def run(self, recorder: Recorder, inputs: Any, data_samples: Any) -> None:
        """Records what the links ask, as far as the last tap, without gradients."""
        self.load()
        if self.module.training:
            self.module.eval()
        size = padded = inputs.shape[2:]
        with torch.no_grad(), recorder.recording(self.module, stop=True):
            if not recorder.needed:
                return
            if self.renormalize is not None:
                inputs = self.renormalize(inputs, data_samples)
            inputs, data_samples = pad_batch(
                inputs, data_samples, self.divisor, self.padding
            )
            padded = inputs.shape[2:]
            self.module(inputs, data_samples, mode=self.mode)
        if padded != size:
            recorder.crop(padded, size, len(inputs))

    @classmethod
    def renormalization(
        cls, module: nn.Module, student: nn.Module, config: Any, path: str
    ) -> Renormalize | None:
        """Plans how the student's batch becomes this teacher's input.

        Args:
            module: The teacher.
            student: The student, or the algorithm around it.
            config: None to read the teacher's own preprocessor; False to feed it the
                student's batch as it is; or ``dict(mean=..., std=...)``.
            path: Config path of ``config``, for messages.
        """
        if config is False:
            return None
        source = InputStats.of(preprocessor_of(student))
        target = (
            InputStats.of(preprocessor_of(module))
            if config is None
            else InputStats.from_config(config, path)
        )
        if source is None or target is None:
            return None
        plan = Renormalize(source, target)
        return None if plan.is_identity else plan
