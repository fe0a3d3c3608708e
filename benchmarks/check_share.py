"""How many of the installed configs of a package pass the check as student.

python benchmarks/check_share.py [--package mmseg] [--folders pspnet fcn] [--only PART]
    [--out FILE]

The links are those that `mmkd distill` writes for the two models.

mmdet: each config of some folders is student and teacher; one that has no neck is
checked at its backbone instead, and counted apart.

mmseg: each Cityscapes config is a student; the teacher is mmseg's Fast-SCNN, small and
the same for all. Configs whose models are equal but for the size of the
crop, `align_corners` and how they are tested are checked once, and then stepped forward
and backward. All of that is done on crops of noise of 64 pixels, or of more where a
pooling window needs it.

mmpretrain: each config of the folders with ResNet and its kin is student and teacher,
and equal models are checked once, as for mmseg.

There is no other edit, but that first weights are taken out. What the package itself
cannot build is not counted. Neither data nor weights are looked for. What is found is
added to what the file holds already.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import warnings
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from _measure import environment, write
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmkd_ext.algorithms import TeacherDistill, dry_run
from mmkd_ext.cli.distill import default_links
from mmkd_ext.config.check import check_config
from mmkd_ext.config.measure import random_batch

STEP_FAILED = 'a training step on noise failed'
DETECTORS = ('retinanet', 'fcos', 'atss', 'gfl', 'faster_rcnn', 'rtmdet')
WEIGHTS = ('init_cfg', 'pretrained')
SMALL_TEACHER = 'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py'
LINKS = {
    'mmdet': 'PKD on the neck, the config as student and as teacher',
    'mmseg': 'CWD on the logits, from Fast-SCNN',
    'mmpretrain': 'KD on the logits, the config as student and as teacher',
}
CLASSIFIERS = ('regnet', 'res2net', 'resnest', 'resnet', 'resnext', 'seresnet', 'wrn')


@dataclass
class Case:
    """A model to check.

    Args:
        names: The configs that have this model, from their folder on.
        at: Where it is tapped, for the report.
        model: The model alone.
        config: The distillation.
        backward: Also step backward.
    """

    names: list[str]
    at: str
    model: dict[str, Any]
    config: Config
    backward: bool


class Kept(TeacherDistill):
    """Remembers what the check has built last, for one more step."""

    last: TeacherDistill

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Kept.last = self


@dataclass
class Folder:
    """What was found in a folder."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    unbuilt: dict[str, str] = field(default_factory=dict)


def installed(package: str) -> Path:
    """Folder of the configs that a package brings."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f'{package} is not installed')
    return Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'


def distillation(
    scope: str, student: Any, teacher: Any, models: tuple[Any, Any]
) -> Config:
    """The distillation that `mmkd distill` writes for two models."""
    _, links = default_links(*models)
    distiller = dict(type='mmkd_ext.LinkDistiller', links=links)
    model = dict(type=Kept, architecture=student, teacher=teacher, distiller=distiller)
    return Config(dict(default_scope=scope, model=model))


# ---- mmdet -------------------------------------------------------------------------


def detectors(root: Path, folder: str, only: str) -> list[Case]:
    """One case for each config of a folder."""
    cases = []
    for name, model in models_in(root, f'{folder}/*.py', only).items():
        at = 'backbone' if model.get('neck') is None else 'neck'
        source = dict(cfg_path=f'mmdet::{name}')
        config = distillation('mmdet', source, source, (model, model))
        cases.append(Case([name], at, model, config, backward=False))
    return cases


# ---- mmseg -------------------------------------------------------------------------


def segmentors(root: Path, folder: str, only: str) -> list[Case]:
    """One case for each model of a folder's Cityscapes configs."""
    same: dict[str, list[str]] = {}
    models = models_in(root, f'{folder}/*cityscapes*.py', only)
    for name, model in models.items():
        kept = without(model, *WEIGHTS, 'align_corners', 'test_cfg')
        kept['data_preprocessor'].pop('size', None)
        same.setdefault(json.dumps(kept, sort_keys=True, default=str), []).append(name)
    teacher = without(Config.fromfile(root / SMALL_TEACHER).model.to_dict(), *WEIGHTS)
    cases = []
    for names in same.values():
        model = without(models[names[0]], *WEIGHTS)
        config = distillation('mmseg', model, teacher, (model, teacher))
        at = config.model.distiller.links.loss_cwd.preds_S.at
        cases.append(Case(names, at, model, config, backward=True))
    return cases


# ---- mmpretrain --------------------------------------------------------------------


def classifiers(root: Path, folder: str, only: str) -> list[Case]:
    """One case for each model of a folder."""
    same: dict[str, list[str]] = {}
    models = models_in(root, f'{folder}/*.py', only)
    for name, model in models.items():
        kept = json.dumps(without(model, *WEIGHTS), sort_keys=True, default=str)
        same.setdefault(kept, []).append(name)
    cases = []
    for names in same.values():
        model = without(models[names[0]], *WEIGHTS)
        config = distillation('mmpretrain', model, model, (model, model))
        cases.append(Case(names, 'head', model, config, backward=True))
    return cases


def without(node: Any, *keys: str) -> Any:
    """Takes keys out of a config, wherever they are."""
    if isinstance(node, dict):
        return {k: without(v, *keys) for k, v in node.items() if k not in keys}
    if isinstance(node, (list, tuple)):
        return type(node)(without(part, *keys) for part in node)
    return node


# ---- both --------------------------------------------------------------------------


