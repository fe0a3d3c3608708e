"""Command-line options that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from mmengine.config import DictAction

__all__ = ['add_cfg_options', 'add_debug', 'add_launcher', 'parse_launched']


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``, which overrides keys of the config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings: a.b=1 list="[1,2]" name=x',
    )


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Adds ``--debug``, which `handle_errors` reads."""
    parser.add_argument(
        '--debug', action='store_true', help='show the traceback of an error'
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Adds ``--launcher``, and the rank that launchers of old pass."""
    parser.add_argument(
        '--launcher', default='none', choices=['none', 'pytorch', 'slurm', 'mpi']
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def parse_launched(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parses the command line of a program that a launcher may have started."""
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
