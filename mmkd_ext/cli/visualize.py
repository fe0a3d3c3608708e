"""Draws the maps of teacher and student that each link compares.

    mmkd visualize CONFIG --checkpoint work_dirs/x/iter_80000.pth --out maps

One PNG for each image and link: a row a level of the pyramid; the picture with its true
boxes, the teacher's and the student's map on one scale, their difference, and what the
method looks at (FGD's masks and attention, LD's regions, classes of segmentation).
CONFIG is that of the distillation; the checkpoint its own, or the student's file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config  # noqa: E402  (after the patches)

from mmkd_ext.cli.options import add_cfg_options, add_debug  # noqa: E402
from mmkd_ext.engine.fileio import atomic_write  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    build_distillation,
    handle_errors,
    load_config,
    load_for_test,
    set_default_scope,
)
from mmkd_ext.engine.student import is_distillation_config  # noqa: E402
from mmkd_ext.errors import CheckpointError, ConfigError, DataError  # noqa: E402

if TYPE_CHECKING:
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill
    from mmkd_ext.checkpoint import LoadReport

IMAGES = 4


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a distillation, or package::path')
    parser.add_argument(
        '--checkpoint',
        required=True,
        help="the distillation's checkpoint, or the student's file",
    )
    parser.add_argument(
        '--teacher-checkpoint', help="instead of the config's `teacher_ckpt`"
    )
    parser.add_argument('--out', required=True, help='folder for the PNG files')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--images',
        type=int,
        default=IMAGES,
        metavar='N',
        help='how many images, spread evenly over the data (default %(default)s)',
    )
    which.add_argument(
        '--indices', type=int, nargs='+', metavar='I', help='which images, from 0'
    )
    parser.add_argument(
        '--split',
        choices=['val', 'test', 'train'],
        default='val',
        help='whose images; those of train are not augmented either',
    )
    parser.add_argument(
        '--links', nargs='+', metavar='NAME', help='default: all that compare maps'
    )
    parser.add_argument(
        '--levels', type=int, nargs='+', metavar='L', help='default: all'
    )
    parser.add_argument(
        '--own-scales',
        action='store_true',
        help='give each map a colour scale of its own; by default teacher and student '
        'share one',
    )
    parser.add_argument('--device', help='default: the best that there is')
    add_cfg_options(parser)
    add_debug(parser)
    return parser.parse_args(argv)


def check_arguments(args: argparse.Namespace) -> None:
    """Checks the arguments that need no config."""
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f'`--out {args.out}` is a file; give a folder.')
    for flag, path in (
        ('--checkpoint', args.checkpoint),
        ('--teacher-checkpoint', args.teacher_checkpoint),
    ):
        if path is not None and '://' not in path and not os.path.isfile(path):
            raise CheckpointError(f'`{flag}`: there is no file {path!r}.')
    if args.images < 1:
        raise ConfigError(f'`--images` must be 1 or more, but is {args.images}.')
    for flag, numbers in (('--indices', args.indices), ('--levels', args.levels)):
        if any(number < 0 for number in numbers or ()):
            raise ConfigError(f'`{flag}` counts from 0, but got {numbers}.')


def read(args: argparse.Namespace) -> Config:
    """Reads the config and checks that it is a distillation with these links."""
    cfg = load_config(args.config, args.cfg_options)
    set_default_scope(cfg)
    if not is_distillation_config(cfg) or not cfg.model.get('distiller'):
        raise ConfigError(
            f'{args.config!r} is no distillation: its model needs `architecture`, '
            '`teacher` (or `teachers`) and `distiller`, whose links say what to draw.'
        )
    from mmengine.registry import init_default_scope

    from mmkd_ext.algorithms.teacher_distill import build_distiller
    from mmkd_ext.engine.store import without_stores
    from mmkd_ext.visualization.probe import choose_links

    # the pictures are not those of which values were stored
    without_stores(cfg)
    use_teacher(cfg, args.teacher_checkpoint)

    init_default_scope(cfg.default_scope)
    # losses and connectors alone: quick, and wrong names show before models are built
    choose_links(build_distiller(cfg.model.distiller), args.links)
    return cfg


def use_teacher(cfg: Config, checkpoint: str | None) -> None:
    """Sets the teacher's checkpoint and refuses an untrained teacher."""
    if 'teachers' in cfg.model:
        if checkpoint is not None:
            raise ConfigError(
                f'`--teacher-checkpoint`: there are {list(cfg.model.teachers)}; give '
                '`--cfg-options model.teachers.NAME.ckpt=FILE`.'
            )
        teachers = {
            name: (one.get('model'), one.get('ckpt'), f'model.teachers.{name}.ckpt')
            for name, one in cfg.model.teachers.items()
        }
    else:
        if checkpoint is not None:
            cfg.model.teacher_ckpt = checkpoint
        found = (cfg.model.get('teacher'), cfg.model.get('teacher_ckpt'))
        teachers = {'teacher': (*found, 'model.teacher_ckpt')}
    for name, (model, ckpt, path) in teachers.items():
        if ckpt is None and not _comes_trained(model):
            raise ConfigError(
                f'`{path}` is not set, so `{name}` would be drawn with random weights. '
                'Give `--teacher-checkpoint FILE`.'
            )
        if ckpt is not None and '://' not in ckpt and not os.path.isfile(ckpt):
            raise CheckpointError(
                f'`{path}`: there is no file {ckpt!r}. Give `--teacher-checkpoint '
                'FILE`.'
            )


