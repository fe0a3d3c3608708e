"""Trains the model of a config, on one process or many.

Example: ``mmkd train CONFIG --resume --cfg-options train_cfg.max_iters=100``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config  # noqa: E402  (after the patches)
from mmengine.device import get_device  # noqa: E402
from mmengine.logging import print_log  # noqa: E402

from mmkd_ext.cli.options import (  # noqa: E402
    add_cfg_options,
    add_debug,
    add_launcher,
    parse_launched,
)
from mmkd_ext.engine.launch import (  # noqa: E402
    build_runner,
    find_resume,
    handle_errors,
    load_config,
    prepare_distributed,
    set_default_scope,
    set_work_dir,
)
from mmkd_ext.errors import ConfigError  # noqa: E402
from mmkd_ext.registry import type_name  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or package::path')
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision; bfloat16 where there is no GPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the whole batch',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint, by default the last one',
    )
    add_cfg_options(parser)
    add_launcher(parser)
    parser.add_argument(
        '--no-check',
        action='store_true',
        help='do not check the config before training',
    )
    add_debug(parser)
    return parse_launched(parser, argv)


def use_amp(cfg: Config) -> None:
    """Switches the optimizer wrapper to mixed precision."""
    wrapper = cfg.get('optim_wrapper')
    kind = type_name((wrapper or {}).get('type', 'OptimWrapper'))
    if kind.split('.')[-1] in ('AmpOptimWrapper', 'Bf16OptimWrapper'):
        print_log(f'`--amp`: the config already uses `{kind}`.')
        return
    if wrapper is None or kind not in ('OptimWrapper', 'mmengine.OptimWrapper'):
        raise ConfigError(
            '`--amp` needs `optim_wrapper.type` to be `OptimWrapper`, but it is '
            f'`{kind}`. Set up mixed precision in the config instead.'
        )
    if get_device() in ('cuda', 'npu', 'mlu', 'musa'):
        wrapper.type = 'AmpOptimWrapper'
        wrapper.loss_scale = 'dynamic'
    else:
        wrapper.type = 'mmkd_ext.Bf16OptimWrapper'


def use_auto_scale_lr(cfg: Config) -> None:
    """Turns on linear scaling of the learning rate."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ConfigError(
            '`--auto-scale-lr` needs the batch that the learning rate was made for: '
            'set `auto_scale_lr = dict(base_batch_size=...)` in the config.'
        )
    cfg.auto_scale_lr.enable = True


def use_resume(cfg: Config, asked: str) -> None:
    """Sets the checkpoint to resume from."""
    path = find_resume(cfg.work_dir, asked)
    if path is None:
        print_log(f'Nothing to resume in {cfg.work_dir!r}: starting anew.')
        return
    cfg.resume = True
    cfg.load_from = path


def check(cfg: Config) -> None:
    """Runs the check of `mmkd_ext.config`, once for all processes."""
    rank = os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0'))
    if rank != '0':
        return
    from mmkd_ext.config.check import check_before_training

    check_before_training(cfg)


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Trains."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    set_work_dir(cfg, args)
    set_default_scope(cfg)
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        use_auto_scale_lr(cfg)
    if args.resume is not None:
        use_resume(cfg, args.resume)
    if not args.no_check:
        check(cfg)
    prepare_distributed(cfg)
    build_runner(cfg).train()
