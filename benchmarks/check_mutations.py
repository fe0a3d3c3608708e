"""Does the check refuse what would crash, and nothing else?

python benchmarks/check_mutations.py [--count 500] [--seed 0] [--out FILE]

One key of a shipped config is changed at random: deleted, misspelt, given another type,
another sign, or a value out of range. The check judges the result; then it is really
trained, on a few toy pictures, for two iterations and one validation. Counted are:

* ``refused``: the check names a problem;
* ``passed and trained``, ``passed and crashed``: it does not, and training says so;
* ``refused and trained``: refused, though two iterations run (a misspelt key of a link
  that mmengine would ignore, a hook under a wrong name);
* ``check crashed``: the check itself raises, instead of naming a problem;
* ``false alarms``: unchanged configs that are refused.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import logging
import os
import random
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from _measure import environment, write
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext import compat
from mmkd_ext.config.check import check_config, isolated

compat.apply()

CONFIG_ROOT = Path(__file__).parent / 'configs'
CONFIGS = (
    'demo/distilled.py',
    'demo/student.py',
    'camvid/cwd-logits_fpn-r18-w32_fpn-r18-w8.py',
    'camvid/mgd-feat_fpn-r18-w32_fpn-r18-w8.py',
    'camvid/skds-holistic_fpn-r18-w32_fpn-r18-w8.py',
    'camvid/cirkd_segformer-w32_segformer-w8.py',
    'bccd/cwd-fpn_gfl-r18-w24_gfl-r18-w8.py',
    'bccd/ld_gfl-r18-w24_gfl-r18-w8.py',
    'bccd/fgd_retinanet-r18-w24_retinanet-r18-w8.py',
    'bccd/student_retinanet-r18-w8.py',
)
PARTS = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'train_cfg',
    'val_cfg',
    'val_evaluator',
    'optim_wrapper',
    'param_scheduler',
    'default_hooks',
    'custom_hooks',
    'log_processor',
    'visualizer',
    'randomness',
    'env_cfg',
)
KINDS = ('delete', 'misspell', 'type', 'sign', 'range')
PATIENCE = 60
CHECK_RAISES = 'the check raises'


# ---- toy data ------------------------------------------------------------------------


def draw(root: Path) -> None:
    """Draws pictures in the layouts of the three data sets, a few kilobytes each."""
    rng = np.random.default_rng(0)
    for name in ('train_0', 'train_1', 'train_2', 'val_0', 'val_1'):
        split = name.split('_')[0]
        picture = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        label = np.kron(rng.integers(0, 11, (6, 8)), np.ones((20, 20))).astype(np.uint8)
        for path, what in {
            f'camvid/images/{split}/{name}.jpg': picture,
            f'camvid/labels/{split}/{name}.png': label,
            f'bccd/images/{name}.jpg': picture,
            f'streets/leftImg8bit/{split}/a/{name}_leftImg8bit.png': picture,
            f'streets/gtFine/{split}/a/{name}_gtFine_labelTrainIds.png': label,
        }.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / path), what)
        lists = root / 'camvid' / 'splits'
        lists.mkdir(exist_ok=True)
        with (lists / f'{split}.txt').open('a') as file:
            file.write(f'{split}/{name}\n')
    for split, count in (('train', 3), ('val', 2)):
        path = root / 'bccd' / 'annotations' / f'{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(cells(split, count)))


def cells(split: str, count: int) -> dict[str, Any]:
    """Annotations of pictures with one box of each class."""
    boxes = [[10, 10, 60, 50], [80, 20, 40, 40], [40, 70, 30, 30]]
    return {
        'images': [
            dict(id=i, file_name=f'{split}_{i}.jpg', height=120, width=160)
            for i in range(count)
        ],
        'annotations': [
            dict(id=3 * i + c, image_id=i, category_id=c, bbox=box, iscrowd=0,
                 area=box[2] * box[3])
            for i in range(count)
            for c, box in enumerate(boxes)
        ],
        'categories': [
            dict(id=c, name=name) for c, name in enumerate(('RBC', 'WBC', 'Platelets'))
        ],
    }  # fmt: skip


def small(name: str, root: Path) -> Config:
    """Reads a config, with little data, two iterations, and no teacher's file."""
    os.environ['CAMVID_ROOT'] = str(root / 'camvid')
    os.environ['BCCD_ROOT'] = str(root / 'bccd')
    cfg = Config.fromfile(CONFIG_ROOT / name)
    cfg.model.pop('teacher_ckpt', None)
    if name.startswith('bccd'):
        cfg.val_dataloader, cfg.val_cfg = cfg.test_dataloader, dict(type='ValLoop')
        cfg.val_evaluator = cfg.test_evaluator
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.pop('indices', None)
        if name.startswith('demo'):
            loader.dataset.data_root = str(root / 'streets')
            loader.dataset.seg_map_suffix = '_gtFine_labelTrainIds.png'
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    for i, scheduler in enumerate(cfg.param_scheduler):
        scheduler.update(begin=i, end=i + 1)
    for split in ('dataloader', 'cfg', 'evaluator'):
        cfg[f'test_{split}'] = None
    cfg.load_from, cfg.work_dir = None, str(root / 'work')
    cfg.log_level = 'ERROR'
    return Config(cfg.to_dict())


