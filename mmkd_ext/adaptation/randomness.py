"""A random generator whose state is saved with its module."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmkd_ext.errors import check_integer

__all__ = ['SeededGenerator', 'generators_of']


class SeededGenerator(nn.Module):
    """A `torch.Generator` whose state is in the state dict.

    The generator is made on the device where it is first asked for, so that large
    masks are drawn where the weights are.

    Args:
        seed: Its seed until `reseed` is called.

    Examples:
        >>> first, second = SeededGenerator(1), SeededGenerator(2)
        >>> _ = torch.rand(3, generator=first.on('cpu'))
        >>> second.load_state_dict(first.state_dict())
        <All keys matched successfully>
        >>> a = torch.rand(3, generator=first.on('cpu'))
        >>> torch.equal(a, torch.rand(3, generator=second.on('cpu')))
        True
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        check_integer('seed', seed)
        self.seed = seed
        self._generator: torch.Generator | None = None

    def on(self, device: torch.device | str) -> torch.Generator:
        """Returns the generator, on a device."""
        device = torch.device(device)
        if self._generator is None or self._generator.device.type != device.type:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    def reseed(self, seed: int) -> None:
        """Starts anew from a seed."""
        self.seed = seed
        self._generator = None

    def get_extra_state(self) -> dict[str, Any]:
        """Returns seed, device and state."""
        if self._generator is None:
            return {'seed': self.seed}
        return {
            'seed': self.seed,
            'device': self._generator.device.type,
            'state': self._generator.get_state(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores the state of another one."""
        self.reseed(state['seed'])
        if 'state' in state:
            # a view or a clone of the file: the generator wants its own, on the CPU
            self.on(state['device']).set_state(state['state'].cpu().clone())

    def __deepcopy__(self, memo: dict[int, Any]) -> SeededGenerator:
        twin = SeededGenerator(self.seed)
        memo[id(self)] = twin
        twin.set_extra_state(self.get_extra_state())
        return twin


def generators_of(module: nn.Module) -> list[SeededGenerator]:
    """Returns every generator in a module, always in the same order."""
    return [part for part in module.modules() if isinstance(part, SeededGenerator)]
