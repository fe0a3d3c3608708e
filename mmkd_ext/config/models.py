"""Building the models of a config without fetching anything."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from mmkd_ext.algorithms.dry_run import package_of
from mmkd_ext.algorithms.sources import build_model, model_config
from mmkd_ext.checkpoint import load_weights, some
from mmkd_ext.config.context import ModelSummary, Report
from mmkd_ext.config.files import check_pretrained, is_remote
from mmkd_ext.config.parts import explain, explain_model
from mmkd_ext.errors import problems_of

__all__ = [
    'build',
    'count_parameters',
    'initialize',
    'is_known',
    'load_checkpoint',
    'offline',
    'summarize',
]


def build(
    source: Any, path: str, report: Report, *, trained: bool = False
) -> nn.Module | None:
    """Builds a model; reports what is wrong where that fails.

    A model that is built already is copied, so that the check changes nothing.

    Args:
        source: As `build_model` takes it.
        path: Its config path.
        report: Gets the problems.
        trained: A checkpoint will replace what its `init_cfg` loads.
    """
    if isinstance(source, nn.Module):
        return copy.deepcopy(source)
    try:
        config = model_config(source, path)
    except Exception as error:
        # a config file is code, and may raise anything
        report.add(problems_of(error, path))
        return None
    if not trained:
        check_pretrained(config, path, report)
    try:
        model: nn.Module = build_model(config, path)
    except Exception as error:
        cause = error.__cause__
        raised = cause if isinstance(cause, Exception) else error
        problems = explain_model(config, path, str(error))
        report.add(problems or explain(raised, config, path))
        return None
    return model


def offline(config: Any, path: str, report: Report) -> Any:
    """Returns a model's config without the checkpoints that building it would fetch."""
    if not isinstance(config, Mapping):
        return config
    kept = {}
    for key, value in config.items():
        where = f'{path}.{key}'
        kept[key] = offline(value, where, report)
        if key.endswith('_ckpt') and isinstance(value, str) and is_remote(value):
            report.note(where, f'{value} is not fetched by the check.')
            kept[key] = None
        elif key == 'pretrained' and value is True:
            kept[key] = False
    return kept


def initialize(model: nn.Module, path: str, report: Report) -> None:
    """Does what `init_weights` does, but fetches and reads nothing.

    A head's first bias decides how large its first loss is.

    Args:
        model: The model.
        path: Its config path.
        report: Gets what goes wrong.
    """
    for module in model.modules():
        config = getattr(module, 'init_cfg', None)
        parts = config if isinstance(config, (list, tuple)) else [config]
        kept = [
            part
            for part in parts
            if not (isinstance(part, Mapping) and part.get('type') == 'Pretrained')
        ]
        if len(kept) < len(parts):
            vars(module)['init_cfg'] = kept or None
    start = getattr(model, 'init_weights', None)
    if start is not None:
        with report.collecting(path):
            start()


def count_parameters(model: nn.Module) -> int:
    """Returns the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def summarize(role: str, model: nn.Module) -> ModelSummary:
    """Returns the summary of a model without a checkpoint."""
    return ModelSummary(role, type(model).__name__, count_parameters(model))


def load_checkpoint(
    model: nn.Module,
    name: str | None,
    path: str,
    summary: ModelSummary,
    report: Report,
    *,
    min_matched: Any = 0.5,
) -> None:
    """Fills a model from a file and notes how much of it matched.

    Args:
        model: The model.
        name: The file; an address is noted and not fetched.
        path: Config path of ``name``.
        summary: Gets name and share.
        report: Gets the problems.
        min_matched: Least share of the parameters that must be filled.
    """
    if name is None:
        return
    file = summary.checkpoint = str(name)
    if is_remote(file):
        summary.checkpoint = f'{file.rsplit("/", 1)[-1]} (not fetched)'
        return
    if not os.path.isfile(file):
        made = 'A training here makes it: the config that names it says how.'
        hint = made if 'work_dirs' in file.split('/') else 'Correct the path.'
        report.problem(path, f'there is no file {file!r}.', hint)
        return
    role = 'student' if summary.role == 'student' else 'teacher'
    with report.collecting(path):
        loaded = load_weights(model, file, role=role, min_matched=min_matched)
        summary.matched = loaded.share
        if loaded.unfilled and role == 'teacher':
            report.warn(
                path,
                f'does not fill all of the teacher: {some(loaded.unfilled)}.',
                'These stay as they were made.',
            )


def is_known(model: nn.Module) -> bool:
    """Whether noise and its ground truth are made for a model's kind."""
    return package_of(getattr(model, 'architecture', model)) is not None
