"""How many of mmdet's installed configs pass the check as student of a neck method.

python benchmarks/check_share.py [--folders retinanet fcos] [--only PART] [--out FILE]

Each config is student and teacher of one CWD link on its neck, with no other edit; one
that has no neck is checked at its backbone instead, and counted apart. What mmdet
itself cannot build is not counted. Neither data nor weights are looked for. A part of
the folders is added to what the file holds already.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from _measure import environment, write
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmkd_ext.config.check import check_config

FOLDERS = ('retinanet', 'fcos', 'atss', 'gfl', 'faster_rcnn', 'rtmdet')
STEP_FAILED = 'a training step on noise failed'


def installed() -> Path:
    """Folder of the configs that mmdet brings."""
    spec = find_spec('mmdet')
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('mmdet is not installed')
    return Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'


def distillation(name: str, place: str) -> Config:
    """The config that a person would write to distil ``name`` at ``place``."""
    model = dict(cfg_path=f'mmdet::{name}')
    link = dict(
        loss=dict(type='mmkd_ext.CWDLoss'),
        preds_S=dict(of='student', at=place),
        preds_T=dict(of='teacher', at=place),
    )
    return Config(
        dict(
            default_scope='mmdet',
            model=dict(
                type='mmkd_ext.TeacherDistill',
                architecture=model,
                teacher=model,
                distiller=dict(
                    type='mmkd_ext.LinkDistiller', links=dict(loss_cwd=link)
                ),
            ),
        )
    )


def builds(path: Path) -> tuple[str, str] | None:
    """Builds a config with mmdet alone.

    Returns:
        None where it has no model; else where a neck method taps it, and why it cannot
        be built, '' if it can.
    """
    place = 'neck'
    try:
        config = Config.fromfile(path)
        if 'model' not in config:
            return None
        if config.model.get('neck') is None:
            place = 'backbone'
        with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmdet')):
            MODELS.build(config.model)
    except Exception as error:
        # a config is code, and may raise anything
        first = str(error).splitlines()[0].split(', the current sys.path')[0]
        return place, f'{type(error).__name__}: {first}'
    return place, ''


def check(name: str, place: str) -> dict[str, Any]:
    """Checks one config; returns what was found."""
    start = time.perf_counter()
    try:
        report = check_config(distillation(name, place), gradients=False, data=False)
        problems = [str(problem) for problem in report.findings.problems]
        warnings = [one.found for one in report.findings.warnings]
        steps = [found for found in warnings if STEP_FAILED in found]
    except Exception as error:
        problems, steps = [f'the check raises {type(error).__name__}: {error}'], []
    return {
        'config': name,
        'at': place,
        'passes': not problems,
        'problems': problems,
        'step': steps[0] if steps else '',
        'seconds': round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folders', nargs='+', default=FOLDERS)
    parser.add_argument('--only', default='', help='part of the names to check')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(__file__).parent / 'results' / 'check_share.json',
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)
    root = installed()
    # a part of the folders is added to what is there
    folders = json.loads(args.out.read_text())['folders'] if args.out.is_file() else {}
    for folder in args.folders:
        rows, unbuilt = [], {}
        for path in sorted((root / folder).glob('*.py')):
            name = f'{folder}/{path.name}'
            if args.only not in name:
                continue
            built = builds(path)
            if built is None:
                continue
            place, reason = built
            if reason:
                unbuilt[name] = reason
                print(f'mmdet cannot build {name}: {reason}', flush=True)
                continue
            rows.append(check(name, place))
            gc.collect()
            row = rows[-1]
            said = 'ok' if row['passes'] else f'FAILS {row["problems"]}'
            print(name, said, row['step'], f'{row["seconds"]} s', flush=True)
        with_neck = [row for row in rows if row['at'] == 'neck']
        folders[folder] = {
            'buildable': len(rows),
            'with_neck': len(with_neck),
            'pass': sum(row['passes'] for row in with_neck),
            'step_runs': sum(row['passes'] and not row['step'] for row in with_neck),
            'without_neck': [row for row in rows if row['at'] != 'neck'],
            'failures': [row for row in rows if not row['passes'] or row['step']],
            'mmdet_cannot_build': unbuilt,
        }
        save(folders, args.out)


def save(folders: dict[str, Any], out: Path) -> None:
    """Writes what is known, with the sums."""
    total = {
        key: sum(folder[key] for folder in folders.values())
        for key in ('buildable', 'with_neck', 'pass', 'step_runs')
    }
    print(total, flush=True)
    write(
        {
            'environment': environment(),
            'command': 'python benchmarks/check_share.py',
            'link': 'CWD on the neck, the config as student and as teacher',
            'total': total,
            'folders': folders,
        },
        out,
    )


if __name__ == '__main__':
    main()
