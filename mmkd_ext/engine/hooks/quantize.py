"""A hook that says when a `Quantized` student computes on integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_ext.errors import ConfigError, check_integer
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ['QuantizeHook']


@HOOKS.register_module()
class QuantizeHook(Hook):
    """Schedules the quantisation of ``mmkd_ext.Quantized`` in a training.

    Without it a student is quantised from the first step to the last. With `start` at
    0, `freeze_norms` at 0 and a learning rate of 0, a training of some batches is the
    calibration of a trained student: quantisation after training.

    Args:
        start: Iteration from which it computes on quantised numbers.
        freeze: Iteration from which observed ranges stay as they are; None for never.
        freeze_norms: Iteration from which batch norms use and keep their running
            statistics; None for that of `freeze`.
    """

    # after whatever else has put the model into training mode
    priority = 'LOW'

    def __init__(
        self, start: int = 0, freeze: int | None = None, freeze_norms: int | None = None
    ) -> None:
        check_integer('start', start, ge=0)
        for name, value in {'freeze': freeze, 'freeze_norms': freeze_norms}.items():
            if value is not None:
                check_integer(name, value, ge=0)
        if freeze is not None and freeze <= start:
            raise ConfigError(
                f'`freeze` must be greater than `start`, but they are {freeze} and '
                f'{start}: no range would be seen.'
            )
        self.start, self.freeze = start, freeze
        self.freeze_norms = freeze if freeze_norms is None else freeze_norms

    def before_train(self, runner: Runner) -> None:
        """Raises `ConfigError` where nothing is quantised."""
        if not _layers(runner.model):
            raise ConfigError(
                '`QuantizeHook` finds nothing quantised: write architecture='
                "dict(type='mmkd_ext.Quantized', model=...), or take the hook away."
            )

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Sets what the step does."""
        step = runner.iter
        observing = self.start <= step < (self.freeze or step + 1)
        for layer in _layers(runner.model).values():
            layer.observing = observing
        if self.freeze_norms is not None and step >= self.freeze_norms:
            for module in runner.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()


def _layers(model: Any) -> dict[str, Any]:
    # imported here, since it brings mmrazor
    from mmkd_ext.algorithms.quantized import quantized_layers

    return dict(quantized_layers(model))
