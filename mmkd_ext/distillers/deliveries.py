"""Deliveries: values that the student takes over from the teacher's pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd_ext.distillers.links import Source
from mmkd_ext.errors import ConfigError, Problem, did_you_mean
from mmkd_ext.razor import DistillDeliveryManager
from mmkd_ext.registry import MODELS, type_name

__all__ = ['build_deliveries']

KINDS = ('FunctionOutputs', 'MethodOutputs')
_PATH = 'model.distiller.distill_deliveries'
_SOURCES = {'FunctionOutputs': 'func_path', 'MethodOutputs': 'method_path'}


def build_deliveries(config: Any) -> tuple[Any, list[Source]]:
    """Builds MMRazor's manager of deliveries.

    Args:
        config: Its deliveries by name.

    Returns:
        The manager, None without deliveries; and whose calls are delivered.

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
    for name, one in config.items():
        path = f'{_PATH}.{name}'
        if not isinstance(one, Mapping):
            problems.append(Problem(path, f'must be a dict, but is {one!r}.'))
            continue
        kind = type_name(one.get('type')).rsplit('.', 1)[-1].removesuffix('Delivery')
        if kind not in KINDS:
            problems.append(
                Problem(
                    f'{path}.type',
                    f'there is no delivery {one.get("type")!r}.',
                    f'It is one of {list(KINDS)}.{did_you_mean(kind, KINDS)}',
                )
            )
            continue
        where = one.get(_SOURCES[kind])
        if not isinstance(where, str):
            problems.append(
                Problem(
                    path,
                    f'`{kind}` needs `{_SOURCES[kind]}`, but has {sorted(one)}.',
                    'It is the dotted name, as `package.module.Class.method`.',
                )
            )
            continue
        built[name] = {**one, 'type': kind}
        sources.append(Source(kind.replace('Outputs', 'Calls'), where))
    if problems:
        raise ConfigError.of(problems)
    try:
        with MODELS.switch_scope_and_registry('mmrazor'):
            return DistillDeliveryManager(built), sources
    except (AssertionError, ImportError, TypeError, ValueError) as error:
        raise ConfigError.at(_PATH, str(error)) from error
