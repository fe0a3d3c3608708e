"""Logits of an mmseg segmentor at the size of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from mmkd_ext.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    'check_segmentor',
    'class_count',
    'image_logits',
    'uses_slide',
]

_NEEDED = ('inference', 'encode_decode', 'postprocess_result', 'decode_head')


def check_segmentor(model: nn.Module, path: str) -> None:
    """Raises `ConfigError` unless a model is a segmentor with two classes or more."""
    lacking = [name for name in _NEEDED if not hasattr(model, name)]
    if lacking:
        raise ConfigError.at(
            path,
            f'adaptation needs a segmentor of mmseg, such as '
            f'`EncoderDecoder`, but `{type(model).__name__}` has no {lacking}.',
        )
    if class_count(model) < 2:
        raise ConfigError.at(
            path,
            'has one output channel; entropy and pseudo-labels need one a '
            'class. Set `decode_head.out_channels=2`.',
        )


def class_count(model: nn.Module) -> int:
    """Returns the number of output channels of a segmentor."""
    return int(cast('Any', model).out_channels)


def uses_slide(model: nn.Module) -> bool:
    """Whether a segmentor is tested with sliding windows."""
    return bool(cast('Any', model).test_cfg.get('mode', 'whole') == 'slide')


def image_logits(model: nn.Module, inputs: Tensor, *, whole: bool = False) -> Tensor:
    """Returns logits ``(n k h w)`` at the size of the input, in float32 at least.

    Args:
        model: The segmentor; gradients flow if they are on.
        inputs: Normalised images ``(n c h w)``.
        whole: True takes the image in one piece also where ``test_cfg.mode`` is
            ``'slide'``: what a training pass does.
    """
    segmentor = cast('Any', model)
    # fresh: sliding writes into them, and heads resize to what they say
    shape = inputs.shape[2:]
    meta = {
        'ori_shape': shape,
        'img_shape': shape,
        'pad_shape': shape,
        'padding_size': [0, 0, 0, 0],
    }
    metas = [*map(dict, [meta] * len(inputs))]
    ask = segmentor.encode_decode if whole else segmentor.inference
    logits: Tensor = ask(inputs, metas)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
