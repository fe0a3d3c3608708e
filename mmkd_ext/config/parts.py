"""Types that a config names, and the place in it where an error has its cause.

What builds a part may treat its config first (a head gives its loss more arguments,
`build_norm_layer` takes some away), so an argument is named unknown only where the
class itself gets the dict.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmengine import registry as roots
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope, Registry, build_from_cfg
from mmengine.runner import runner as training

from mmkd_ext.connectors.build import known_arguments
from mmkd_ext.errors import MMKDError, Problem, did_you_mean, problems_of
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ['datasets_in', 'explain', 'explain_model', 'find_type', 'scoped',
           'unknown_type', 'unknown_types', 'walk']  # fmt: skip

_MODEL_ROOTS = (roots.MODELS, roots.TASK_UTILS, roots.WEIGHT_INITIALIZERS)
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'missing \d+ required .*arguments?: (.*)')
_LOADER_1X = {'samples_per_gpu': 'batch_size', 'workers_per_gpu': 'num_workers'}


@contextmanager
def scoped(scope: str | None) -> Iterator[None]:
    """Looks names without a scope up in ``scope`` during the block."""
    with DefaultScope.overwrite_default_scope(scope):
        yield


def find_type(kind: Any, *registries: Registry) -> Any:
    """Returns what is registered under a name in one of some registries, or None."""
    if not isinstance(kind, str):
        return kind if callable(kind) else None
    for registry in registries:
        with registry.switch_scope_and_registry(None) as current:
            try:
                found = current.get(kind)
            except Exception:
                # mmengine imports what the name may be in; that may fail in any way
                continue
            if found is not None:
                return found
    return None


def unknown_type(kind: Any, *registries: Registry) -> tuple[str, str]:
    """Explains why nothing was found under a name, and which names are near."""
    names: set[str] = set()
    for registry in registries:
        while registry.parent is not None:
            registry = registry.parent
        with registry.switch_scope_and_registry(None) as current:
            try:
                current.import_from_location()
            except ImportError as error:
                return (
                    f'{kind!r} cannot be looked up: {error}.',
                    'Install or fix that module, or choose another scope.',
                )
            node: Registry | None = current
            while node is not None:
                names.update(node.module_dict)
                node = node.parent
        for scope, child in registry.children.items():
            names.update(f'{scope}.{name}' for name in child.module_dict)
    current_scope = DefaultScope.get_current_instance()
    scope = current_scope.scope_name if current_scope is not None else 'mmengine'
    how = 'Write it with its scope, as `mmseg.ResNet`, or import its module with'
    return (
        f'nothing is registered as {kind!r} (default scope {scope!r}).',
        did_you_mean(str(kind), names).strip() or f'{how} `custom_imports`.',
    )


def walk(config: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each dict in a config with its path, the outer before the inner."""
    if isinstance(config, Mapping):
        yield path, config
        for key, value in config.items():
            yield from walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(config, (list, tuple)):
        for i, value in enumerate(config):
            yield from walk(value, f'{path}[{i}]')


