"""The check of a whole config: every problem at once, before data is loaded."""

from __future__ import annotations

import copy
import io
import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.registry import MODELS
from mmengine.utils import ManagerMixin

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.algorithms.teacher_distill import read_teachers
from mmkd_ext.config import adaptation, distillation, models
from mmkd_ext.config.classes import check_segmentor
from mmkd_ext.config.context import CHECKERS, Context, Report
from mmkd_ext.config.deprecated_keys import check_keys
from mmkd_ext.config.files import check_load_from, name_variables
from mmkd_ext.config.names import name_problems
from mmkd_ext.config.parts import find_type, scoped, unknown_type
from mmkd_ext.config.rehearsal import Rehearsal
from mmkd_ext.config.training import check_training
from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.distillers.taps import listed_taps
from mmkd_ext.errors import ConfigError, did_you_mean
from mmkd_ext.random_state import preserve_random_state, seed_all
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.config import Config
    from torch import nn

__all__ = ['Module', 'check_before_training', 'check_config', 'isolated', 'list_taps']

#: Keys of the runner that hold lists of dicts, and those that hold dicts.
_LISTS = {
    'custom_hooks',
    'param_scheduler',
    *(f'{split}_evaluator' for split in ('train', 'val', 'test')),
}
_DICTS = {
    'auto_scale_lr',
    'default_hooks',
    'env_cfg',
    'log_processor',
    'optim_wrapper',
    'randomness',
    'visualizer',
    *(f'{split}_{part}' for split in ('train', 'val', 'test')
      for part in ('dataloader', 'cfg')),
}  # fmt: skip
# importing them registers their checks
_ = adaptation, distillation


def check_config(
    cfg: Config, *, gradients: bool = True, data: bool = True, gpus: int | None = None
) -> Report:
    """Checks a config and reports all that was found.

    Models are built and run once on noise, on the CPU. The config, the random numbers
    of the caller and mmengine's global state stay as they were.

    Args:
        cfg: The config.
        gradients: Also compute each term's share of the student's gradient.
        data: Also look for the files of the data sets.
        gpus: Number of GPUs to judge the learning rate for; see `check_training`.
    """
    report = Report(str(cfg.filename or ''))
    with isolated(cfg), TemporaryDirectory() as folder:
        cfg = _without_wrong_kinds(cfg, report)
        check_keys(cfg, report)
        check_load_from(cfg, report)
        rehearsal = Rehearsal(cfg, report, folder, data=data)
        report.training = check_training(cfg, report, gpus)
        report.add(name_problems(report.config, cfg), report.warnings)
        _check_model(Context(cfg, report, rehearsal, gradients, data))
        rehearsal.finish()
    name_variables(cfg, report)
    return report


def check_before_training(cfg: Config) -> Report:
    """Checks a config that is about to be trained; prints the warnings.

    Args:
        cfg: The config.

    Raises:
        ConfigError: Lists every problem.
    """
    gpus = int(os.environ.get('WORLD_SIZE', 1))
    report = check_config(cfg, gradients=False, gpus=gpus)
    for warning in report.warnings:
        print_log(f'config check: {warning}', level=logging.WARNING)
    if not report.ok:
        raise ConfigError.of(report.problems)
    return report


def _without_wrong_kinds(cfg: Config, report: Report) -> Config:
    """Returns a config without the top keys that hold something of another kind."""
    kept = copy.copy(cfg)
    for keys, kind, wrong in (
        (_LISTS, 'a list of dicts', (str, int, float)),
        (_DICTS, 'a dict', (str, int, float, list, tuple)),
    ):
        for key in [key for key in cfg if key in keys and isinstance(cfg[key], wrong)]:
            report.problem(key, f'must be {kind}, but is {cfg[key]!r}.')
            kept._cfg_dict.pop(key)
    return kept


def _check_model(context: Context) -> None:
    """Calls the check of the model's class."""
    config, report = context.cfg.get('model'), context.report
    if not isinstance(config, Mapping) or 'type' not in config:
        report.problem('model', f'must be a dict with `type`, but is {config!r}.')
        return
    report.kind = type_name(config['type'])
    with scoped(config.get('_scope_')):
        cls = find_type(config['type'], MODELS)
    if cls is None:
        report.problem('model.type', *unknown_type(config['type'], MODELS))
        return
    names = [base.__name__ for base in getattr(cls, '__mro__', ())]
    if 'SingleTeacherDistill' in names:
        report.note(
            'model.type',
            "is MMRazor's: its teacher keeps dropout on, and is in every checkpoint.",
            "type='mmkd_ext.TeacherDistill' reads the same keys.",
        )
    next((CHECKERS[name] for name in names if name in CHECKERS), _check_plain)(context)


