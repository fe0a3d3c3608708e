"""Shared code of the command-line tools: configs, processes, error messages."""

from __future__ import annotations

import datetime
import functools
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from mmkd_ext.checkpoint import (
    LoadReport,
    latest_checkpoint,
    load_weights,
    read_checkpoint,
    weights_of,
    whole_path,
)
from mmkd_ext.errors import CheckpointError, ConfigError, MMKDError
from mmkd_ext.package_configs import find_config
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    import argparse

    from torch.utils.data import DataLoader

    from mmkd_ext.algorithms.teacher_distill import TeacherDistill

__all__ = [
    'build_distillation',
    'build_loader',
    'build_runner',
    'find_resume',
    'handle_errors',
    'load_config',
    'load_for_test',
    'prepare_distributed',
    'set_default_scope',
    'set_work_dir',
]

_ACCELERATORS = ('cuda', 'npu', 'mlu', 'musa')


def handle_errors(
    main: Callable[[Sequence[str] | None], int | None],
) -> Callable[..., int]:
    """Turns errors that a user can fix into a message and exit status 2.

    These are `MMKDError`, and what the system says about a file. ``--debug`` among the
    arguments shows the traceback as well.
    """

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> int:
        arguments = sys.argv[1:] if argv is None else argv
        try:
            return main(argv) or 0
        except (MMKDError, OSError) as error:
            if isinstance(error, OSError) and error.filename is None:
                raise
            if '--debug' in arguments:
                traceback.print_exc()
            rank = int(os.environ.get('RANK', 0))
            where = f' on process {rank}' if rank else ''
            told = str(error)
            if isinstance(error, OSError):
                told = f'{error.filename!r}: {error.strerror}. (--debug shows where.)'
            print(f'\nerror{where}: {told}', file=sys.stderr, flush=True)
            return 2

    return wrapped


def load_config(name: str, options: dict | None = None) -> Config:
    """Reads a config file.

    Args:
        name: A path, or ``package::path`` for a config that a package ships.
        options: Settings of ``--cfg-options``.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    try:
        cfg = Config.fromfile(find_config(name))
        if options:
            cfg.merge_from_dict(options)
    except MMKDError as error:
        if not _moved(str(error)):
            raise
        raise ConfigError(f'{error}{_moved(str(error))}') from error
    except Exception as error:
        # a config is code: anything may be raised by it
        raise ConfigError(
            f'Config {name!r} cannot be read: {type(error).__name__}: {error}'
            f'{_moved(str(error))}'
        ) from error
    return cfg


def _moved(text: str) -> str:
    """Returns where the configs of a folder that a path or message names lie now."""
    found = re.search(r'(?<!benchmarks/)configs/(bccd|camvid|demo)/', text)
    if found is None:
        return ''
    old = found.group()
    return f' The files of {old} lie in benchmarks/{old} of the repository now.'


def set_work_dir(cfg: Config, args: argparse.Namespace) -> None:
    """Sets the work directory: of the command line, the config, or its name."""
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(cfg.filename).stem)


def set_default_scope(cfg: Config) -> None:
    """Sets ``default_scope`` where the config does not."""
    if cfg.get('default_scope') is not None:
        return
    model = cfg.get('model') or {}
    cfg.default_scope = _scope_of(model.get('architecture', model)) or 'mmkd_ext'


def _scope_of(student: Any) -> str | None:
    """Returns the scope in which a model's parts are named, if it is known."""
    if isinstance(student, dict):
        student = student.get('cfg_path', student.get('type', ''))
    name = type_name(student)
    if '::' in name:
        return name.split('::')[0]
    if name.endswith(('.py', '.json', '.yaml', '.yml')):
        # a missing file is reported when the model is built
        file = Config.fromfile(name) if os.path.isfile(name) else {}
        scope: str | None = file.get('default_scope')
        return scope
    return name.split('.')[0] if '.' in name else None


