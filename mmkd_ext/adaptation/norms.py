"""Batch normalisation at test time: which statistics it uses, and recording them."""

from __future__ import annotations

import warnings
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_ext.adaptation.channel_moments import Statistics, channel_moments
from mmkd_ext.adaptation.trainable import NORMS
from mmkd_ext.errors import ConfigError, check_choice, check_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    'AdaptiveBatchNorm',
    'NormRecorder',
    'Statistics',
    'batch_norms',
    'copy_adaptive_norms',
    'learning',
    'require_batch_norm',
    'use_adaptive_norms',
]

_FEATURES = ('input', 'output')


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Returns the batch normalisation layers with statistics, SyncBN too, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def require_batch_norm(model: nn.Module, method: str) -> int:
    """Returns the number of batch normalisation layers; warns where they are few.

    Args:
        model: The student.
        method: Who needs them, for messages.

    Raises:
        ConfigError: There are none.
    """
    found = len(batch_norms(model))
    others = sum(isinstance(module, NORMS) for module in model.modules()) - found
    if not found:
        raise ConfigError(
            f'`{method}` works on batch normalisation, but the network has none '
            f'({others} normalisation layers of other kinds). Use a network with '
            'batch normalisation, or a method that needs none, such as '
            "`TentDistiller(statistics='source')` or `CoTTADistiller`."
        )
    if found < others:
        text = (
            f'`{method}` acts on batch normalisation, of which the network has '
            f'{found} layer(s) beside {others} of other kinds: it changes little.'
        )
        warnings.warn(text, stacklevel=2)
        print_log(text, logger='current', level=30)
    return found


class AdaptiveBatchNorm(_BatchNorm):
    r"""Batch normalisation whose statistics are mixed with those of the batch.

    .. math::
        \mu = (1 - m)\, \mu_{run} + m\, \mu_{batch}, \qquad
        \sigma^2 = (1 - m)\, \sigma^2_{run} + m\, \sigma^2_{batch}

    It has the names of the layer that it replaces, so state dicts fit both ways.
    Variances are biased, as batch normalisation uses them in training. Where a map
    has one value a channel (a pooled 1 x 1 map of one image) the batch has no
    variance, and the running statistics are used.

    Args:
        norm: The layer to replace; weights and buffers are shared with it.
        momentum: Weight `m` of the batch's statistics, `mixing` in configs: 0 is the
            source, 1 uses the batch alone.
        keep: Whether the mixture becomes the running statistics, while `learning`.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, norm: _BatchNorm, momentum: float, *, keep: bool = False
    ) -> None:
        super().__init__(norm.num_features, norm.eps, momentum, affine=False)
        self.affine = norm.affine
        self.weight, self.bias = norm.weight, norm.bias
        for name in ('running_mean', 'running_var', 'num_batches_tracked'):
            setattr(self, name, getattr(norm, name))
        self.momentum: float = momentum
        self.keep = keep
        #: Told each input and its statistics, see `NormRecorder`.
        self.listener: Callable[[Tensor, Statistics], None] | None = None
        self.learning = False
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``(n c ...)``."""
        keeps = self.keep and self.learning
        if self.momentum == 1 and not keeps and x.numel() > x.size(1):
            # the same by one fused call
            if self.listener is not None:
                self.listener(x, channel_moments(x))
            return F.batch_norm(
                x, None, None, self.weight, self.bias, True, 0.0, self.eps
            )
        mean, var = self.running_mean, self.running_var
        alone = self.momentum == 0 or x.numel() == x.size(1)
        if not alone or self.listener is not None:
            batch = channel_moments(x)
            if self.listener is not None:
                self.listener(x, batch)
            if not alone:
                mean, var = batch
            if not alone and self.momentum != 1:
                mean = self.running_mean.lerp(batch.mean, self.momentum)
                var = self.running_var.lerp(batch.var, self.momentum)
        if keeps:
            with torch.no_grad():
                self.running_mean.copy_(mean)
                self.running_var.copy_(var)
        if mean.requires_grad:
            # `F.batch_norm` treats given statistics as constants
            scale = (var + self.eps).rsqrt()
            if self.affine:
                scale = scale * self.weight
            shift = -mean * scale
            if self.affine:
                shift = shift + self.bias
            shape = (1, -1, *[1] * (x.dim() - 2))
            return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(x.dtype)
        # buffers that will be overwritten must not be what backward remembers
        if mean is self.running_mean and self.keep:
            mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)

    def extra_repr(self) -> str:
        """Returns which statistics are used."""
        return f'{self.num_features}, momentum={self.momentum}, keep={self.keep}'

    def _check_input_dim(self, x: Tensor) -> None:
        del x


