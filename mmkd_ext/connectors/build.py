"""Builds losses and connectors from configs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from torch import nn

from mmkd_ext.errors import ConfigError, Problem, did_you_mean
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HOW_TO_IMPORT = (
    'If it is your own, import its module: '
    "custom_imports = dict(imports=['package.module'])."
)
__all__ = [
    'argument_problems',
    'build_connector',
    'build_module',
    'compare_arguments',
    'find_class',
    'known_arguments',
]


def build_module(config: Mapping[str, Any], path: str) -> nn.Module:
    """Builds a loss or connector.

    A `type` without a scope is looked up in the default scope's registry, then among
    ours, then in mmrazor's; so the configs of all of them work unchanged.

    Args:
        config: Its config with `type`.
        path: Its config path, for messages.

    Raises:
        ConfigError: The type is unknown, or its arguments are wrong.
    """
    kind = config['type']
    cls = find_class(kind)
    problems = _config_problems(config, path)
    if cls is None or problems:
        raise ConfigError.of(problems)
    arguments = _arguments(config)
    try:
        module = cls(**arguments)
    except ConfigError as error:
        inside = [replace(p, path=f'{path}.{p.path}') for p in error.problems]
        raise ConfigError.of(inside or [Problem(path, str(error))]) from error
    except (ImportError, TypeError, ValueError, KeyError) as error:
        raise ConfigError.at(
            path, f'`{cls.__name__}` cannot be built: {error}'
        ) from error
    if not isinstance(module, nn.Module):
        raise ConfigError.at(f'{path}.type', f'{kind!r} is no module.')
    return module


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in ('type', '_scope_')}


def _config_problems(config: Mapping[str, Any], path: str) -> list[Problem]:
    """Compares a config, and the connector inside it, with what is registered."""
    kind = config['type']
    cls = find_class(kind)
    if cls is None:
        reason = _import_failure(kind)
        if reason:
            found = f'{kind!r} cannot be looked up: {reason}.'
            return [Problem(f'{path}.type', found, 'Install or fix that module.')]
        own = '' if str(kind).startswith('mmkd_ext.') else _HOW_TO_IMPORT
        names = [*MODELS.module_dict, *(f'mmkd_ext.{n}' for n in MODELS.module_dict)]
        return [
            Problem(
                f'{path}.type',
                f'nothing is registered as {kind!r}.',
                f'{did_you_mean(str(kind), names)} {own}'.strip(),
            )
        ]
    arguments = _arguments(config)
    problems = argument_problems(cls, arguments, path)
    inner = arguments.get('connector')
    if isinstance(inner, Mapping) and 'type' in inner:
        problems += _config_problems(inner, f'{path}.connector')
    return problems


def build_connector(config: Any, path: str) -> nn.Module:
    """Builds a connector from a dict, or a chain of them from a list."""
    if isinstance(config, (list, tuple)):
        return nn.Sequential(
            *(build_module(part, f'{path}[{i}]') for i, part in enumerate(config))
        )
    return build_module(config, path)


def find_class(kind: Any) -> type | None:
    """Looks a registered class up; see `build_module` for the order."""
    if inspect.isclass(kind):
        return kind
    if not isinstance(kind, str):
        return None
    if '.' in kind:
        return _quiet_get(kind)
    scope = DefaultScope.get_current_instance()
    names = [kind, f'mmrazor.{kind}']
    if scope is not None and scope.scope_name not in ('mmkd_ext', 'mmengine'):
        names.insert(0, f'{scope.scope_name}.{kind}')
    return next((cls for cls in map(_quiet_get, names) if cls is not None), None)


def _quiet_get(name: str) -> type | None:
    registry: Registry = MODELS
    try:
        return registry.get(name)
    except (ImportError, KeyError, RuntimeError):
        return None


def _import_failure(kind: Any) -> str:
    """Returns the import error that keeps a name from being found; mmengine hides it.

    Returns:
        The message of the error; ``''`` if nothing failed.
    """
    scopes = ['mmkd_ext', 'mmrazor']
    scope = DefaultScope.get_current_instance()
    if '.' in str(kind):
        scopes = [str(kind).split('.')[0]]
    elif scope is not None:
        scopes.insert(0, scope.scope_name)
    for name in scopes:
        try:
            importlib.import_module(f'{name}.registry')
            node = MODELS if name == 'mmkd_ext' else ROOT_MODELS.children.get(name)
            if node is not None:
                node.import_from_location()
        except ModuleNotFoundError as error:
            # a scope need not be a package, nor have registries
            if error.name not in (name, f'{name}.registry'):
                return str(error)
        except ImportError as error:
            return str(error)
    return ''


def argument_problems(
    cls: type, arguments: Iterable[str], path: str, *, complete: bool = True
) -> list[Problem]:
    """Compares arguments with those that a class takes.

    Args:
        cls: The class.
        arguments: Names of the arguments that it is called with.
        path: Config path of the arguments.
        complete: Also report the required ones that are missing.
    """
    accepted = init_parameters(cls)
    if accepted is None:
        return []
    if not complete:
        accepted = dict.fromkeys(accepted, False)
    return compare_arguments(cls.__name__, accepted, arguments, path)


def known_arguments(
    cls: Any, config: Mapping[str, Any], path: str, *, complete: bool = True
) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the arguments in a config that a class takes, and what is wrong.

    Args:
        cls: The class.
        config: The config, maybe with `type`.
        path: Its config path.
        complete: Also report the required ones that are missing.
    """
    arguments = _arguments(config)
    problems = argument_problems(cls, arguments, path, complete=complete)
    wrong = {problem.path for problem in problems}
    known = {k: v for k, v in arguments.items() if f'{path}.{k}' not in wrong}
    return known, problems


def compare_arguments(
    kind: str,
    accepted: Mapping[str, bool],
    given: Iterable[str],
    path: str,
    hint: str = '',
) -> list[Problem]:
    """Reports arguments that nothing accepts, and those that are missing.

    Args:
        kind: Name of what takes the arguments.
        accepted: Names of its arguments, and whether each is required.
        given: Names of the arguments that it gets.
        path: Config path of the arguments.
        hint: How to write one that is missing, with ``{}`` for its name.
    """
    given = list(given)
    takes = f'it takes {sorted(accepted)}' if accepted else 'it takes none'
    problems = [
        Problem(
            f'{path}.{name}',
            f'`{kind}` has no such argument; {takes}.',
            did_you_mean(name, accepted).strip(),
        )
        for name in given
        if name not in accepted
    ]
    missing = [name for name, required in accepted.items() if required]
    missing = [name for name in missing if name not in given]
    if missing:
        hints = ' '.join(map(hint.format, missing)).strip()
        problems.append(Problem(path, f'`{kind}` needs {missing}.', hints))
    return problems


def init_parameters(cls: type) -> dict[str, bool] | None:
    """Returns whether each argument of a class is required; None if unknowable."""
    accepted: dict[str, bool] = {}
    for base in cls.__mro__:
        init = base.__dict__.get('__init__')
        if init is None:
            continue
        open_ended = False
        parameters: Sequence[inspect.Parameter] = list(
            inspect.signature(init).parameters.values()
        )[1:]
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                open_ended = True
            elif parameter.kind is parameter.VAR_POSITIONAL:
                return None
            else:
                accepted.setdefault(
                    parameter.name, parameter.default is parameter.empty
                )
        if not open_ended:
            return accepted
    return None
