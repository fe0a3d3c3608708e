"""The command ``mmkd``: one subcommand for each program of this package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from mmkd_ext.errors import did_you_mean
from mmkd_ext.version import __version__

__all__ = ['COMMANDS', 'main']

COMMANDS = {
    'distill': ('distill:main', 'write a config from a student and a teacher'),
    'search': ('search:main', 'rank students for a teacher without training'),
    'check': ('check:main', 'report every problem of a config before training'),
    'store': ('store:main', 'store what links tap of a teacher'),
    'train': ('train:main', 'train the model of a config'),
    'chain': ('chain:main', 'train teachers and students one after another'),
    'test': ('test:main', 'test a model'),
    'adapt': ('test:adapt', 'adapt a model to a stream of domains'),
    'export': ('export:main', 'extract the student from a checkpoint'),
    'report': ('report:main', 'tables and figures of adaptation runs'),
    'visualize': ('visualize:main', 'draw the maps that each link compares'),
    'doctor': ('doctor:main', 'check every part of the installed stack'),
}
"""For each subcommand its ``module:function`` in this package, and what it does."""


def usage() -> str:
    """Returns the list of subcommands."""
    rows = '\n'.join(f'  {name:10} {what}' for name, (_, what) in COMMANDS.items())
    return f'usage: mmkd COMMAND ...\n\n{rows}\n\nSee `mmkd COMMAND --help`.'


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand; returns its exit status.

    Args:
        argv: The subcommand and its arguments; None takes the command line's.
    """
    name, *rest = [*(sys.argv[1:] if argv is None else argv), '']
    if name in ('', '-h', '--help', 'help'):
        print(usage())
        return 0 if name else 2
    if name in ('-V', '--version', 'version'):
        print(__version__)
        return 0
    if name not in COMMANDS:
        print(
            f'error: there is no command {name!r}.{did_you_mean(name, COMMANDS)}\n\n'
            f'{usage()}',
            file=sys.stderr,
        )
        return 2
    module, function = COMMANDS[name][0].split(':')
    run = getattr(importlib.import_module(f'mmkd_ext.cli.{module}'), function)
    before = sys.argv
    sys.argv = [f'mmkd {name}', *rest[:-1]]  # argparse shows it as the program's name
    try:
        return int(run(rest[:-1]) or 0)
    finally:
        sys.argv = before