def _check_plain(context: Context) -> None:
    """Builds a model that distils nothing, and trains it one step."""
    report, cfg = context.report, context.cfg
    config = cfg.model.to_dict()
    if cfg.get('data_preprocessor') is not None:
        config.setdefault('data_preprocessor', cfg.data_preprocessor.to_dict())
    config = models.offline(config, 'model', report)
    model = models.build(config, 'model', report)
    if model is not None:
        report.models.append(models.summarize('model', model))
        check_segmentor(model, 'model', cfg, report.training, report)
        context.rehearsal.own_model(model, config, 'model')
        with report.collecting('model'):
            context.rehearsal.run(model, gradients=False, known=models.is_known(model))


@contextmanager
def isolated(cfg: Config) -> Iterator[None]:
    """Keeps random numbers, scope, logs and messages of the caller as they were."""
    kept = {cls: dict(cls._instance_dict) for cls in _managers()}
    # a GPU that nobody has used yet has no random numbers to keep
    devices = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    try:
        for cls in kept:
            cls._instance_dict.clear()
        MMLogger.get_instance('check', logger_name='check', log_level='ERROR')
        MessageHub.get_instance('check')
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            preserve_random_state(devices=devices),
            scoped(cfg.get('default_scope')),
        ):
            warnings.simplefilter('ignore')
            seed_all(0, devices=False)
            yield
    finally:
        # also of classes that the check was the first to import, as a project's
        # visualizer: a training would get that one, which writes nowhere
        for cls in _managers():
            cls._instance_dict.clear()
            cls._instance_dict.update(kept.get(cls, {}))


def _managers() -> Iterator[Any]:
    """Yields the classes of mmengine that keep their instances."""
    left: list[Any] = [ManagerMixin]
    while left:
        cls = left.pop()
        left += cls.__subclasses__()
        yield cls


# ---- what could be tapped ---------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """A module that a link could tap.

    Args:
        name: What `at` would say.
        kind: Its class.
        output: What its first call returned.
        calls: How often it is called.
        mode: ``'loss'`` where it is called in ``mode='loss'`` only.
    """

    name: str
    kind: str
    output: str
    calls: int
    mode: str


def list_taps(cfg: Config, owner: str) -> list[Module]:
    """Lists the modules of one model that a link could tap, in the order of calls.

    Args:
        cfg: A distillation's config, or a plain model's, which is the student.
        owner: ``'student'``, ``'teacher'`` or a teacher's name.

    Raises:
        ConfigError: There is no such model, it cannot be built, or it fails.
    """
    sources = _sources(cfg)
    if owner not in sources:
        raise ConfigError(
            f'The config has no model {owner!r}; it has {list(sources)}.'
            f'{did_you_mean(owner, sources)}'
        )
    report = Report()
    with isolated(cfg):
        path, source = sources[owner]
        model = models.build(source, path, report)
        if model is None:
            raise ConfigError.of(report.problems)
        modes = ('loss', 'tensor') if owner == STUDENT else ('tensor', 'loss')
        called, errors = _called(model.eval(), modes)
    if not called:
        raise ConfigError(f'`{path}` fails on a blank image: {"; ".join(errors)}')
    return list(called.values())


def _sources(cfg: Config) -> dict[str, tuple[str, Any]]:
    """Returns config path and source of each model by its name in links."""
    config = cfg.get('model')
    if not isinstance(config, Mapping):
        return {}
    if 'architecture' not in config:
        return {STUDENT: ('model', config)}
    keys = ('teacher', 'teacher_ckpt', 'teachers', 'teacher_store')
    teachers, _ = read_teachers(*map(config.get, keys))
    return {
        STUDENT: ('model.architecture', config['architecture']),
        **{name: (one.path, one.config.get('model')) for name, one in teachers.items()},
    }


def _called(
    model: nn.Module, modes: tuple[str, str]
) -> tuple[dict[str, Module], list[str]]:
    """Runs a model in two modes; returns what was called, and what went wrong."""
    found: dict[str, dict[str, Module]] = {}
    errors = []
    batch = blank_batch(model)
    for mode in modes:
        try:
            with torch.no_grad():
                listed = listed_taps(model, partial(_forward, batch, mode))
        except Exception as error:
            # a blank image may be too strange for a head
            errors.append(f'{type(error).__name__}: {error}')
        else:
            found[mode] = {row[0]: Module(*row, mode) for row in listed}
    called: dict[str, Module] = {}
    for modules in found.values():
        for name, module in modules.items():
            everywhere = all(name in others for others in found.values())
            called.setdefault(name, replace(module, mode='') if everywhere else module)
    return called, errors


def _forward(batch: dict[str, Any], mode: str, model: nn.Module) -> Any:
    return model(**batch, mode=mode)
