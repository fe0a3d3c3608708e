"""Length, batch and learning rate of a training, and what does not agree there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmkd_ext.config.context import TrainingSummary
from mmkd_ext.config.names import batch_of_name
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmkd_ext.config.context import Report

__all__ = ['check_link_schedules', 'check_training', 'training_length']


def training_length(cfg: Config) -> tuple[int | None, int | None]:
    """Returns the length in iterations and in epochs; one of them is None."""
    loop = cfg.get('train_cfg') or {}
    iterations, epochs = loop.get('max_iters'), loop.get('max_epochs')
    if isinstance(iterations, int):
        return iterations, None
    return None, epochs if isinstance(epochs, int) else None


def check_training(cfg: Config, report: Report, gpus: int | None) -> TrainingSummary:
    """Reads length, batch and learning rate; warns about what does not agree.

    Args:
        cfg: The config.
        report: Gets the warnings.
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
    lr, scaled = optimizer.get('lr'), None
    if isinstance(lr, (int, float)) and base and samples:
        batch = gpus * samples
        scaled = lr * batch / base
        if scaled != lr and not scaling.get('enable'):
            report.warn(
                'optim_wrapper.optimizer.lr',
                f'{lr:g} was made for a batch of {base} ({source}), but {gpus} GPU(s) '
                f'x {samples} samples make {batch}.',
                f'Linear scaling gives {scaled:g}: set it, or use --auto-scale-lr.',
            )
    iterations, epochs = length = training_length(cfg)
    schedulers = cfg.get('param_scheduler') or []
    for i, scheduler in enumerate(
        [schedulers] if isinstance(schedulers, Mapping) else schedulers
    ):
        if isinstance(scheduler, Mapping):
            by_epoch = bool(scheduler.get('by_epoch', True))
            _check_end(scheduler, f'param_scheduler[{i}]', by_epoch, length, report)
    described = f'{epochs} epochs' if epochs is not None else ''
    return TrainingSummary(
        type_name(optimizer.get('type', '')),
        lr,
        samples,
        gpus,
        base,
        source if base else '',
        bool(scaling.get('enable')),
        scaled,
        described if iterations is None else f'{iterations} iterations',
    )


def check_link_schedules(
    cfg: Config, schedules: Mapping[str, Any], report: Report
) -> None:
    """Warns where the weight schedule of a link outlasts the training.

    Args:
        cfg: The config.
        schedules: Configs of schedules by config path.
        report: Gets the warnings.
    """
    length = training_length(cfg)
    for path, schedule in schedules.items():
        _check_end(schedule, path, bool(schedule.get('by_epoch')), length, report)


def _check_end(
    config: Mapping[str, Any],
    path: str,
    by_epoch: bool,
    length: tuple[int | None, int | None],
    report: Report,
) -> None:
    """Warns where something is to happen after the training has ended."""
    if by_epoch and length[0] is not None:
        report.warn(
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
        points = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(p, (int, float)) and p > limit for p in points):
            report.warn(
                f'{path}.{key}',
                f'{value} lies beyond the training, which ends after {limit} {unit}.',
                'Scale the schedule with the length.',
            )