def prepare_distributed(cfg: Config) -> None:
    """Starts the process group where mmengine cannot: without an accelerator.

    mmengine's launcher selects a CUDA device first, and gives the model to one. On a
    CPU the processes talk over gloo.

    Raises:
        ConfigError: A variable of the launcher is missing, or there are more
            processes than devices.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if launcher == 'slurm':
        _slurm_environment()
    wanted = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
    absent = [name for name in wanted if name not in os.environ]
    if launcher in ('pytorch', 'slurm') and absent:
        raise ConfigError(
            f'`--launcher {launcher}` needs the variables {absent}, which torchrun '
            'sets. Start with tools/dist_train.sh, tools/slurm_train.sh or torchrun.'
        )
    device = get_device()
    local = int(os.environ.get('LOCAL_RANK', 0))
    if device == 'cuda' and local >= torch.cuda.device_count():
        raise ConfigError(
            f'Process {local} of this machine has no GPU: there are '
            f'{torch.cuda.device_count()}. Start as many processes as GPUs.'
        )
    if device in _ACCELERATORS or torch.distributed.is_initialized():
        return
    given = (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
    timeout = datetime.timedelta(seconds=given.get('timeout', 1800))
    torch.distributed.init_process_group('gloo', timeout=timeout)
    wrapper = cfg.get('model_wrapper_cfg') or {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}


def _slurm_environment() -> None:
    """Sets torchrun's variables from slurm's."""
    if 'SLURM_PROCID' not in os.environ:
        raise ConfigError(
            '`--launcher slurm` works inside srun only (there is no SLURM_PROCID). '
            'Start with tools/slurm_train.sh.'
        )
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ['LOCAL_RANK'] = os.environ['SLURM_LOCALID']
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        nodes = os.environ['SLURM_NODELIST']
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        os.environ['MASTER_ADDR'] = hosts[0]


def build_runner(cfg: Config) -> Runner:
    """Builds the runner that a config asks for."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def build_distillation(cfg: Config) -> TeacherDistill:
    """Builds the model of a distillation's config, with the preprocessor beside it.

    Raises:
        ConfigError: It cannot be built, or is another model.
    """
    # here, so that a plain training needs no mmrazor
    from mmkd_ext.algorithms.sources import build_model
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill

    config = dict(cfg.get('model') or {})
    if cfg.get('data_preprocessor') is not None:
        config.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = build_model(config, 'model')
    if not isinstance(model, TeacherDistill):
        found = f"must be 'mmkd_ext.TeacherDistill', but is {config['type']!r}."
        raise ConfigError.at('model.type', found)
    return model


def build_loader(cfg: Config, **changes: Any) -> DataLoader[Any]:
    """Builds the loader of the training data, with some of its keys changed.

    Raises:
        ConfigError: There is none, or it cannot be built.
    """
    path = 'train_dataloader'
    config = cfg.get(path)
    if not isinstance(config, Mapping):
        raise ConfigError.at(path, f'must be a dict, but is {config!r}.')
    try:
        return Runner.build_dataloader({**config, **changes}, seed=0)
    except MMKDError:
        raise
    except Exception as error:
        # a data set is code of any project
        found = f'cannot be built: {type(error).__name__}: {error}'
        raise ConfigError.at(path, found) from error


def find_resume(work_dir: str, asked: str) -> str | None:
    """Returns the checkpoint to resume from.

    Args:
        work_dir: Work directory of the run to resume.
        asked: ``'auto'`` for its last checkpoint, or a path.

    Returns:
        A path; None if ``asked`` is ``'auto'`` and nothing was saved yet.

    Raises:
        CheckpointError: It is gone, cannot be read, or has only weights.
    """
    path = latest_checkpoint(work_dir) if asked == 'auto' else asked
    if path is None:
        return None
    content = read_checkpoint(path)
    absent = [key for key in ('message_hub', 'state_dict') if key not in content]
    if absent:
        whole = whole_path(path)
        hint = whole and f'Resume from {whole!r}.'
        raise CheckpointError(
            f'{path!r} cannot be resumed: it holds weights but not the state of a run '
            f'(no {absent}). '
            f'{hint or "Use `--cfg-options load_from=...` to start from its weights."}'
        )
    return path


def load_for_test(model: nn.Module, filename: str) -> LoadReport:
    """Loads a checkpoint of any kind into a model for testing.

    Args:
        model: A plain model, or an algorithm around one (`architecture`).
        filename: A distillation's checkpoint, a student's file, a plain checkpoint.

    Raises:
        CheckpointError: Less than nine tenths of the parameters are in the file. (An
            auxiliary head, which testing does not need, may be absent.)
    """
    if is_model_wrapper(model):
        model = cast('nn.Module', model.module)
    inner = dict(model.named_children()).get('architecture')
    if inner is not None:
        state = weights_of(read_checkpoint(filename))
        if not {name for name, _ in model.named_parameters()} <= set(state):
            model = inner
    more: dict[str, Any] = dict(min_matched=0.9, logger='current')
    return load_weights(model, filename, role='model', **more)
