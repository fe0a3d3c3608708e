"""Writes the config of a distillation from a student and a teacher, and checks it.

    mmkd distill pspnet_r18-d8_4xb2-80k_cityscapes-512x1024 \
        pspnet_r101-d8_4xb2-80k_cityscapes-512x1024 --out cwd.py
    mmkd distill my_student.py my_teacher.py --teacher-ckpt teacher.pth --train
    mmkd distill mmdet::retinanet/retinanet_r18_fpn_1x_coco.py \
        mmdet::retinanet/retinanet_r50_fpn_1x_coco.py --method fgd
    mmkd distill my_student.py my_backbone.py --teacher-ckpt t.pth --features-only

Student and teacher are config files, `package::path`, or names of configs that mmdet,
mmseg and mmpretrain bring; weights of a named teacher are those of its model zoo.
Without --method the logits of segmentors are compared with CWD, those of classifiers
with KD, and the necks of detectors with PKD. With --features-only the backbone follows
the last features of the teacher's, of whatever task, without any label.
Data, schedule and optimizer stay those of the student's config.

Exit status: 0 no problems, 1 the check found problems, 2 wrong input.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config  # noqa: E402  (after the patches)

from mmkd_ext.cli.options import add_debug  # noqa: E402
from mmkd_ext.config.check import check_config  # noqa: E402
from mmkd_ext.config.report import console_for, render  # noqa: E402
from mmkd_ext.engine.fileio import atomic_write  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    handle_errors,
    load_config,
    set_default_scope,
)
from mmkd_ext.errors import ConfigError, did_you_mean  # noqa: E402
from mmkd_ext.package_configs import config_folders  # noqa: E402
from mmkd_ext.random_state import preserve_random_state  # noqa: E402
from mmkd_ext.registry import type_name  # noqa: E402

if TYPE_CHECKING:
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill

__all__ = ['distillation_text', 'find_config', 'logits_tap', 'main', 'write_config']

PACKAGES = ('mmseg', 'mmdet', 'mmpretrain')
SEGMENTORS = ('EncoderDecoder', 'CascadeEncoderDecoder', 'SegTTAModel')
CLASSIFIERS = ('ImageClassifier', 'TimmClassifier', 'HuggingFaceClassifier')
TOKENS = ('VisionTransformer', 'ViT', 'DeiT3')
STEPS = 3


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('student', help='config file, package::path, or a name')
    parser.add_argument('teacher', help='the same')
    parser.add_argument('--teacher-ckpt', help="file or URL of the teacher's weights")
    parser.add_argument('--student-ckpt', help="file or URL of the student's start")
    parser.add_argument(
        '--method', help='a folder of configs/distill, such as cwd, fgd or mgd'
    )
    parser.add_argument(
        '--features-only',
        action='store_true',
        help="pretrain the backbone on the teacher's last features, without labels",
    )
    parser.add_argument(
        '--out', help='config to write; default: METHOD_TEACHER_STUDENT.py'
    )
    parser.add_argument('--force', action='store_true', help='overwrite the config')
    parser.add_argument(
        '--train', action='store_true', help='train if the check passes'
    )
    parser.add_argument('--work-dir', help='where training writes')
    parser.add_argument(
        '--no-data', action='store_true', help='do not look for the data sets'
    )
    add_debug(parser)
    return parser.parse_args(argv)


# ---- models -------------------------------------------------------------------------


def find_config(name: str) -> str:
    """Returns the path or ``package::path`` of a config.

    Args:
        name: A path, ``package::path``, or the name of a config of `PACKAGES`.

    Raises:
        ConfigError: There is none, or several packages have one of that name.
    """
    if '::' in name or name.endswith('.py') or os.path.sep in name:
        return name
    found: list[str] = []
    known: set[str] = set()
    for package in PACKAGES:
        for folder in config_folders(package)[:1]:
            for path in sorted(folder.rglob('*.py')):
                known.add(path.stem)
                if path.stem == name:
                    found.append(f'{package}::{path.relative_to(folder).as_posix()}')
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f'{name!r} names several configs: {found}. Give one.')
    raise ConfigError(
        f'There is no config {name!r}: give a file, `package::path`, or the name of a '
        f'config of {" or ".join(PACKAGES)}.{did_you_mean(name, known)}'
    )


def zoo_weights(source: str) -> str | None:
    """Returns the URL of a model zoo's weights, if its metafiles name some."""
    if '::' not in source:
        return None
    import yaml

    package, relative = source.split('::', 1)
    files = [
        file
        for folder in config_folders(package)
        for file in sorted((folder / relative).parent.glob('metafile.y*ml'))
    ]
    for file in files:
        models = (yaml.safe_load(file.read_text(encoding='utf-8')) or {}).get('Models')
        for model in models or ():
            if str(model.get('Config', '')).endswith(relative):
                weights = model.get('Weights')
                return None if weights is None else str(weights)
    return None


