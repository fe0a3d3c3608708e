r"""A student in fake int8: it trains as it will run on integers.

``dict(type='mmkd_ext.Quantized', model=<student>)`` in place of a student builds that
student with each ``nn.Conv2d`` and ``nn.Linear`` computing on quantised numbers:
weights per output channel, symmetric; their input per tensor, affine,

.. math:: \hat w = s_c \operatorname{round}(w / s_c), \; s_c = \max |w_c| / 127, \qquad
    \hat x = s (\operatorname{clamp}(\operatorname{round}(x / s) + z, 0, 255) - z)

with gradients straight through the rounding. Names of modules and parameters stay, so
links, checkpoints of the float student and `paramwise_cfg` fit; each layer gets an
``input_range``, the least and the greatest input. It is a moving average of what was
seen in training, or learned with the weights as in Learned Step Size Quantization,
ICLR 2020, `arXiv 1902.08153 <https://arxiv.org/abs/1902.08153>`_ (its gradient scale,
section 2.2). A layer whose range is still zero computes in float.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

from mmkd_ext.algorithms.sources import build_model, hand_preprocessor
from mmkd_ext.errors import ConfigError, check_choice, check_range, did_you_mean
from mmkd_ext.registry import MODELS

__all__ = ['Quantized', 'QuantizedLayer', 'fixed', 'quantized_layers']

_LEVELS = 255
_LARGEST = 127
_RANGES = ('observed', 'learned')


class QuantizedLayer(nn.Module):
    """What `Quantized` adds to a convolution or linear layer.

    Attributes:
        input_range: Least and greatest input ``(2)``; zeros before any was seen.
        observing: Whether training moves an observed range.
        decay: What a step keeps of an observed range.
        constants: Scale and zero point of input and weights, once `fixed`.
    """

    input_range: Tensor
    weight: Tensor
    bias: Tensor | None
    observing = True
    decay = 0.99
    constants: tuple[Tensor, ...] | None = None

    def quantized(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns input and weight as integers would be, in float32."""
        if self.constants is None:
            if self.training and self.observing:
                self._observe(x.detach())
            if not self.input_range.any():
                return x, weight
            if isinstance(self.input_range, nn.Parameter):
                return self._learned(x.float()), _per_channel(weight, *_scales(weight))
        scale, zero, *weights = self.constants or self.measured()
        x = torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, _LEVELS)
        return x, _per_channel(weight, *weights)

    def measured(self) -> tuple[Tensor, ...]:
        """Returns scale and zero point of the input, then of the weights."""
        scale, zero = _affine(*self.input_range.detach())
        return scale, zero.round().int(), *_scales(self.weight)

    def _observe(self, x: Tensor) -> None:
        """Moves the range; a learned one is only set, by the first batch."""
        known = self.input_range.data
        unset = not known.any()
        if not unset and isinstance(self.input_range, nn.Parameter):
            return
        ends = torch.stack(x.aminmax()).to(self.input_range)
        if get_world_size() > 1:
            outwards = ends * ends.new_tensor([-1, 1])
            all_reduce(outwards, 'max')
            ends = outwards * ends.new_tensor([-1, 1])
        known.lerp_(ends, 1 if unset else 1 - self.decay)

    def _learned(self, x: Tensor) -> Tensor:
        """Quantises so that gradients reach the range."""
        factor = (x.numel() * _LEVELS) ** -0.5
        ends = self.input_range * factor
        scale, zero = _affine(*(ends + (self.input_range - ends).detach()))
        zero = _round(zero)
        return ((_round(x / scale) + zero).clamp(0, _LEVELS) - zero) * scale


class _QuantizedConv(QuantizedLayer):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = super()._conv_forward(*self.quantized(x, weight), bias)  # type: ignore[misc]
        return y


class _QuantizedLinear(QuantizedLayer):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(*self.quantized(x, self.weight), self.bias)