def datasets_in(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yields data sets, built or not, with their paths, the inner before the outer."""
    if isinstance(data, (list, tuple)):
        for i, part in enumerate(data):
            yield from datasets_in(part, f'{path}[{i}]')
        return
    is_config = isinstance(data, Mapping)
    for key in ('dataset', 'datasets'):
        inside = data.get(key) if is_config else getattr(data, key, None)
        if inside is not None:
            yield from datasets_in(inside, f'{path}.{key}')
    yield path, data


# ---- one error -----------------------------------------------------------------------


def explain(
    error: Exception,
    config: Any,
    path: str,
    owners: Mapping[int, str] | None = None,
    called: Any = None,
) -> list[Problem]:
    """Returns the problems that an error is about, at their places in a config.

    The traceback knows the places: it goes through the dicts that were being built,
    and through the modules, hooks and transforms that were at work.

    Args:
        error: What was raised.
        config: The config of what was built or run.
        path: Its config path.
        owners: Config paths by ``id`` of an object that was built from there.
        called: The class that got `config` as arguments, where no registry did.
    """
    problems = problems_of(error, '')
    nodes = list(walk(config, path))
    if isinstance(error, MMKDError) and problems[0].path:
        return [_placed(problem, nodes) for problem in problems]
    text = problems[0].found
    raised: BaseException | None = error
    chain: list[BaseException] = []
    while raised is not None:
        chain.append(raised)
        # a Runner's `call_hook` raises anew `from None`
        raised = raised.__cause__ or raised.__context__
    for cause in reversed(chain):
        frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        for frame in reversed(frames):
            problem = _problem_at(frame, cause, text, nodes, owners or {})
            if problem is not None:
                return [problem]
    return [_about_arguments(error, text, config, path, called)]


def _placed(problem: Problem, nodes: list[tuple[str, Mapping[str, Any]]]) -> Problem:
    """Moves a problem with a class's own argument to where the config has the class."""
    first, _, key = problem.path.partition('.')
    places = [
        where
        for where, node in nodes
        if type_name(node.get('type', '')).rsplit('.', 1)[-1] == first
    ]
    if len(places) != 1 or not key:
        return problem
    return replace(problem, path=f'{places[0]}.{key}')


def unknown_types(config: Any, path: str) -> list[Problem]:
    """Returns a problem for each type in a config that no registry knows."""
    every = [root for root in vars(roots).values() if isinstance(root, Registry)]
    return [
        Problem(f'{where}.type', *unknown_type(node['type'], *every))
        for where, node in walk(config, path)
        if 'type' in node and find_type(node['type'], *every) is None
    ]


def _problem_at(
    frame: FrameType,
    error: BaseException,
    text: str,
    nodes: list[tuple[str, Mapping[str, Any]]],
    owners: Mapping[int, str],
) -> Problem | None:
    """Returns a problem if a frame of the traceback belongs to a part of the config."""
    values = frame.f_locals
    if frame.f_code is build_from_cfg.__code__:
        where = _path_of(values['cfg'], nodes)
        # a part may name another's type under any key, or be no dict at all
        built = isinstance(values['cfg'], Mapping)
        kind = values.get('obj_type') if built else values['cfg']
        keys = [(at, key) for at, node in nodes for key in node if node[key] is kind]
        if not where and values.get('obj_cls') is None and keys:
            why = unknown_type(kind, values['registry']) if built else (text, '')
            return Problem('.'.join(keys[0]), *why)
        return _not_built(error, text, where, values) if where else None
    own = values.get('self')
    if isinstance(own, ConfigDict) and isinstance(error, (AttributeError, KeyError)):
        where, key = _path_of(own, nodes), values.get('name')
        if where and isinstance(key, str):
            return Problem(f'{where}.{key}', 'is missing.', did_you_mean(key, own))
    if id(own) in owners:
        return Problem(owners[id(own)], text)
    return None


def _path_of(node: Any, nodes: list[tuple[str, Mapping[str, Any]]]) -> str:
    """Returns where a dict, maybe one that was treated since, stands in a config."""
    if not isinstance(node, Mapping):
        return ''

    def bare(config: Mapping[str, Any]) -> dict[str, str]:
        # without the scope that a `pkg::` base adds
        return {key: repr(value) for key, value in config.items() if key != '_scope_'}

    same = [where for where, other in nodes if bare(other) == bare(node)]
    alike = [w for w, other in nodes if other.get('type', node) == node.get('type')]
    return same[0] if same else alike[0] if len(alike) == 1 else ''


def _not_built(
    error: BaseException, text: str, where: str, values: Mapping[str, Any]
) -> Problem:
    """Explains why `build_from_cfg` could not build the dict at a path."""
    config, registry = values['cfg'], values['registry']
    if 'type' not in config and 'obj_type' not in values:
        near = [key for key in map(str, config) if did_you_mean('type', [key])]
        hint = f'Is `{near[0]}` meant?' if near else f'It has {list(config)}.'
        return Problem(where, 'needs `type`, which says what to build.', hint)
    if values.get('obj_cls') is None:
        return Problem(f'{where}.type', *unknown_type(values.get('obj_type'), registry))
    return _about_arguments(error, text, config, where, values['obj_cls'])


def _about_arguments(
    error: BaseException, text: str, config: Any, path: str, called: Any
) -> Problem:
    """Reads off an error of Python's which argument is unknown or missing."""
    name = _UNEXPECTED.search(str(error))
    if name and isinstance(config, Mapping) and name[1] in config:
        known = inspect.signature(called).parameters if called else ()
        instead = _LOADER_1X.get(name[1])
        hint = f'Write `{instead}`.' if instead else did_you_mean(name[1], known)
        kind = f'`{called.__name__}`' if called else 'it'
        return Problem(f'{path}.{name[1]}', f'{kind} has no such argument.', hint)
    absent = _MISSING.search(str(error))
    if absent and called is not None:
        return Problem(path, f'`{called.__name__}` needs {absent[1]}.')
    if isinstance(error, KeyError) and error.__traceback__ is not None:
        *_, (last, _) = traceback.walk_tb(error.__traceback__)
        if last.f_code.co_filename == training.__file__:
            return Problem(f'{path}.{error.args[0]}', 'is missing.')
    return Problem(path, text)


# ---- models --------------------------------------------------------------------------


def explain_model(config: Any, path: str, error: str = '') -> list[Problem]:
    """Returns a problem for every unknown type and argument in a model's config.

    Args:
        config: The config of a model that could not be built.
        path: Its config path.
        error: The message of the error.
    """
    scope = config.get('_scope_') if isinstance(config, Mapping) else None
    with scoped(scope):
        return list(_explained(config, path, error, judged=True))


def _explained(
    config: Any, path: str, error: str, *, judged: bool
) -> Iterator[Problem]:
    if isinstance(config, (list, tuple)):
        for i, part in enumerate(config):
            yield from _explained(part, f'{path}[{i}]', error, judged=judged)
    if not isinstance(config, Mapping):
        return
    kind = config.get('type')
    cls = find_type(kind, *_MODEL_ROOTS)
    named = re.search(rf'\b{re.escape(str(kind))}\b', error)
    if 'type' in config and cls is None and (judged or named):
        yield Problem(f'{path}.type', *unknown_type(kind, *_MODEL_ROOTS))
    elif inspect.isclass(cls) and judged:
        # what is missing may be given by the parent, unless Python has missed it
        missing = f'{cls.__name__}.__init__() missing' in error
        yield from known_arguments(cls, config, path, complete=missing)[1]
    for key, value in config.items():
        # these are treated before a class gets them; MMRazor's distiller names
        # recorders in short
        treated = key in ('cfg', 'distiller') or key.endswith('_cfg')
        inside = judged and not treated
        yield from _explained(value, f'{path}.{key}', error, judged=inside)
