"""A teacher that learns beside the student: joint training and mutual learning."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.algorithms.teacher import Teacher
from mmkd_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from mmkd_ext.distillers.taps import Recorder

__all__ = ['Peer']


class Peer(Teacher):
    """A teacher that is trained on the task itself, in the student's mode.

    Its module is also a module of the algorithm, so it is in checkpoints, in the
    optimizer and in DDP's buckets. It gets the student's pictures in its own
    normalisation, but in the student's padding, where its labels lie.

    Args:
        name: Its name in links.
        module: The model. Parameters that it has frozen stay so.
        optimizer: What its optimizer has otherwise than the student's, such as
            ``dict(lr=0.01)``; all but the type.
        path: Its config path, for messages.
        **teacher: Those of `Teacher`.

    Raises:
        ConfigError: ``optimizer`` is no such dict, or there is a `precision` or an
            `input`.
    """

    learns: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        optimizer: Mapping[str, Any] | None = None,
        path: str = '',
        **teacher: Any,
    ) -> None:
        self.optimizer = {} if optimizer is None else optimizer
        if not isinstance(self.optimizer, Mapping) or 'type' in self.optimizer:
            what = f'must be a dict without `type`, but is {optimizer!r}.'
            hint = 'All models have one type of optimizer, that of `optim_wrapper`.'
            raise ConfigError.at(f'{path}.optimizer', what, hint)
        for key, hint in {
            'precision': 'Students have the one of `optim_wrapper`.',
            'input': 'Students see the pictures that their labels are of.',
        }.items():
            if teacher.get(key) is not None:
                raise ConfigError.at(f'{path}.{key}', 'is for a frozen teacher.', hint)
        trained = [p for p in module.parameters() if p.requires_grad]
        super().__init__(name, module, **teacher)
        for parameter in trained:
            parameter.requires_grad_(True)
        self.divisor = 1

    def initialize(self) -> None:
        """Initialises it as its config says, and loads its checkpoint."""
        initialize: Callable[[], None] = self.module.init_weights  # type: ignore[assignment]
        initialize()
        self.load()

    def find_divisor(self, recorder: Recorder, size: tuple[int, int]) -> None:
        """Finds nothing: its pictures are padded as the student's are."""

    def learn(
        self, recorder: Recorder | None, inputs: Tensor, data_samples: Any
    ) -> dict[str, Any]:
        """Records what the links tap, and returns its task losses by name.

        Args:
            recorder: None where no link taps it.
            inputs: The student's normalised batch ``(n c h w)``.
            data_samples: Its samples.
        """
        if self.renormalize is not None:
            inputs = self.renormalize(inputs, data_samples)
        with recorder.recording(self.module) if recorder else nullcontext():
            losses = self.module(inputs, data_samples, mode='loss')
        return {f'{self.name}.{name}': value for name, value in losses.items()}
