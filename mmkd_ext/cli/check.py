"""Checks a config: builds it, runs one step on noise, and lists its problems.

    mmkd check configs/distill/mmseg/cwd/NAME.py
    mmkd check CONFIG --taps student
    mmkd check CONFIG --json --no-data

Needs no data set and no GPU. Exit status: 0 no problems, 1 problems.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config  # noqa: E402  (after the patches)

from mmkd_ext.cli.options import add_cfg_options, add_debug  # noqa: E402
from mmkd_ext.config.check import check_config, list_taps  # noqa: E402
from mmkd_ext.config.context import Report  # noqa: E402
from mmkd_ext.config.report import console_for, render, render_taps  # noqa: E402
from mmkd_ext.engine.launch import load_config, set_default_scope  # noqa: E402
from mmkd_ext.errors import MMKDError, Problem  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='+', help='config files, or package::path')
    add_cfg_options(parser)
    parser.add_argument(
        '--taps',
        metavar='MODEL',
        help='list what links can tap of a model: student, teacher, or a '
        "teacher's name",
    )
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument(
        '--no-data',
        action='store_true',
        help='do not look for the files of the data sets',
    )
    parser.add_argument(
        '--no-gradients',
        action='store_true',
        help='leave the shares of the gradient out',
    )
    parser.add_argument(
        '--gpus',
        type=int,
        help='number of GPUs to judge the learning rate for; default: '
        "what the config's name says, else 1",
    )
    add_debug(parser)
    return parser.parse_args(argv)


def read(args: argparse.Namespace, name: str) -> Config:
    """Reads one config as the other tools do."""
    cfg = load_config(name, args.cfg_options)
    set_default_scope(cfg)
    return cfg


def report_on(args: argparse.Namespace, name: str) -> Report:
    """Checks one config; a file that cannot be read is a problem of its own."""
    try:
        cfg = read(args, name)
    except MMKDError as error:
        if args.debug:
            traceback.print_exc()
        report = Report(name)
        report.add([Problem('', str(error))])
        return report
    return check_config(
        cfg, gradients=not args.no_gradients, data=not args.no_data, gpus=args.gpus
    )


def show_taps(args: argparse.Namespace, name: str) -> None:
    """Prints what can be tapped."""
    modules = list_taps(read(args, name), args.taps)
    if args.json:
        print(json.dumps([asdict(module) for module in modules], indent=2))
    else:
        console_for(sys.stdout).print(render_taps(args.taps, modules))


def main(argv: Sequence[str] | None = None) -> int:
    """Checks and prints; returns the exit status."""
    args = parse_args(argv)
    if args.taps is not None:
        try:
            for name in args.config:
                show_taps(args, name)
        except MMKDError as error:
            if args.debug:
                traceback.print_exc()
            print(f'\nerror: {error}', file=sys.stderr)
            return 1
        return 0
    reports = [report_on(args, name) for name in args.config]
    if args.json:
        found = [report.to_dict() for report in reports]
        print(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        for report in reports:
            console_for(sys.stdout).print(render(report))
    return 0 if all(report.ok for report in reports) else 1
