"""Extracts the student from a distillation's checkpoint, as a plain model.

Example: ``mmkd export work_dirs/x/iter_80000.pth --out s.pth``

With ``--onnx FILE --config CONFIG --size HEIGHT WIDTH`` it writes ONNX as well.

For checkpoints of this project and of mmrazor. mmdet and mmseg load the result
strictly.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmkd_ext import compat

compat.apply()

from mmkd_ext.checkpoint import (  # noqa: E402
    PARTS,
    read_checkpoint,
    student_checkpoint,
    to_bytes,
)
from mmkd_ext.cli.options import add_debug  # noqa: E402
from mmkd_ext.engine.fileio import atomic_write  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    handle_errors,
    load_config,
    set_default_scope,
)
from mmkd_ext.engine.onnx import export_onnx  # noqa: E402
from mmkd_ext.engine.student import plain_config  # noqa: E402
from mmkd_ext.errors import CheckpointError, ConfigError  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', help='checkpoint of a distillation')
    parser.add_argument('--out', help='file to write; default: CHECKPOINT_student.pth')
    parser.add_argument(
        '--ema',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='the averaged weights of EMAHook, or those it averaged; '
        'default: averaged if there are any',
    )
    parser.add_argument(
        '--part',
        choices=sorted(PARTS),
        default='student',
        help="what to take; mmrazor's files hold the teacher too",
    )
    parser.add_argument(
        '--config',
        help='config of the distillation or the student: '
        'checks that every weight fits, and is put in',
    )
    parser.add_argument('--onnx', help='ONNX file to write as well; needs --config')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the pictures of --onnx',
    )
    add_debug(parser)
    args = parser.parse_args(argv)
    if args.onnx and not (args.config and args.size):
        parser.error('--onnx needs --config and --size')
    return args


def verify(config: str, weights: Mapping[str, Tensor]) -> tuple[Any, str]:
    """Returns the plain model, loaded strictly, and the text of its config."""
    cfg = load_config(config)
    set_default_scope(cfg)
    plain = plain_config(cfg)
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope(plain.default_scope)
    if plain.get('data_preprocessor') is not None:
        plain.model.setdefault('data_preprocessor', plain.data_preprocessor)
    model = MODELS.build(plain.model)
    try:
        model.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f'The weights do not fit the model of {config!r}: {error}'
        ) from error
    return model, plain.pretty_text


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Exports."""
    args = parse_args(argv)
    stem, extension = os.path.splitext(args.checkpoint)
    out = args.out or f'{stem}_{args.part}{extension}'
    if os.path.abspath(out) == os.path.abspath(args.checkpoint):
        raise ConfigError(
            f'`--out {out}` is the checkpoint itself. Choose another name.'
        )
    content = read_checkpoint(args.checkpoint)
    student = student_checkpoint(content, ema=args.ema, part=args.part)
    if args.config:
        model, text = verify(args.config, student['state_dict'])
        student['meta']['cfg'] = text
        if args.onnx:
            print(f'{args.onnx}: {export_onnx(model, args.onnx, tuple(args.size))}')
    atomic_write(out, to_bytes(student))
    weights = student['state_dict']
    million = sum(value.numel() for value in weights.values()) / 1e6
    averaged = 'ema_state_dict' in content and args.ema is not False
    print(
        f'{args.part} of {args.checkpoint}: {len(weights)} tensors, {million:.2f} M '
        f'numbers{", averaged" if averaged else ""} -> {out}'
    )