def _comes_trained(model: Any) -> bool:
    """Whether a model's own config reads weights for all of it."""
    if not isinstance(model, Mapping):
        return False
    return bool(model.get('init_cfg')) or model.get('pretrained') is True


def build(cfg: Config, args: argparse.Namespace) -> TeacherDistill:
    """Builds the distillation with its weights."""
    from mmengine.device import get_device

    from mmkd_ext.visualization.draw import chosen_links

    model = build_distillation(cfg)
    chosen_links(model, args.links, args.levels)
    report = load_for_test(model, args.checkpoint)
    for note in untrained(model, report):
        print(f'note: {note}', file=sys.stderr)
    for teacher in model.live_teachers():
        # the checkpoint has one that was trained
        (teacher.load if teacher.learns else teacher.initialize)()
    device = args.device or get_device()
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f'`--device {device}`: {error}') from error


def untrained(model: TeacherDistill, report: LoadReport) -> list[str]:
    """Returns a note for each link whose weights a student's file does not hold."""
    distiller = model.distiller
    if any(name.startswith('distiller.') for name in report.matched):
        return []
    notes = []
    for link in distiller.links:
        parts = [
            distiller.connectors[tap.connector]
            for _, tap in link.all_taps()
            if tap.connector is not None
        ]
        if link.name in distiller.aligners:
            parts.append(distiller.aligners[link.name])
        if any(True for part in parts for _ in part.parameters()):
            notes.append(
                f"the student's side of `{link.name}` goes through a connector or an "
                "alignment whose weights a student's file does not hold: they are "
                "random. Give the distillation's checkpoint."
            )
    return notes


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Draws."""
    args = parse_args(argv)
    check_arguments(args)
    cfg = read(args)
    from mmkd_ext.visualization.draw import draw_pictures
    from mmkd_ext.visualization.figure import to_png
    from mmkd_ext.visualization.samples import Pictures, spread

    pictures = Pictures(cfg, args.split)
    indices = args.indices or spread(args.images, len(pictures))
    pictures.check(indices)
    if not indices:
        raise DataError(f'`{args.split}_dataloader` has no images.')
    model = build(cfg, args)
    figures = draw_pictures(
        model,
        pictures,
        indices,
        links=args.links,
        levels=args.levels,
        when=Path(args.checkpoint).name,
        own_scales=args.own_scales,
    )
    for figure in figures:
        path = Path(args.out) / f'{figure.link}_{figure.index:06d}.png'
        atomic_write(path, to_png(figure.image))
        print(path, flush=True)