def use_adaptive_norms(
    model: nn.Module, momentum: float, *, keep: bool = False
) -> dict[str, AdaptiveBatchNorm]:
    """Replaces the batch normalisation of a model, in place; returns the new layers.

    Args:
        model: The student.
        momentum: See `AdaptiveBatchNorm`.
        keep: Likewise.
    """
    check_range('mixing', momentum, ge=0, le=1)
    replaced = {
        name: AdaptiveBatchNorm(norm, momentum, keep=keep)
        for name, norm in batch_norms(model).items()
    }
    _replace(model, replaced)
    return replaced


def copy_adaptive_norms(student: nn.Module, model: nn.Module) -> None:
    """Normalises a twin of the student as the student is, in place.

    The twin has statistics of its own, and keeps none of a batch.

    Args:
        student: Some of its layers may be `AdaptiveBatchNorm`.
        model: Of the same architecture, without them.
    """
    norms = batch_norms(model)
    momenta = {
        name: norm.momentum
        for name, norm in student.named_modules()
        if isinstance(norm, AdaptiveBatchNorm)
    }
    _replace(
        model, {name: AdaptiveBatchNorm(norms[name], m) for name, m in momenta.items()}
    )


def _replace(model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    for name, layer in layers.items():
        parent, _, own = name.rpartition('.')
        setattr(model.get_submodule(parent), own, layer)


@contextmanager
def learning(model: nn.Module) -> Iterator[None]:
    """Makes `AdaptiveBatchNorm` layers keep the mixed statistics in the block."""
    norms = [m for m in model.modules() if isinstance(m, AdaptiveBatchNorm)]
    for norm in norms:
        norm.learning = True
    try:
        yield
    finally:
        for norm in norms:
            norm.learning = False


class NormRecorder:
    """Records the statistics at each batch normalisation layer of a model.

    All passes of a block count as if they were one batch: views of several sizes and
    sliding windows make one mean and one variance of each channel. Gradients reach what
    was recorded. Hooks are in place during `recording` only.

    Args:
        feature: ``'input'`` of the layer, or its ``'output'``.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm2d(1)).eval()
        >>> recorder = NormRecorder()
        >>> with recorder.recording(net):
        ...     _ = net(torch.zeros(1, 1, 1, 3)), net(torch.ones(1, 1, 1, 1))
        >>> [value.item() for value in recorder.statistics['0']]
        [0.25, 0.1875]
    """

    def __init__(self, feature: str = 'input') -> None:
        check_choice('feature', feature, _FEATURES)
        self.feature = feature
        self.statistics: dict[str, Statistics] = {}
        self._counts: dict[str, int] = {}

    @contextmanager
    def recording(self, model: nn.Module) -> Iterator[NormRecorder]:
        """Records what happens in the block, and nothing of what was before."""
        self.statistics, self._counts = {}, {}
        with ExitStack() as stack:
            for name, norm in batch_norms(model).items():
                if isinstance(norm, AdaptiveBatchNorm) and self.feature == 'input':
                    # it has them anyway
                    norm.listener = partial(self._pool, name)
                    stack.callback(setattr, norm, 'listener', None)
                else:
                    hook = norm.register_forward_hook(partial(self._hook, name))
                    stack.callback(hook.remove)
            yield self

    def _hook(
        self, name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> None:
        del module
        # activations that follow overwrite the output, which backward needs
        x = inputs[0] if self.feature == 'input' else output.clone()
        self._pool(name, x, channel_moments(x))

    def _pool(self, name: str, x: Tensor, statistics: Statistics) -> None:
        """Pools the statistics of an input with those of the passes before."""
        count = x.numel() // x.size(1)
        before = self._counts.get(name, 0)
        if before:
            share = count / (before + count)
            statistics = _pooled(self.statistics[name], statistics, share)
        self.statistics[name] = statistics
        self._counts[name] = before + count


def _pooled(first: Statistics, second: Statistics, share: float) -> Statistics:
    """Returns the statistics of a union in which the second has a share."""
    mean = first.mean.lerp(second.mean, share)
    between = share * (1 - share) * (second.mean - first.mean).square()
    return Statistics(mean, first.var.lerp(second.var, share) + between)
