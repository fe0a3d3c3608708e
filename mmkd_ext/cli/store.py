"""Stores what the links of a distillation tap of its teachers.

    mmkd store CONFIG --out DIR --epochs 8
    mmkd train CONFIG --cfg-options model.teacher_store=DIR

Each picture of the training set is augmented as often as there are epochs, always in
the same way, and the training goes through these augmentations in turn. A run that was
stopped goes on where it was; more epochs may be added to a store.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from mmkd_ext import compat

compat.apply()

from mmengine.device import get_device  # noqa: E402  (after the patches)
from mmengine.registry import init_default_scope  # noqa: E402
from rich.progress import Progress  # noqa: E402

from mmkd_ext.cli.options import add_cfg_options, add_debug  # noqa: E402
from mmkd_ext.distillers.store import FORMATS  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    build_distillation,
    build_loader,
    handle_errors,
    load_config,
    set_default_scope,
)
from mmkd_ext.engine.store import GB, StoreWriter, without_stores  # noqa: E402
from mmkd_ext.random_state import seed_all  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the distillation')
    parser.add_argument('--out', required=True, help='folder of the store')
    parser.add_argument(
        '--epochs', type=int, required=True, help='augmentations of each picture'
    )
    parser.add_argument(
        '--format',
        default='float32',
        help=f'of floats: {", ".join(FORMATS)} (K a number, such as top5)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the augmentations')
    parser.add_argument(
        '--max-gb', type=float, default=50, help='largest size, default 50'
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='tell the size, and write nothing'
    )
    add_cfg_options(parser)
    add_debug(parser)
    return parser.parse_args(argv)


def build(args: argparse.Namespace) -> StoreWriter:
    """Builds data and teachers."""
    cfg = without_stores(load_config(args.config, args.cfg_options))
    set_default_scope(cfg)
    init_default_scope(cfg.default_scope)
    # a teacher without a checkpoint is the same one when a stopped run goes on
    seed_all(args.seed)
    model = build_distillation(cfg)
    loader = build_loader(cfg)
    model.load_teachers()
    return StoreWriter(
        cfg,
        model.to(get_device()),
        loader,
        args.out,
        augmentations=args.epochs,
        seed=args.seed,
        format=args.format,
    )


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Stores."""
    args = parse_args(argv)
    writer = build(args)
    for column in writer.columns:
        print(f'{column.name}: {column.shape} as {column.format}')
    count = len(writer.missing)
    print(
        f'{args.epochs} x {writer.rows:,} rows of {writer.type.itemsize:,} bytes: '
        f'{writer.size / GB:.4g} GB in {args.out!r}; {count} files are to be written.'
    )
    writer.check_space(args.max_gb)
    if args.dry_run or not count:
        return
    started = time.perf_counter()
    with Progress(disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task('storing', total=writer.left)
        for rows in writer.write():
            progress.advance(task, rows)
    seconds = time.perf_counter() - started
    print(f'Stored in {seconds:.1f} s. Train from it with teacher_store={args.out!r}.')
