"""Draws the toy street scenes, once.

The folder has the layouts of Cityscapes, COCO and ACDC.

    python projects/toy_streets/make.py --out data/streets --seed 0
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # need not be installed

from mmkd_ext.errors import MMKDError
from projects.toy_streets import StreetSettings, make_streets

HELP = {
    'seed': 'decides every byte',
    'height': 'rows of a picture, which is twice as wide',
    'train': 'clear pictures to train on',
    'val': 'clear pictures to validate on',
    'drives': 'drives of each condition (fog, night, rain, snow), train split',
    'val_drives': 'drives of each condition, val split',
    'frames': 'frames of a drive',
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', default='data/streets', help='folder to write')
    for item in fields(StreetSettings):
        parser.add_argument(
            f'--{item.name.replace("_", "-")}',
            type=int,
            default=item.default,
            help=f'{HELP[item.name]} (default %(default)s)',
        )
    parser.add_argument(
        '--workers',
        type=int,
        default=None,
        help='processes; changes nothing but the time it takes',
    )
    parser.add_argument(
        '--force', action='store_true', help='replace streets of other settings'
    )
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    args = parse_args(argv)
    start = time.perf_counter()
    try:
        settings = StreetSettings(
            **{item.name: getattr(args, item.name) for item in fields(StreetSettings)}
        )
        streets = make_streets(
            args.out,
            settings,
            workers=args.workers,
            force=args.force,
            show=not args.quiet,
        )
    except MMKDError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if streets.drawn:
        seconds = time.perf_counter() - start
        print(f'{settings.images} pictures in {streets.root} ({seconds:.0f} s).')
    else:
        print(f'{streets.root} is up to date.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
