"""Length, batch and learning rate of a training, and what does not agree there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmkd_ext.config.context import TrainingFacts
from mmkd_ext.config.names import batch_of_name
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmkd_ext.config.findings import Findings

__all__ = ['check_link_schedules', 'check_training', 'training_length']


def training_length(cfg: Config) -> tuple[int | None, int | None]:
    """Returns the length in iterations and in epochs; one of them is None."""
    loop = cfg.get('train_cfg') or {}
    iterations, epochs = loop.get('max_iters'), loop.get('max_epochs')
    if isinstance(iterations, int):
        return iterations, None
    return None, epochs if isinstance(epochs, int) else None


def check_training(cfg: Config, findings: Findings, gpus: int | None) -> TrainingFacts:
    """Reads length, batch and learning rate; warns about what does not agree.

    Args:
        cfg: The config.
        findings: Gets the warnings.
        gpus: Number of GPUs or processes; None takes the number in the config's name,
            and without one 1.
    """
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer')
    optimizer = optimizer if isinstance(optimizer, Mapping) else {}
    samples = (cfg.get('train_dataloader') or {}).get('batch_size')
    samples = samples if isinstance(samples, int) else None
    named = batch_of_name(cfg.filename)
    scaling = cfg.get('auto_scale_lr') or {}
    base, source = scaling.get('base_batch_size'), 'auto_scale_lr.base_batch_size'
    if base is None and named is not None:
        base, source = named[0] * named[1], 'the name of the config'
    if gpus is None:
        gpus = named[0] if named else 1
    lr = optimizer.get('lr')
    scaled = None
    if isinstance(lr, (int, float)) and base and samples:
        scaled = lr * gpus * samples / base
    facts = TrainingFacts(
        type_name(optimizer.get('type', '')),
        lr,
        samples,
        gpus,
        base,
        source if base else '',
        bool(scaling.get('enable')),
        scaled,
        _describe_length(cfg),
    )
    if scaled is not None and scaled != lr and not facts.auto_scale:
        findings.warn(
            'optim_wrapper.optimizer.lr',
            f'{lr:g} was made for a batch of {base} ({source}), but {gpus} GPU(s) x '
            f'{samples} samples make {gpus * int(samples or 0)}.',
            f'Linear scaling gives {scaled:g}: set it, or use --auto-scale-lr.',
        )
    _check_schedulers(cfg, findings)
    return facts


def _describe_length(cfg: Config) -> str:
    iterations, epochs = training_length(cfg)
    if iterations is not None:
        return f'{iterations} iterations'
    return f'{epochs} epochs' if epochs is not None else ''


def _check_schedulers(cfg: Config, findings: Findings) -> None:
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, Mapping):
        schedulers = [schedulers]
    for i, one in enumerate(schedulers):
        if isinstance(one, Mapping):
            _check_end(
                one,
                f'param_scheduler[{i}]',
                bool(one.get('by_epoch', True)),
                training_length(cfg),
                findings,
            )


def check_link_schedules(
    cfg: Config, schedules: Mapping[str, Mapping[str, Any]], findings: Findings
) -> None:
    """Warns where the weight schedule of a link outlasts the training.

    Args:
        cfg: The config.
        schedules: Configs of schedules by config path.
        findings: Gets the warnings.
    """
    length = training_length(cfg)
    for path, schedule in schedules.items():
        _check_end(schedule, path, bool(schedule.get('by_epoch')), length, findings)


def _check_end(
    config: Mapping[str, Any],
    path: str,
    by_epoch: bool,
    length: tuple[int | None, int | None],
    findings: Findings,
) -> None:
    """Warns where something is to happen after the training has ended."""
    if by_epoch and length[0] is not None:
        findings.warn(
            f'{path}.by_epoch',
            'is True, but the training counts iterations: '
            'its epoch stays 0, so this never changes.',
            'Set by_epoch=False.',
        )
    limit, unit = (length[1], 'epochs') if by_epoch else (length[0], 'iterations')
    if limit is None or limit < 1:
        return
    for key in ('begin', 'end', 'T_max', 'milestones'):
        value = config.get(key)
        late = [
            v
            for v in (value if isinstance(value, (list, tuple)) else [value])
            if isinstance(v, (int, float)) and v > limit
        ]
        if late:
            findings.warn(
                f'{path}.{key}',
                f'{value} lies beyond the training, which ends after {limit} {unit}.',
                'Scale the schedule with the length.',
            )
