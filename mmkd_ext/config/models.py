"""Building the models of a config, and what there is to say about them."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from mmkd_ext.algorithms.dry_run import package_of
from mmkd_ext.algorithms.sources import build_model, model_config
from mmkd_ext.checkpoint import load_weights, some
from mmkd_ext.config.context import ModelFacts
from mmkd_ext.config.files import check_pretrained, is_remote
from mmkd_ext.config.findings import Findings
from mmkd_ext.config.parts import explain, explain_model
from mmkd_ext.errors import problems_of

__all__ = [
    'build',
    'count_parameters',
    'facts_of',
    'initialize',
    'is_known',
    'load_checkpoint',
    'offline',
]


def build(
    source: Any, path: str, findings: Findings, *, trained: bool = False
) -> nn.Module | None:
    """Builds a model; says what is wrong where that fails.

    A model that is built already is copied, so that the check changes nothing.

    Args:
        source: As `build_model` takes it.
        path: Its config path.
        findings: Gets the problems.
        trained: A checkpoint will replace what its `init_cfg` loads.
    """
    if isinstance(source, nn.Module):
        return copy.deepcopy(source)
    try:
        config = model_config(source, path)
    except Exception as error:
        # a config file is code, and may raise anything
        findings.add(problems_of(error, path))
        return None
    if not trained:
        check_pretrained(config, path, findings)
    try:
        model: nn.Module = build_model(config, path)
    except Exception as error:
        if not explain_model(config, path, findings, str(error)):
            cause = error.__cause__
            told = cause if isinstance(cause, Exception) else error
            findings.add(explain(told, config, path))
        return None
    return model


def offline(config: Any, path: str, findings: Findings) -> Any:
    """Returns a model's config without the checkpoints that building it would fetch."""
    if not isinstance(config, Mapping):
        return config
    kept = {}
    for key, value in config.items():
        where = f'{path}.{key}'
        kept[key] = offline(value, where, findings)
        if key.endswith('_ckpt') and isinstance(value, str) and is_remote(value):
            findings.note(where, f'{value} is not fetched by the check.')
            kept[key] = None
        elif key == 'pretrained' and value is True:
            kept[key] = False
    return kept


def initialize(model: nn.Module, path: str, findings: Findings) -> None:
    """Does what `init_weights` does, but fetches and reads nothing.

    A head's first bias decides how large its first loss is.

    Args:
        model: The model.
        path: Its config path.
        findings: Gets what goes wrong.
    """
    for module in model.modules():
        config = getattr(module, 'init_cfg', None)
        parts = config if isinstance(config, (list, tuple)) else [config]
        kept = [part for part in parts if not _is_pretrained(part)]
        if len(kept) < len(parts):
            vars(module)['init_cfg'] = kept or None
    start = getattr(model, 'init_weights', None)
    if start is not None:
        with findings.collecting(path):
            start()


def _is_pretrained(config: Any) -> bool:
    return isinstance(config, Mapping) and config.get('type') == 'Pretrained'


def count_parameters(model: nn.Module) -> int:
    """Returns the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def facts_of(role: str, model: nn.Module) -> ModelFacts:
    """Returns what a model says about itself."""
    return ModelFacts(role, type(model).__name__, count_parameters(model))


def load_checkpoint(
    model: nn.Module,
    name: str | None,
    path: str,
    facts: ModelFacts,
    findings: Findings,
    *,
    min_matched: Any = 0.5,
) -> None:
    """Fills a model from a file and notes how much of it matched.

    Args:
        model: The model.
        name: The file; an address is noted and not fetched.
        path: Config path of ``name``.
        facts: Gets what was found.
        findings: Gets the problems.
        min_matched: Least share of the parameters that must be filled.
    """
    if name is None:
        return
    facts.checkpoint = str(name)
    if is_remote(facts.checkpoint):
        facts.checkpoint = f'{facts.checkpoint.rsplit("/", 1)[-1]} (not fetched)'
        return
    if not os.path.isfile(facts.checkpoint):
        made_here = 'work_dirs' in facts.checkpoint.split('/')
        findings.problem(
            path,
            f'there is no file {facts.checkpoint!r}.',
            'A training here makes it: the config that names it says how.'
            if made_here
            else 'Correct the path.',
        )
        return
    role = 'student' if facts.role == 'student' else 'teacher'
    with findings.collecting(path):
        report = load_weights(
            model, facts.checkpoint, role=role, min_matched=min_matched
        )
        facts.matched = report.share
        if report.unfilled and role == 'teacher':
            findings.warn(
                path,
                f'does not fill all of the teacher: {some(report.unfilled)}.',
                'These stay as they were made.',
            )


def is_known(model: nn.Module) -> bool:
    """Whether noise and its ground truth are made for a model's kind."""
    return package_of(getattr(model, 'architecture', model)) is not None