@MODELS.register_module()
def Quantized(
    model: Any,
    *,
    ranges: str = 'observed',
    skip: Sequence[str] = (),
    decay: float = 0.99,
    data_preprocessor: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Builds a model, and quantises its convolutions and linear layers.

    Layers that compute otherwise (deformable or transposed convolutions, what
    ``nn.MultiheadAttention`` does with its weights) stay in float, as does all between
    layers. `mmkd_ext.QuantizeHook` says when quantising begins and ranges are kept.

    Args:
        model: The student, as `architecture` takes it.
        ranges: ``'observed'`` or ``'learned'``.
        skip: Names of modules that stay in float, with all in them.
        decay: What a step keeps of an observed range, from 0 to 1.
        data_preprocessor: Config of the model's preprocessor.

    Raises:
        ConfigError: There is no module of a name in `skip`, or nothing to quantise.
    """
    path = 'model.architecture.model'
    check_choice('ranges', ranges, _RANGES)
    check_range('decay', decay, ge=0, le=1)
    if isinstance(skip, str):
        raise ConfigError(f'`skip` must be a list of names, but is {skip!r}.')
    model, _ = hand_preprocessor(model, data_preprocessor, path)
    built = build_model(model, path)
    modules = dict(built.named_modules())
    for name in set(skip) - modules.keys():
        hint = did_you_mean(name, modules)
        raise ConfigError(f'`skip`: the model has no module {name!r}.{hint}')
    layer: Any
    for name, layer in modules.items():
        kept = any(f'{name}.'.startswith(f'{one}.') for one in skip)
        kind: Any = type(layer)
        cls = None if kept else _quantized_class(kind)
        if cls is None:
            continue
        layer.__class__ = cls
        layer.decay = decay
        unset = torch.zeros(2)
        if ranges == 'learned':
            layer.input_range = nn.Parameter(unset)
        else:
            layer.register_buffer('input_range', unset)
    if not quantized_layers(built):
        raise ConfigError.at(path, 'has no layer that can be quantised.')
    return built


def quantized_layers(model: nn.Module) -> dict[str, QuantizedLayer]:
    """Returns the layers that `Quantized` has changed, by name."""
    inner: Any = model.module if is_model_wrapper(model) else model
    return {n: m for n, m in inner.named_modules() if isinstance(m, QuantizedLayer)}


def fixed(model: nn.Module) -> nn.Module:
    """Returns a copy to be deployed: in eval mode, norms folded, scales constant.

    Folding a batch norm multiplies the weights of an output channel, and so their
    scale; the integers stay what they were in training.
    """
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        children = list(parent.named_children())
        order = getattr(parent, 'order', None)  # of MMCV's `ConvModule`
        if isinstance(order, tuple) and ('conv', 'norm') not in zip(order, order[1:]):
            continue
        for (name, conv), (after, norm) in zip(children, children[1:]):
            # MMCV's `fuse_conv_bn` takes any norm after a convolution, with whatever
            # lies between them, as the last norm of a network before activations
            if isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, after, nn.Identity())
    for layer in quantized_layers(copied).values():
        if layer.input_range.any():
            layer.constants = layer.measured()
        else:
            layer.__class__ = type(layer).__bases__[1]
    return copied


@functools.cache
def _quantized_class(cls: type[nn.Module]) -> type[QuantizedLayer] | None:
    """Returns the class with which a layer is quantised; None if it cannot be."""
    bases: dict[tuple[type[nn.Module], str], type[QuantizedLayer]] = {
        (nn.Conv2d, '_conv_forward'): _QuantizedConv,
        (nn.Linear, 'forward'): _QuantizedLinear,
    }
    for (kind, method), base in bases.items():
        if issubclass(cls, kind) and getattr(cls, method) is getattr(kind, method):
            # mmengine initialises by the names of a class and its bases
            return type(f'Quantized{cls.__name__}', (base, cls), {})
    return None


def _affine(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Returns scale and zero point, not rounded, of a range that is made to hold 0."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / _LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
    return scale, -low / scale


def _scales(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the scale of each output channel, and zeros."""
    largest = weight.detach().float().flatten(1).abs().amax(1)
    scales = (largest / _LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return scales, torch.zeros_like(scales, dtype=torch.int32)


def _per_channel(weight: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    low = -_LARGEST - 1  # what ONNX knows; no weight gets there
    return torch.fake_quantize_per_channel_affine(
        weight.float(), scales, zeros, 0, low, _LARGEST
    )


def _round(x: Tensor) -> Tensor:
    """Rounds, with the gradient of the identity."""
    return x + (x.round() - x).detach()
