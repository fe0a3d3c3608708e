"""Types and arguments that a config names: do they exist?

What builds a part may treat its config first (a head gives its loss more arguments,
`build_norm_layer` takes some away), so an argument is named unknown only where the
class itself gets the dict.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmengine import registry as roots
from mmengine.registry import DefaultScope, Registry
from torch.utils.data import DataLoader

from mmkd_ext.connectors.build import argument_problems
from mmkd_ext.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.config import Config

    from mmkd_ext.config.findings import Findings

__all__ = ['check_parts', 'explain_model', 'find_type', 'scoped', 'unknown_type']

_MODEL_ROOTS = (roots.MODELS, roots.TASK_UTILS, roots.WEIGHT_INITIALIZERS)
_LOADER_KEYS = {
    'dataset',
    'sampler',
    'batch_sampler',
    'collate_fn',
    'num_batch_per_epoch',
}
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
    """Says why nothing was found under a name, and which names are near."""
    names: set[str] = set()
    for registry in registries:
        with registry.switch_scope_and_registry(None) as current:
            try:
                current.import_from_location()
            except ImportError as error:
                return (
                    f'{kind!r} cannot be looked up: {error}.',
                    'Install or mend that module, or choose another scope.',
                )
            node: Registry | None = current
            while node is not None:
                names.update(node.module_dict)
                node = node.parent
        for scope, child in registry.children.items():
            names.update(f'{scope}.{name}' for name in child.module_dict)
    hint = did_you_mean(str(kind), names).strip()
    where = DefaultScope.get_current_instance()
    scope = where.scope_name if where is not None else 'mmengine'
    return (
        f'nothing is registered as {kind!r} (default scope {scope!r}).',
        hint
        or 'Write it with its scope, as `mmseg.ResNet`, or import its module '
        'with `custom_imports`.',
    )


# ---- models ------------------------------------------------------------------------


def explain_model(config: Any, path: str, findings: Findings, error: str = '') -> int:
    """Looks for unknown types and arguments in a model's config.

    Args:
        config: The config of a model that could not be built, or a part of it.
        path: Its config path.
        findings: Gets the problems.
        error: What building it said.

    Returns:
        How many problems were added.
    """
    before = len(findings.problems)
    scope = config.get('_scope_') if isinstance(config, Mapping) else None
    with scoped(scope):
        _explain(config, path, findings, error, judged=True)
    return len(findings.problems) - before


def _explain(
    config: Any, path: str, findings: Findings, error: str, *, judged: bool
) -> None:
    if isinstance(config, (list, tuple)):
        for i, one in enumerate(config):
            _explain(one, f'{path}[{i}]', findings, error, judged=judged)
    if not isinstance(config, Mapping):
        return
    if 'type' in config:
        _explain_one(config, path, findings, error, judged=judged)
    for key, value in config.items():
        # these are treated before a class gets them
        treated = key == 'cfg' or key.endswith('_cfg')
        _explain(value, f'{path}.{key}', findings, error, judged=judged and not treated)


def _explain_one(
    config: Mapping[str, Any],
    path: str,
    findings: Findings,
    error: str,
    *,
    judged: bool,
) -> None:
    cls = find_type(config['type'], *_MODEL_ROOTS)
    if cls is None:
        findings.problem(f'{path}.type', *unknown_type(config['type'], *_MODEL_ROOTS))
    elif inspect.isclass(cls) and judged:
        # what is missing may be given by the parent, unless Python has missed it
        missing = f'{cls.__name__}.__init__() missing' in error
        findings.add(argument_problems(cls, _arguments(config), path, complete=missing))


# ---- everything else ---------------------------------------------------------------


def check_parts(cfg: Config, findings: Findings) -> None:
    """Checks the types and arguments of data, hooks, metrics, optimizer and loops."""
    for split in ('train', 'val', 'test'):
        _check_loader(cfg.get(f'{split}_dataloader'), f'{split}_dataloader', findings)
        _check_evaluator(cfg.get(f'{split}_evaluator'), f'{split}_evaluator', findings)
        _check_type(cfg.get(f'{split}_cfg'), f'{split}_cfg', roots.LOOPS, findings)
    for name, hook in (cfg.get('default_hooks') or {}).items():
        path = f'default_hooks.{name}'
        if isinstance(hook, Mapping) and 'type' not in hook:
            findings.problem(
                path,
                f'a hook needs `type`, but has {sorted(hook)}.',
                "Write dict(type='...Hook', ...).",
            )
        _check_part(hook, path, roots.HOOKS, findings)
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        _check_part(hook, f'custom_hooks[{i}]', roots.HOOKS, findings)
    _check_schedulers(cfg.get('param_scheduler'), findings)
    _check_optimizer(cfg.get('optim_wrapper'), findings)
    _check_type(cfg.get('visualizer'), 'visualizer', roots.VISUALIZERS, findings)


def _check_type(config: Any, path: str, registry: Registry, findings: Findings) -> Any:
    """Checks that the type of a dict exists; returns its class."""
    if not isinstance(config, Mapping) or 'type' not in config:
        return None
    with scoped(config.get('_scope_')):
        cls = find_type(config['type'], registry)
        if cls is None:
            findings.problem(f'{path}.type', *unknown_type(config['type'], registry))
    return cls


def _check_part(config: Any, path: str, registry: Registry, findings: Findings) -> None:
    """Checks the type of a dict and that its class takes the arguments."""
    cls = _check_type(config, path, registry, findings)
    if inspect.isclass(cls):
        findings.add(argument_problems(cls, _arguments(config), path, complete=False))


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a class gets of a config; a hook's priority is for the runner."""
    return {k: v for k, v in config.items() if k not in ('type', '_scope_', 'priority')}


