"""A memory bank of features from earlier steps."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import CheckpointError, check_choice, check_integer

__all__ = ['KeyMemory', 'gathered', 'rank_and_count', 'ranks', 'seeded']

_STORAGES = {
    'float32': torch.float32,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
}
_CONTENT = ('keys', 'pointer', 'filled')


class KeyMemory(nn.Module):
    """A ring buffer of features for each class; new features replace the oldest.

    Its state is in buffers, so a resumed run continues as if it had never stopped. On
    several processes all of them put in the same keys, see `gathered`, and draw with
    the same random numbers, so their memories stay equal.

    Args:
        classes: Number of rings.
        size: Features that a ring holds.
        channels: Length of a feature.
        seed: Random numbers depend on the seed and the number of the step only.
        storage: Type in which features are kept: ``'float32'``, or with half of the
            memory and of the checkpoint ``'float16'`` or ``'bfloat16'``.
        saved: Whether checkpoints hold the features. If not, a resumed run begins with
            an empty memory.
    """

    keys: Tensor
    pointer: Tensor
    filled: Tensor
    steps: Tensor

    only_forward: ClassVar[tuple[str, ...]] = ('steps',)
    """Buffers that no skipped batch sets back."""

    def __init__(
        self,
        classes: int,
        size: int,
        channels: int,
        seed: int = 0,
        *,
        storage: str = 'float32',
        saved: bool = True,
    ) -> None:
        super().__init__()
        check_integer('classes', classes, ge=1)
        check_integer('size', size, ge=1)
        check_integer('channels', channels, ge=1)
        check_choice('storage', storage, tuple(_STORAGES))
        self.seed = seed
        self.saved = saved
        keys = torch.zeros(classes, size, channels, dtype=_STORAGES[storage])
        counts = (torch.zeros(classes, dtype=torch.long) for _ in range(2))
        for name, buffer in zip(_CONTENT, (keys, *counts)):
            self.register_buffer(name, buffer, persistent=saved)
        # The buffer puts the number into checkpoints; the plain one is what is read,
        # because reading a buffer on a GPU would wait for it.
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self._steps = 0

    def extra_repr(self) -> str:
        return 'classes={}, size={}, channels={}'.format(*self.keys.shape)

    def generators(self) -> tuple[torch.Generator, torch.Generator]:
        """Returns the random generators of one step, on the CPU; training counts steps.

        Returns:
            One for what this process chooses from its own images, and one with the same
            numbers on all processes.
        """
        number = self.seed * 1_000_003 + self._steps
        own = number + (rank_and_count()[0] + 1) * 2**40
        if self.training:
            self._steps += 1
            self.steps.fill_(self._steps)
        return seeded(own), seeded(number)

    @torch.no_grad()
    def put(self, keys: Tensor, classes: Tensor) -> None:
        """Puts in keys, oldest first.

        Args:
            keys: Features ``(m channels)``, the same on all processes.
            classes: Which ring each one goes to ``(m)``.
        """
        rings, size = self.keys.shape[:2]
        counts = F.one_hot(classes, rings).sum(0)
        place = ranks(classes)
        # of more than a ring holds the last ones stay; no slot is written twice
        kept = place >= counts[classes] - size
        keys, classes, place = keys[kept], classes[kept], place[kept]
        slots = (self.pointer[classes] + place) % size
        self.keys[classes, slots] = keys.to(self.keys.dtype)
        self.pointer.add_(counts).remainder_(size)
        self.filled.add_(counts).clamp_(max=size)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Returns up to `count` different keys of each ring, from what is filled.

        All rings are read at the same random slots, as far as they are filled; a ring
        with fewer keys gives all it has.

        Returns:
            Keys ``(k channels)``, ``k`` from 0 to ``classes * count``, as stored.
        """
        size = self.keys.shape[1]
        order = torch.randperm(size, generator=generator).to(self.filled.device)
        usable = order < self.filled[:, None]
        usable &= usable.cumsum(1) <= count
        ring, at = usable.nonzero(as_tuple=True)
        return self.keys[ring, order[at]]

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        if not self.saved:
            for name in _CONTENT:
                state_dict.pop(f'{prefix}{name}', None)
        saved = state_dict.get(f'{prefix}keys')
        if saved is not None and saved.shape != self.keys.shape:
            saved_size, size = (
                '{} class(es) x {} keys x {} channels'.format(*x.shape)
                if x.dim() == 3
                else f'shape {tuple(x.shape)}'
                for x in (saved, self.keys)
            )
            raise CheckpointError(
                f'the memory `{prefix}keys` in the checkpoint has {saved_size}, but '
                f'this config asks for {size}. Set the number of classes, the size and '
                'the channels as they were, or start without resuming.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._steps = int(self.steps)


def seeded(number: int) -> torch.Generator:
    """Returns a generator on the CPU whose numbers depend on one number alone."""
    return torch.Generator().manual_seed(number % 2**63)


def rank_and_count() -> tuple[int, int]:
    """Returns the number of this process, and of all."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def ranks(groups: Tensor) -> Tensor:
    """Returns how many members of its own group stand before each one.

    Args:
        groups: Number of each one's group, >= 0, ``(m)``.

    Examples:
        >>> ranks(torch.tensor([4, 0, 4, 4, 0]))
        tensor([0, 0, 1, 2, 1])
    """
    order = groups.argsort(stable=True)
    sorted_groups = groups[order]
    starts = torch.searchsorted(sorted_groups, sorted_groups)
    result = torch.empty_like(order)
    result[order] = torch.arange(len(order), device=order.device) - starts
    return result


def gathered(keys: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Joins the rows of all processes, in their order.

    Args:
        keys: Rows ``(m c)``; ``m`` may differ by process.
        classes: A number for each row ``(m)``.
    """
    _, processes = rank_and_count()
    if processes == 1:
        return keys, classes
    counts = [classes.new_zeros(1) for _ in range(processes)]
    dist.all_gather(counts, classes.new_full((1,), len(classes)))
    lengths = torch.cat(counts).tolist()
    joined = []
    for rows in (keys, classes):
        # processes exchange as many rows as the longest has
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(processes)]
        dist.all_gather(parts, padded)
        joined.append(torch.cat([p[:length] for p, length in zip(parts, lengths)]))
    return joined[0], joined[1]