# ---- changes -------------------------------------------------------------------------


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Lists all keys below a node."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(key, str):
            found.append((*path, key))
        if isinstance(value, (dict, list, tuple)):
            found += places(value, (*path, key))
    return found


def change(cfg: dict[str, Any], rng: random.Random) -> str:
    """Changes one key; returns what was done."""
    while True:
        part = {key: cfg[key] for key in PARTS if cfg.get(key) is not None}
        path, kind = rng.choice(places(part)), rng.choice(KINDS)
        holder = cfg
        for key in path[:-1]:
            holder = holder[key]
        if not isinstance(holder, dict):
            continue
        key, value = path[-1], holder[path[-1]]
        at = rng.randrange(len(key))
        other = key[:at] + key[at + 1 :] + key[at]
        if kind == 'misspell' and other in holder:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind in ('sign', 'range') and not number:
            continue
        if kind == 'range' and key == 'num_workers':
            continue  # a dozen processes that read three pictures
        if kind in ('delete', 'misspell'):
            del holder[key]
        if kind == 'misspell':
            holder[other] = value
        elif kind == 'sign':
            holder[key] = -value if value else -1
        elif kind == 'range':
            holder[key] = value * 7 + 13
        elif kind == 'type':
            holder[key] = 3.5 if isinstance(value, str) else 'abc'
        now = '' if kind in ('delete', 'misspell') else f' = {holder[key]!r}'
        return f'{kind}: {".".join(map(str, path))}{now}'


# ---- judging -------------------------------------------------------------------------


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Ends the block with an error when it takes too long."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f'longer than {PATIENCE} s')

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)


def judged(cfg: Config) -> list[str]:
    """What the check says."""
    try:
        with patience():
            report = check_config(cfg, gradients=False)
    except Exception as error:
        return [f'{CHECK_RAISES} {type(error).__name__}: {error}']
    return [str(problem) for problem in report.problems]


def trained(cfg: Config) -> str:
    """Trains; returns what went wrong, '' if nothing did."""
    try:
        with patience(), isolated(Config()), contextlib.redirect_stderr(io.StringIO()):
            Runner.from_cfg(cfg).train()
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return ''


def quietly() -> None:
    """Says nothing on the way, and dumps configs fast."""
    warnings.filterwarnings('ignore')
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    Config.pretty_text = property(lambda config: repr(config._cfg_dict))


def run(
    count: int, seed: int, names: tuple[str, ...] = CONFIGS
) -> Iterator[dict[str, Any]]:
    """Judges unchanged configs, then changes of them; yields what is known so far."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    alarms = {}
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
        plain = {name: small(name, Path(folder)) for name in names}
        for name, cfg in plain.items():
            said, failed = judged(copy.deepcopy(cfg)), trained(copy.deepcopy(cfg))
            if failed:
                raise SystemExit(f'{name} does not train unchanged: {failed}')
            if said:
                alarms[name] = said
        for number in range(count):
            name = names[number % len(names)]
            rows.append(one_change(name, plain[name].to_dict(), rng))
            print(number, *rows[-1].values(), flush=True)
            yield {'seed': seed, 'false_alarms_on_unchanged': alarms, **summary(rows)}


def one_change(
    name: str, changed: dict[str, Any], rng: random.Random
) -> dict[str, Any]:
    """Changes a config, and holds what the check says against training it."""
    what = change(changed, rng)
    start = time.perf_counter()
    said = judged(Config(copy.deepcopy(changed)))
    took = time.perf_counter() - start
    failed = trained(Config(copy.deepcopy(changed)))
    verdict = ' and '.join(
        ('refused' if said else 'passed', 'crashed' if failed else 'trained')
    )
    if said and said[0].startswith(CHECK_RAISES):
        verdict = 'check crashed'
    return {
        'verdict': verdict,
        'config': name,
        'change': what,
        'check_s': round(took, 1),
        'problems': said[:3],
        'crash': failed[:300],
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts verdicts; shows the changes where check and training disagree."""
    unlike = ('passed and crashed', 'refused and trained', 'check crashed')
    return {
        'changes': len(rows),
        'counts': dict(Counter(row['verdict'] for row in rows)),
        'seconds_a_check': round(float(np.median([r['check_s'] for r in rows])), 1),
        **{
            name.replace(' ', '_'): [row for row in rows if row['verdict'] == name]
            for name in unlike
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--count', type=int, default=500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', default='', help='part of the configs to change')
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    quietly()
    names = tuple(name for name in CONFIGS if args.only in name)
    command = 'python benchmarks/check_mutations.py'
    out = args.out or Path(__file__).parent / 'results' / 'check_mutations.json'
    for found in run(args.count, args.seed, names):
        if found['changes'] % 10 == 0 or found['changes'] == args.count:
            write({'environment': environment(), 'command': command, **found}, out)
            print(found['counts'], flush=True)


if __name__ == '__main__':
    main()
