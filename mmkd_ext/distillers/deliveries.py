"""Deliveries: return values of the teacher's pass that the student's pass reuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd_ext.distillers.links import Source
from mmkd_ext.errors import ConfigError, Problem, did_you_mean
from mmkd_ext.razor import DistillDeliveryManager
from mmkd_ext.registry import MODELS, type_name

__all__ = ['build_deliveries']

#: Kinds of deliveries, and the key that names what is delivered.
KINDS = {'FunctionOutputs': 'func_path', 'MethodOutputs': 'method_path'}
_PATH = 'model.distiller.distill_deliveries'


def build_deliveries(config: Any) -> tuple[Any, list[Source]]:
    """Builds MMRazor's manager of deliveries.

    Args:
        config: Its deliveries by name.

    Returns:
        The manager, or None without deliveries; and the sources that it overrides.

    Raises:
        ConfigError: Lists what is wrong.
    """
    if not config:
        return None, []
    if not isinstance(config, Mapping):
        raise ConfigError.at(_PATH, f'must be a dict, but is {config!r}.')
    problems: list[Problem] = []
    built: dict[str, Any] = {}
    sources: list[Source] = []
    for name, given in config.items():
        path = f'{_PATH}.{name}'
        if not isinstance(given, Mapping):
            problems.append(Problem(path, f'must be a dict, but is {given!r}.'))
            continue
        kind = type_name(given.get('type')).rsplit('.', 1)[-1].removesuffix('Delivery')
        key = KINDS.get(kind)
        if key is None:
            found = f'there is no delivery {given.get("type")!r}.'
            hint = f'It is one of {[*KINDS]}.{did_you_mean(kind, KINDS)}'
            problems.append(Problem(f'{path}.type', found, hint))
        elif not isinstance(given.get(key), str):
            found = f'`{kind}` needs `{key}`, but has {sorted(given)}.'
            hint = 'It is the dotted name, as `package.module.Class.method`.'
            problems.append(Problem(path, found, hint))
        else:
            built[name] = {**given, 'type': kind}
            sources.append(Source(kind.replace('Outputs', 'Calls'), given[key]))
    if problems:
        raise ConfigError.of(problems)
    try:
        with MODELS.switch_scope_and_registry('mmrazor'):
            return DistillDeliveryManager(built), sources
    except (AssertionError, ImportError, TypeError, ValueError) as error:
        raise ConfigError.at(_PATH, str(error)) from error
