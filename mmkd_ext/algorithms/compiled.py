"""Compiling student and teachers around what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from mmkd_ext.errors import ConfigError

if TYPE_CHECKING:
    from mmkd_ext.distillers.link_distiller import LinkDistiller

__all__ = ['compile_between_taps']

_MODULE_KINDS = ('Module', 'ModuleInputs', 'ModuleOutputs')


def compile_between_taps(
    distiller: LinkDistiller,
    models: Mapping[str, nn.Module],
    arguments: Mapping[str, Any],
) -> dict[str, list[str]]:
    """Compiles the largest modules that neither are tapped nor hold a tap.

    A tap wraps the ``forward`` of its module for one step, and a teacher's pass is left
    after the last tap. Inside a graph that would be traced anew each step, so these
    modules run as they are, and all that lies between them is compiled. A head, whose
    methods call its parts, is not compiled as a whole, nor what is never called, as
    a list of modules. Names of modules and weights do not change, and copies (as
    `EMAHook` makes) run uncompiled.

    Args:
        distiller: Says what is tapped.
        models: Student and teachers by name.
        arguments: Arguments of `torch.compile`.

    Returns:
        The names of the compiled modules of each model.

    Raises:
        ConfigError: Methods or functions are recorded or delivered, which may be
            called inside any module.
    """
    sources = [s for one in distiller.recorders.values() for s in one.needed]
    other = sorted({s.kind for s in sources} - {*_MODULE_KINDS})
    if other:
        raise ConfigError(
            f'cannot compile with {other} recorded or delivered: functions and methods '
            'are replaced for the length of a step, and a compiled graph would not see '
            'it. Tap modules instead, or leave `compile` out.'
        )
    return {
        name: _compile_parts(
            model,
            {tap.source.name for tap in distiller.recorders[name].taps}
            if name in distiller.recorders
            else set(),
            arguments,
        )
        for name, model in models.items()
    }


def _compile_parts(
    module: nn.Module, tapped: set[str], arguments: Mapping[str, Any], prefix: str = ''
) -> list[str]:
    """Compiles below a module; returns the names of what was compiled."""
    compiled = []
    for name, child in module.named_children():
        path = f'{prefix}{name}'
        holds = any(f'{tap}.'.startswith(f'{path}.') for tap in tapped)
        never_called = type(child).forward is nn.Module.forward
        if holds or never_called or hasattr(child, 'loss'):
            compiled += _compile_parts(child, tapped, arguments, f'{path}.')
        elif any(True for _ in child.parameters()):
            child.compile(**arguments)
            compiled.append(path)
    return compiled
