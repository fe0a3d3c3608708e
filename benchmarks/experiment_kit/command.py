"""What the commands of experiments share: their options, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from mmkd_ext import compat
from mmkd_ext.engine.steps import stop_on_signals
from mmkd_ext.errors import MMKDError

__all__ = ['REPOSITORY', 'experiment_parser', 'run_main']

REPOSITORY = Path(__file__).resolve().parents[2]


def experiment_parser(
    doc: str | None, what: str, folder: str
) -> argparse.ArgumentParser:
    """Returns a parser of the options that experiments and grids share.

    Args:
        doc: The command's docstring.
        what: Name of the argument that is the experiment's file.
        folder: Below ``work_dirs``, where runs are written.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(what, help='file in benchmarks/experiments/')
    parser.add_argument('--seeds', type=int, nargs='+', help="instead of the file's")
    parser.add_argument('--work-dir', help=f'default: work_dirs/{folder}/<name>')
    parser.add_argument(
        '--json', help='where to write; default: benchmarks/results/<name>.json'
    )
    parser.add_argument(
        '--note', default='', help='goes into the results: what a reader should know'
    )
    parser.add_argument('--jobs', type=int, default=1, help='so many runs side by side')
    parser.add_argument(
        '--keep-going',
        action='store_true',
        help='a run that fails does not stop the others',
    )
    parser.add_argument(
        '--fresh',
        action='store_true',
        help='run everything anew; what is there is moved to `outdated`',
    )
    return parser


def run_main(work: Callable[[], int], again: str = 'The same command') -> int:
    """Does the work of a command; returns the exit status, errors as a message.

    Args:
        work: Returns an exit status.
        again: What goes on from where it was stopped.
    """
    compat.apply()
    try:
        with stop_on_signals():
            return work()
    except (MMKDError, OSError) as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'\nStopped. {again} goes on from here.', file=sys.stderr)
        return 130
