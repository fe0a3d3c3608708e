"""A hook that stops, skips or warns when a loss is not finite."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmkd_ext.errors import ConfigError, NonFiniteError, check_choice, check_integer
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import nn

__all__ = ['FiniteLossHook']

_ACTIONS = ('stop', 'skip', 'warn')


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Checks that every loss is finite and names the terms that are not.

    It runs between the forward and the backward pass, so with ``'stop'`` and
    ``'skip'`` no weight is updated with a bad gradient. All processes of a run
    decide alike.

    Args:
        action: ``'stop'`` raises `NonFiniteError` with the values of all terms.
            ``'skip'`` leaves the batch out: no weight, no optimizer state and no
            buffer (running statistics, memories; not what counts draws) changes,
            which costs one copy of the buffers a step; with gradient accumulation
            the other batches still count.
            ``'warn'`` logs and goes on.
        max_skips: Number of consecutive batches that may be skipped before ``'skip'``
            stops as well: a model whose weights are NaN never recovers.
    """

    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'stop', max_skips: int = 10) -> None:
        check_choice('action', action, _ACTIONS)
        check_integer('max_skips', max_skips, ge=1)
        self.action = action
        self.max_skips = max_skips
        self._skipping = False
        self._in_a_row = 0
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._undo = ExitStack()

    def before_train(self, runner: Runner) -> None:
        """Installs the check between forward and backward."""
        self._remove()
        model = _unwrap(runner.model)
        self._wrap(model, 'parse_losses', functools.partial(self._parse, runner))
        if self.action == 'skip':
            wrapper = runner.optim_wrapper
            if not isinstance(wrapper, OptimWrapper):
                raise ConfigError(
                    "`FiniteLossHook(action='skip')` works with one optimizer, but "
                    f'found `{type(wrapper).__name__}`. Use `stop` or `warn`.'
                )
            self._contributed = False
            self._wrap(
                wrapper, 'update_params', functools.partial(self._update, wrapper)
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Remembers the buffers, in case the step is skipped."""
        del batch_idx, data_batch
        self._skipping = False
        if self.action == 'skip':
            buffers = _protected_buffers(_unwrap(runner.model))
            self._buffers = [(b, b.detach().clone()) for b in buffers]

    def after_train(self, runner: Runner) -> None:
        """Removes the check."""
        del runner
        self._remove()

    def _wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Replaces a method of one object; `_remove` puts it back."""
        inner = getattr(owner, name)
        own = vars(owner).get(name)

        # a plain function: copying the model must not copy hook and runner with it
        def outer(*args: Any, **kwargs: Any) -> Any:
            return around(inner, *args, **kwargs)

        setattr(owner, name, outer)
        if own is None:
            self._undo.callback(delattr, owner, name)
        else:
            self._undo.callback(setattr, owner, name, own)

    def _remove(self) -> None:
        """Removes everything that was installed."""
        self._undo.close()
        self._buffers = []

    def _parse(
        self, runner: Runner, inner: Callable[..., Any], losses: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Parses the losses as the model does, and checks them."""
        total, log_vars = inner(losses)
        terms = {
            name: value.detach()
            for name, value in log_vars.items()
            if 'loss' in name and name != 'loss' and isinstance(value, Tensor)
        } or {'loss': total.detach()}
        if _finite_everywhere([*terms.values(), total.detach()]):
            self._in_a_row = 0
            return total, log_vars
        message = _describe(runner.iter, terms)
        if self.action == 'warn':
            runner.logger.warning(f'{message} Training continues: `action` is `warn`.')
            return total, log_vars
        self._in_a_row += 1
        if self.action == 'stop' or self._in_a_row > self.max_skips:
            self._remove()
            if self.action == 'skip':
                message += f' {self.max_skips} batches before it were skipped.'
            raise NonFiniteError(f'{message} {_ADVICE}')
        runner.logger.warning(f'{message} The batch is skipped.')
        skipped = runner.message_hub.runtime_info.get('skipped_batches', 0)
        runner.message_hub.update_info('skipped_batches', skipped + 1)
        self._skipping = True
        # nothing to log: one NaN would blot out the smoothed losses of many steps
        return total, {}

    def _update(
        self,
        wrapper: OptimWrapper,
        inner: Callable[..., Any],
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Updates the weights, unless the batch is to be skipped."""
        if not self._skipping:
            self._contributed = True
            inner(loss, step_kwargs=step_kwargs, zero_kwargs=zero_kwargs)
        else:
            for buffer, before in self._buffers:
                buffer.copy_(before)
            wrapper._inner_count += 1  # as `backward` would have
            if wrapper.should_update() and self._contributed:
                _average_gradients(wrapper)
                wrapper.step(**(step_kwargs or {}))
                wrapper.zero_grad(**(zero_kwargs or {}))
        if wrapper.should_update():
            self._contributed = False


_ADVICE = (
    'Look at the learning rate and its warm-up, gradient clipping, the loss weights, '
    "and the batch itself. `FiniteLossHook(action='skip')` leaves single bad batches "
    'out.'
)


def _unwrap(model: nn.Module) -> nn.Module:
    """Returns the model inside DistributedDataParallel."""
    inner = model.module if is_model_wrapper(model) else model
    return cast('nn.Module', inner)


def _protected_buffers(model: nn.Module) -> Iterator[Tensor]:
    """Yields the buffers that a skipped batch must not change.

    A module's `only_forward` names those that count what has been drawn or done: set
    back, a resumed run would draw the same numbers once more.
    """
    for module in model.modules():
        ahead = getattr(module, 'only_forward', ())
        for name, buffer in module.named_buffers(recurse=False):
            if name not in ahead:
                yield buffer


def _finite_everywhere(values: list[Tensor]) -> bool:
    """Whether all values are finite on all processes; waits for the device once."""
    stacked = torch.stack([value.float().mean() for value in values])
    flag = stacked.isfinite().all().float()
    if get_world_size() > 1:
        all_reduce(flag, op='min')
    return bool(flag.item())


def _describe(iteration: int, terms: dict[str, Tensor]) -> str:
    """Names the bad terms, with the values of all; asks the other processes too."""
    mine = {name: value.float().mean().item() for name, value in terms.items()}
    everyone = [mine]
    if get_world_size() > 1:
        everyone = all_gather_object(mine)
    lines = []
    for rank, values in enumerate(everyone):
        bad = [f'`{k}` is {v}' for k, v in values.items() if not math.isfinite(v)]
        if bad:
            where = f'on process {rank} ' if len(everyone) > 1 else ''
            shown = ', '.join(f'{name} = {value:.6g}' for name, value in values.items())
            lines.append(f'{where}{", ".join(bad)} (all terms: {shown})')
    what = '; '.join(lines) or f'the sum of the terms {mine} is not finite'
    return f'Iteration {iteration + 1}: {what}.'


def _average_gradients(wrapper: OptimWrapper) -> None:
    """Averages gradients over the processes.

    The batches before the skipped one were accumulated without it, since
    DistributedDataParallel averages in the last backward pass, which did not happen.
    """
    size = get_world_size()
    if size == 1:
        return
    groups = list(wrapper.optimizer.param_groups)
    if hasattr(wrapper, 'discriminator'):
        # the optimizer beside it, of `AdversarialOptimWrapperConstructor`
        groups += wrapper.discriminator.optimizer.param_groups
    for group in groups:
        for parameter in group['params']:
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            all_reduce(parameter.grad, op='sum')
            parameter.grad.div_(size)