def models_in(root: Path, pattern: str, only: str) -> dict[str, dict[str, Any]]:
    """Reads the models of some configs."""
    models = {}
    for path in sorted(root.glob(pattern)):
        name = str(path.relative_to(root))
        if only in name:
            config = Config.fromfile(path)
            if 'model' in config:
                models[name] = config.model.to_dict()
                if 'data_preprocessor' in config:
                    # mmpretrain's stands beside the model
                    beside = config.data_preprocessor.to_dict()
                    models[name].setdefault('data_preprocessor', beside)
    return models


def builds(model: dict[str, Any], scope: str) -> str:
    """Builds a model with its package alone; says why that fails, '' if it does not."""
    try:
        with DefaultScope.overwrite_default_scope(scope):
            MODELS.build(model)
    except Exception as error:
        # a registered class may raise anything
        first = str(error).splitlines()[0].split(', the current sys.path')[0]
        return f'{type(error).__name__}: {first}'
    return ''


def check(case: Case) -> dict[str, Any]:
    """Checks one case; returns what was found."""
    start = time.perf_counter()
    step = ''
    try:
        report = check_config(case.config, gradients=False, data=False)
        problems = [str(problem) for problem in report.problems]
        notes = [one.found for one in report.warnings]
        step = next((found for found in notes if STEP_FAILED in found), '')
        if case.backward and not step and not problems:
            step = stepped(Kept.last)
    except Exception as error:
        problems = [f'the check raises {type(error).__name__}: {error}']
    return {
        'config': case.names[0],
        'equal': case.names[1:],
        'at': case.at,
        'passes': not problems,
        'problems': problems,
        'step': step,
        'seconds': round(time.perf_counter() - start, 1),
    }


def stepped(model: TeacherDistill) -> str:
    """Steps forward and backward on small crops; says what went wrong."""
    data = random_batch(model.student)
    try:
        losses = model.loss(data['inputs'], data['data_samples'])
        learns = [p for p in model.student.parameters() if p.requires_grad]
        (link,) = model.distiller.links
        grads = torch.autograd.grad(
            losses[f'distill.{link.name}'],
            learns,
            retain_graph=True,
            allow_unused=True,
        )
        total, _ = model.parse_losses(losses)
        total.backward()
    except Exception as error:
        # a head may raise anything
        return f'{type(error).__name__}: {error}'
    if not total.isfinite():
        return f'the loss is {float(total)}'
    reached = any(grad is not None and grad.any() for grad in grads)
    return '' if reached else f'`{link.name}` gives the student no gradient'


def examine(case: Case, scope: str, folder: Folder) -> None:
    """Checks a case and notes it, or why the package cannot build it."""
    row = check(case)
    gc.collect()
    reason = '' if row['passes'] else builds(case.model, scope)
    if reason:
        folder.unbuilt.update(dict.fromkeys(case.names, reason))
        print(f'{scope} cannot build {case.names}: {reason}', flush=True)
        return
    folder.rows.append(row)
    said = 'ok' if row['passes'] else f'FAILS {row["problems"]}'
    count = len(case.names)
    print(row['config'], f'x{count}', said, row['step'], row['seconds'], flush=True)


def summary(folder: Folder, scope: str) -> dict[str, Any]:
    """Counts configs."""
    main = [row for row in folder.rows if scope != 'mmdet' or row['at'] == 'neck']
    found: dict[str, Any] = {
        'buildable': configs(folder.rows),
        'pass': configs([row for row in main if row['passes']]),
        'step_runs': configs([r for r in main if r['passes'] and not r['step']]),
    }
    if scope == 'mmdet':
        found['with_neck'] = configs(main)
        found['without_neck'] = [row for row in folder.rows if row['at'] != 'neck']
    else:
        found['models'] = len(main)
        found['taps'] = sorted({row['at'] for row in main})
    found['failures'] = [r for r in folder.rows if not r['passes'] or r['step']]
    found[f'{scope}_cannot_build'] = folder.unbuilt
    return found


def configs(rows: list[dict[str, Any]]) -> int:
    """Number of configs that some rows stand for."""
    return sum(1 + len(row['equal']) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--package', choices=tuple(LINKS), default='mmdet')
    parser.add_argument('--folders', nargs='+')
    parser.add_argument('--only', default='', help='part of the names to check')
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)
    root = installed(args.package)
    if args.package != 'mmdet':
        dry_run.SIZE = 64
    name = 'check_share' + f'_{args.package}' * (args.package != 'mmdet')
    out = args.out or Path(__file__).parent / 'results' / f'{name}.json'
    found = json.loads(out.read_text())['folders'] if out.is_file() else {}
    cases_of = {
        'mmdet': detectors,
        'mmseg': segmentors,
        'mmpretrain': classifiers,
    }[args.package]
    for name in args.folders or folders_of(args.package, root):
        folder = Folder()
        for case in cases_of(root, name, args.only):
            examine(case, args.package, folder)
        found[name] = summary(folder, args.package)
        save(args.package, dict(sorted(found.items())), out)


def folders_of(package: str, root: Path) -> list[str]:
    """Folders that are looked at."""
    if package == 'mmdet':
        return list(DETECTORS)
    if package == 'mmpretrain':
        return list(CLASSIFIERS)
    return sorted({path.parent.name for path in root.glob('*/*cityscapes*.py')})


def save(package: str, folders: dict[str, Any], out: Path) -> None:
    """Writes what is known, with the sums."""
    total = {
        key: sum(folder[key] for folder in folders.values())
        for key, value in next(iter(folders.values())).items()
        if isinstance(value, int)
    }
    print(total, flush=True)
    write(
        {
            'package': package,
            'environment': environment(),
            'command': f'python benchmarks/check_share.py --package {package}',
            'link': LINKS[package],
            'total': total,
            'folders': folders,
        },
        out,
    )


if __name__ == '__main__':
    main()
