"""The discriminator of SKDS: scores whole predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from mmkd_ext.errors import ConfigError, ShapeError, check_integer, check_shapes
from mmkd_ext.methods._adversary import Discriminator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['WIDTHS', 'SKDSDiscriminator']

WIDTHS = (64, 128, 256, 512)
_SLOPE = 0.1
_WINDOW = 4


class SelfAttention(nn.Module):
    r"""Lets each position look at all others, as in SAGAN.

    .. math:: y_i = x_i + \gamma \sum_j \operatorname{softmax}_j(q_i \cdot k_j) \, v_j

    `gamma` begins with 0, so it begins as the identity. Queries and keys have an
    eighth of the channels.

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 8)
        self.query = nn.Conv2d(channels, narrow, 1)
        # a bias would add the same to all of a position's weights, before a softmax
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        layers = (self.query, self.key, self.value)
        query, key, value = (layer(x).flatten(2) for layer in layers)
        weights = (query.transpose(1, 2) @ key).softmax(2)
        seen: Tensor = (value @ weights.transpose(1, 2)).reshape(x.shape)
        return x + self.gamma * seen


class SKDSDiscriminator(Discriminator):
    """Scores whole predictions.

    As the authors' code builds it, it sees logits alone. Batch normalisation, by the
    statistics of the batch at hand, comes first; each of `widths` is a 4x4 convolution
    that halves the size, with a leaky ReLU; self-attention follows the last ones; a 4x4
    convolution without padding scores. Logits of 64 x 64 get one score, larger ones a
    score for each place of the window. Maps of any size are taken: one that ends
    smaller than the window is padded with zeros.

    Args:
        channels: Number of classes.
        conditional: Look at the pictures too, as the paper has it, in a form of our
            own: the picture, averaged down to the size of the logits, is stacked below
            them, nothing is normalised, and the score is the mean of a 1x1 convolution
            over the positions.
        image_channels: Channels of the pictures, where it is conditional.
        widths: Channels after each convolution.
        attention: After how many of the last convolutions self-attention stands.
        spectral_norm: Whether the largest singular value of each halving convolution's
            weight is held at 1; of the score's too, where it is conditional.

    Raises:
        ConfigError: `attention` asks for more than there are convolutions.

    Examples:
        >>> discriminator = SKDSDiscriminator(19, widths=(4, 8))
        >>> discriminator(torch.ones(2, 19, 16, 32)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        channels: int,
        *,
        conditional: bool = False,
        image_channels: int = 3,
        widths: Sequence[int] = WIDTHS,
        attention: int = 2,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        check_integer('channels', channels, low=1)
        check_integer('image_channels', image_channels, low=1)
        check_integer('attention', attention, low=0)
        if not widths or attention > len(widths):
            raise ConfigError(
                f'`attention` follows {attention} convolutions, but `widths` '
                f'{tuple(widths)} has {len(widths)}; give at least one width, and no '
                'more attention than widths.'
            )
        self.channels = channels
        self.conditional = conditional
        self.image_channels = image_channels
        normed = parametrizations.spectral_norm if spectral_norm else _as_it_is
        ins = [channels + image_channels * conditional, *widths]
        # as in training always: authors never put theirs into eval mode
        self.norm = (
            nn.Identity()
            if conditional
            else nn.BatchNorm2d(channels, track_running_stats=False)
        )
        self.convs = nn.ModuleList(
            normed(nn.Conv2d(before, width, 4, stride=2))
            for before, width in zip(ins, widths)
        )
        plain = len(widths) - attention
        self.attentions = nn.ModuleList(
            nn.Identity() if i < plain else SelfAttention(width)
            for i, width in enumerate(widths)
        )
        self.score = (
            normed(nn.Conv2d(ins[-1], 1, 1))
            if conditional
            else nn.Conv2d(ins[-1], 1, _WINDOW)
        )

    def forward(self, logits: Tensor, image: Tensor | None = None) -> Tensor:
        """Returns the scores of each prediction ``(n p)``; high is the teacher's.

        Args:
            logits: Predictions ``(n channels h w)``.
            image: Their pictures ``(n image_channels y x)``, of any size.

        Raises:
            ShapeError: The channels or the numbers of images do not fit.
        """
        return self.judge(self.prepare(logits, image))

    def prepare(self, logits: Tensor, image: Tensor | None = None) -> Tensor:
        """Returns what is judged of one side's batch, see `forward`."""
        self.check_logits(logits)
        return self._stack(logits, image) if self.conditional else self.norm(logits)

    def judge(self, x: Tensor) -> Tensor:
        """Returns the scores ``(n p)`` of what `prepare` has made."""
        for conv, attention in zip(self.convs, self.attentions):
            x = F.leaky_relu(conv(self._padded(x)), _SLOPE)
            x = attention(x)
        if self.conditional:
            scores: Tensor = self.score(x)
            return scores.mean((2, 3))
        missing = [max(0, _WINDOW - side) for side in x.shape[2:]]
        scores = self.score(F.pad(x, (0, missing[1], 0, missing[0])))
        return scores.flatten(1)

    def check_logits(self, logits: Tensor) -> None:
        """Raises `ShapeError` where this was built for another number of classes."""
        check_shapes(logits=(logits, 'n c h w'))
        if logits.shape[1] != self.channels:
            raise ShapeError(
                f'the discriminator was built with `channels={self.channels}`, but '
                f'gets logits of {logits.shape[1]} classes {tuple(logits.shape)}; '
                f'write `channels={logits.shape[1]}` in the loss.'
            )

    def _padded(self, x: Tensor) -> Tensor:
        """Pads by 1, as the authors do; where nothing would be left, by one more.

        So odd sizes are rounded down to at least 1, and up where it is conditional.
        """
        below, right = (
            2 if self.conditional or side == 1 else 1 for side in x.shape[2:]
        )
        return F.pad(x, (1, right, 1, below))

    def _stack(self, logits: Tensor, image: Tensor | None) -> Tensor:
        """Puts the picture, averaged down, below the logits."""
        if image is None:
            raise ShapeError(
                'the discriminator looks at the picture too: add inputs=dict('
                "of='batch', at='inputs') to the link, or leave `conditional` out of "
                'its loss.'
            )
        check_shapes(
            logits=(logits, 'n c h w'), inputs=(image, f'n {self.image_channels} y x')
        )
        small = F.interpolate(image.to(logits.dtype), logits.shape[2:], mode='area')
        return torch.cat([logits, small], 1)


def _as_it_is(module: nn.Module) -> nn.Module:
    return module