def model_of(cfg: Config, source: str) -> Mapping[str, Any]:
    """Returns the model of a config that distils nothing."""
    model = cfg.get('model')
    if not isinstance(model, Mapping) or 'type' not in model:
        raise ConfigError(f'{source!r} has no `model` with a `type`.')
    if 'architecture' in model:
        raise ConfigError(
            f'{source!r} is itself a distillation or adaptation. Give the config of '
            'the model alone.'
        )
    return model


def package_of(model: Mapping[str, Any]) -> str:
    """Returns the package that a model dict belongs to."""
    kind = type_name(model['type']).split('.')[-1]
    if kind in SEGMENTORS:
        return 'mmseg'
    return 'mmpretrain' if kind in CLASSIFIERS else 'mmdet'


def is_segmentor(model: Mapping[str, Any]) -> bool:
    """Whether a model dict is one of mmseg's."""
    return package_of(model) == 'mmseg'


def logits_tap(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tap on a segmentor's logits.

    They are what its `conv_seg` returns, the classifier of all decode heads of mmseg
    but a few. In a cascade it is that of the last head whose logits are a map; the
    second head of PointRend scores points. Heads of queries give class scores and
    masks, of which `mmkd_ext.QueryClassMaps` makes a map.

    Args:
        model: The ``model`` dict of a config.
    """
    heads = model['decode_head']
    if isinstance(heads, (list, tuple)):
        last = max(i for i, head in enumerate(heads) if head['type'] != 'PointHead')
        return {'at': f'decode_head.{last}.conv_seg'}
    if str(heads['type']).endswith('Mask2FormerHead'):
        return {'at': 'decode_head', 'connector': {'type': 'mmkd_ext.QueryClassMaps'}}
    return {'at': 'decode_head.conv_seg'}


# ---- links --------------------------------------------------------------------------


def default_links(
    student: Mapping[str, Any], teacher: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Returns the method that suits two models of a package, and its links."""
    package = package_of(student)
    if package == 'mmseg':
        method, loss = 'cwd', {'type': 'mmkd_ext.CWDLoss', 'tau': 4.0}
        weight, taps = 3.0, (logits_tap(student), logits_tap(teacher))
    elif package == 'mmpretrain':
        method, loss = 'kd', {'type': 'mmkd_ext.KDLoss', 'tau': 4.0}
        weight, taps = 1.0, ({'at': 'head'}, {'at': 'head'})
    else:
        method, loss = 'pkd', {'type': 'mmkd_ext.PKDLoss'}
        weight, taps = 10.0, (neck_tap(student), neck_tap(teacher))
    link = {
        'loss': {**loss, 'loss_weight': weight},
        'preds_S': {'of': 'student', **taps[0]},
        'preds_T': {'of': 'teacher', **taps[1]},
    }
    return method, {f'loss_{method}': link}


def neck_tap(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tap on the pyramid of a detector, or on its backbone without a neck."""
    return {'at': 'backbone' if model.get('neck') is None else 'neck'}


def method_links(
    method: str, student: Mapping[str, Any], teacher: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the links of a method, from the shipped config that suits best.

    That is the one whose student is of the same type; among several the first. Taps on
    the logits of a segmentor follow the two models.

    Args:
        method: Name of a folder in ``configs/distill/mmseg``, ``.../mmdet`` or
            ``.../mmpretrain``.
        student: The student's ``model`` dict.
        teacher: The teacher's.

    Raises:
        ConfigError: There is no such method for these models.
    """
    package = package_of(student)
    folder = Path(*config_folders('mmkd_ext')[:1], 'distill', package)
    files = sorted((folder / method).glob('*.py'))
    if not files:
        known = sorted(path.name for path in folder.glob('*/'))
        raise ConfigError(
            f'`--method {method}`: {package} has {known}.{did_you_mean(method, known)}'
        )
    configs = [Config.fromfile(file) for file in files]
    alike = [cfg for cfg in configs if student_kind(cfg) == str(student['type'])]
    links: dict[str, Any] = (alike or configs)[0].model.distiller.links.to_dict()
    for link in links.values():
        for key, model in (('preds_S', student), ('preds_T', teacher)):
            tap = link.get(key)
            if tap and tap['at'] == 'decode_head.conv_seg' and is_segmentor(model):
                tap.update(logits_tap(model))
    return links


FEATURES = {
    'loss': {'type': 'mmkd_ext.FeatureCosineLoss'},
    'preds_S': {'of': 'student', 'at': 'backbone', 'item': -1},
    'preds_T': {'of': 'teacher', 'at': 'backbone', 'item': -1},
}
"""The link of ``--features-only``."""


def feature_teacher(model: Mapping[str, Any], name: str) -> Any:
    """Returns a teacher whose backbone gives maps, also where it is of tokens."""
    kind = type_name(model.get('backbone', {}).get('type'))
    if package_of(model) != 'mmpretrain' or not kind.endswith(TOKENS):
        return name
    # patch tokens as a map in place of the class token
    return {'cfg_path': name, 'backbone': {'out_type': 'featmap'}}


def unlabelled(node: Any) -> Any:
    """Returns a data loader none of whose pipelines reads labels."""
    if isinstance(node, Mapping):
        # cropping by the share of a class looks at them
        return {k: unlabelled(v) for k, v in node.items() if k != 'cat_max_ratio'}
    if not isinstance(node, (list, tuple)):
        return node
    kinds = (str(one.get('type')) if isinstance(one, Mapping) else '' for one in node)
    return type(node)(
        unlabelled(one)
        for one, kind in zip(node, kinds)
        if not kind.endswith('LoadAnnotations')
    )


def student_kind(cfg: Config) -> str:
    """Returns the type of a distillation's student."""
    from mmkd_ext.algorithms.sources import model_config

    return str(model_config(cfg.model.architecture, 'model.architecture')['type'])


# ---- the config ---------------------------------------------------------------------


def distillation_text(
    student: str,
    teacher: str,
    *,
    method: str | None = None,
    teacher_ckpt: str | None = None,
    student_ckpt: str | None = None,
    features_only: bool = False,
    folder: str = '.',
) -> tuple[str, str]:
    """Returns the name of the method and the text of a config.

    Args:
        student: Path or ``package::path`` of the student's config.
        teacher: That of the teacher's.
        method: See `method_links`; None chooses one that suits the models.
        teacher_ckpt: File or URL; None takes the model zoo's, if there is one.
        student_ckpt: File or URL of the student's first weights.
        features_only: Pretrain the backbone without labels; not with `method`.
        folder: Where the config will lie; a student's file is named from there.
    """
    configs = [load_config(name) for name in (student, teacher)]
    models = [model_of(*pair) for pair in zip(configs, (student, teacher))]
    if features_only:
        if method is not None:
            raise ConfigError('Give `--method` or `--features-only`, not both.')
        method, links = 'features', {'loss_features': FEATURES}
    elif package_of(models[0]) != package_of(models[1]) and method is None:
        raise ConfigError(
            f'The student is a `{models[0]["type"]}` and the teacher a '
            f'`{models[1]["type"]}`: no method suits both. Write a config with links '
            'on their backbones; see docs/concepts/links.md.'
        )
    elif method is None:
        method, links = default_links(*models)
    else:
        links = method_links(method, *models)
    weights = teacher_ckpt or zoo_weights(teacher)
    model = {
        '_delete_': True,
        'type': 'mmkd_ext.TeacherDistill',
        'architecture': '{{_base_.model}}',
        'teacher': feature_teacher(models[1], teacher) if features_only else teacher,
        **({'calculate_student_loss': False} if features_only else {}),
        **({'teacher_ckpt': weights} if weights else {}),
        **({'student_ckpt': student_ckpt} if student_ckpt else {}),
        'distiller': {'type': 'mmkd_ext.LinkDistiller', 'links': links},
    }
    hook = {'checkpoint': {'type': 'mmkd_ext.DistillCheckpointHook'}}
    body = f'model = {source(model)}\ndefault_hooks = {source(hook)}\n'
    if features_only:
        loader = {'_delete_': True, **unlabelled(configs[0].train_dataloader.to_dict())}
        body += f'train_dataloader = {source(loader)}\n'
        # the head learns nothing that could be validated
        body += 'val_dataloader = val_evaluator = val_cfg = None\n'
    # a variable of the base, not a string
    body = body.replace("'{{_base_.model}}'", '{{_base_.model}}')
    base = student if '::' in student else os.path.relpath(student, folder)
    names = ' -> '.join(Path(name).stem for name in (teacher, student))
    head = f'"""{method.upper()}: {names}.\n\nWritten by `mmkd distill`.\n"""\n\n'
    return method, f'{head}_base_ = {base!r}\n{body}'


def source(value: Any, indent: int = 0) -> str:
    """Writes dicts and lists as a config has them, broken where a line is too long."""
    short = inline(value)
    if indent + len(short) < 76 or short[0] not in 'd[(':
        return short
    inner = ' ' * (indent + 4)
    if isinstance(value, Mapping):
        parts = [f'{key}={source(v, indent + 4)}' for key, v in value.items()]
        ends = 'dict(', ')'
    else:
        parts = [source(v, indent + 4) for v in value]
        ends = ('[', ']') if isinstance(value, list) else ('(', ')')
    body = ''.join(f'{inner}{part},\n' for part in parts)
    return f'{ends[0]}\n{body}{" " * indent}{ends[1]}'


def inline(value: Any) -> str:
    """Writes a value in one line."""
    if isinstance(value, Mapping) and all(str(key).isidentifier() for key in value):
        return 'dict(' + ', '.join(f'{k}={inline(v)}' for k, v in value.items()) + ')'
    if isinstance(value, list):
        return '[' + ', '.join(map(inline, value)) + ']'
    if isinstance(value, tuple):
        return '(' + ''.join(f'{inline(v)}, ' for v in value).strip() + ')'
    return repr(value)


def write_config(args: argparse.Namespace) -> str:
    """Writes the config; returns its path."""
    student, teacher = find_config(args.student), find_config(args.teacher)
    folder = str(Path(args.out).parent) if args.out else '.'
    method, text = distillation_text(
        student,
        teacher,
        method=args.method,
        teacher_ckpt=args.teacher_ckpt,
        student_ckpt=args.student_ckpt,
        features_only=args.features_only,
        folder=folder,
    )
    stems = [Path(name).stem.split('_8xb')[0] for name in (teacher, student)]
    out = args.out or '_'.join([method, *stems]) + '.py'
    if os.path.exists(out) and not args.force:
        if Path(out).read_text(encoding='utf-8') == text:
            return out
        raise ConfigError(
            f'{out!r} is there already, and differs. Choose another name with `--out`, '
            'or overwrite it with `--force`.'
        )
    atomic_write(out, text.encode())
    return out


# ---- cost of a step -----------------------------------------------------------------


def step_cost(model: TeacherDistill) -> float:
    """Returns how long a step takes, in steps of the student alone.

    Forward and backward on a picture of noise, here and now, medians of a few.
    """
    from mmkd_ext.algorithms.dry_run import blank_batch

    batch = blank_batch(model.architecture)
    model.train()
    for module in model.modules():
        if hasattr(module, 'running_mean'):
            module.eval()  # one picture is too little for statistics

    def seconds(whole: bool) -> float:
        started = time.process_time()
        losses = (model if whole else model.architecture).loss(
            batch['inputs'], batch['data_samples']
        )
        total, _ = model.parse_losses(losses)
        total.backward()
        return time.process_time() - started

    with preserve_random_state():
        pairs = [(seconds(True), seconds(False)) for _ in range(STEPS + 1)][1:]
    return statistics.median(whole / alone for whole, alone in pairs)


def describe_cost(cfg: Config) -> str:
    """Returns a sentence on what a step of a distillation costs."""
    from mmengine.registry import DefaultScope

    from mmkd_ext.registry import MODELS

    # time needs no weights
    config = {k: v for k, v in cfg.model.items() if not k.endswith('_ckpt')}
    with (
        warnings.catch_warnings(),
        DefaultScope.overwrite_default_scope(cfg.default_scope),
    ):
        warnings.simplefilter('ignore')
        try:
            ratio = step_cost(MODELS.build(config))
        except Exception as error:
            # any head may run here, on noise; the check has trained it on data
            reason = f'{type(error).__name__}: {error}'
            return f'The cost of a step was not measured: {reason}'
    return (
        f'A step takes about {ratio:.2f} x the time of the student alone (measured on '
        'noise on this CPU).'
    )


@handle_errors
def main(argv: Sequence[str] | None = None) -> int | None:
    """Writes, checks, and trains if asked to."""
    args = parse_args(argv)
    path = write_config(args)
    cfg = load_config(path)
    set_default_scope(cfg)
    report = check_config(cfg, data=not args.no_data)
    console_for(sys.stdout).print(render(report))
    print(f'\nwritten: {path}')
    if not report.ok:
        print('Correct the config, or the command, and run `mmkd check` again.')
        return 1
    print(describe_cost(cfg))
    follow = ['--work-dir', args.work_dir] if args.work_dir else []
    if not args.train:
        print('Train it: ' + ' '.join(['mmkd train', path, *follow]))
        return 0
    from mmkd_ext.cli.train import main as train

    return train([path, *follow, '--no-check'])  # it was checked above