def _check_loader(loader: Any, path: str, findings: Findings) -> None:
    if not isinstance(loader, Mapping):
        return
    known = set(inspect.signature(DataLoader.__init__).parameters) | _LOADER_KEYS
    for key in _arguments(loader):
        if key not in known:
            instead = _LOADER_1X.get(key)
            findings.problem(
                f'{path}.{key}',
                'a dataloader has no such argument.',
                f'Write `{instead}`.' if instead else did_you_mean(key, known).strip(),
            )
    _check_dataset(loader.get('dataset'), f'{path}.dataset', findings)
    for key in ('sampler', 'batch_sampler'):
        _check_type(loader.get(key), f'{path}.{key}', roots.DATA_SAMPLERS, findings)


def _check_dataset(dataset: Any, path: str, findings: Findings) -> None:
    if isinstance(dataset, (list, tuple)):
        for i, one in enumerate(dataset):
            _check_dataset(one, f'{path}[{i}]', findings)
    if not isinstance(dataset, Mapping):
        return
    _check_part(dataset, path, roots.DATASETS, findings)
    for key in ('dataset', 'datasets'):
        _check_dataset(dataset.get(key), f'{path}.{key}', findings)
    for i, transform in enumerate(dataset.get('pipeline') or []):
        _check_part(transform, f'{path}.pipeline[{i}]', roots.TRANSFORMS, findings)


def _check_evaluator(evaluator: Any, path: str, findings: Findings) -> None:
    if isinstance(evaluator, (list, tuple)):
        for i, metric in enumerate(evaluator):
            _check_part(metric, f'{path}[{i}]', roots.METRICS, findings)
    elif isinstance(evaluator, Mapping) and 'metrics' not in evaluator:
        _check_part(evaluator, path, roots.METRICS, findings)


def _check_schedulers(schedulers: Any, findings: Findings) -> None:
    for i, one in enumerate(
        [schedulers] if isinstance(schedulers, Mapping) else schedulers or []
    ):
        path = f'param_scheduler[{i}]'
        _check_type(one, path, roots.PARAM_SCHEDULERS, findings)
        # `DiscriminatorScheduler` names another one
        inner = one.get('scheduler') if isinstance(one, Mapping) else None
        if inner is not None and find_type(inner, roots.PARAM_SCHEDULERS) is None:
            found = unknown_type(inner, roots.PARAM_SCHEDULERS)
            findings.problem(f'{path}.scheduler', *found)


def _check_optimizer(wrapper: Any, findings: Findings) -> None:
    if not isinstance(wrapper, Mapping):
        return
    _check_type(wrapper, 'optim_wrapper', roots.OPTIM_WRAPPERS, findings)
    _check_part(
        wrapper.get('optimizer'), 'optim_wrapper.optimizer', roots.OPTIMIZERS, findings
    )
    beside = wrapper.get('discriminator')
    if isinstance(beside, Mapping):
        path = 'optim_wrapper.discriminator.optimizer'
        _check_part(beside.get('optimizer'), path, roots.OPTIMIZERS, findings)
    if 'constructor' in wrapper:
        constructor = {'type': wrapper['constructor']}
        _check_type(
            constructor,
            'optim_wrapper.constructor',
            roots.OPTIM_WRAPPER_CONSTRUCTORS,
            findings,
        )
