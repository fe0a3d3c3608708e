"""Does DisWOT's score without training say which student is best after it?

    CIFAR10_ROOT=DIR python benchmarks/search_cifar10.py train --epochs 3
    CIFAR10_ROOT=DIR python benchmarks/search_cifar10.py score --epochs 3

`train` trains all 24 students of benchmarks/configs/cifar10/search_resnet56.py for
some epochs of its 5,000 pictures, by labels and by KD from ResNet-56, each from the
same seed and on the same crops in the same order, in bfloat16 (autocast); the teacher
sees every crop once, and all students share its logits. What is done is kept: a second
call does what is missing.
`score` scores the same students untrained, and writes how well scores, parameters and
FLOPs rank the trained accuracy.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import _measure
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn

from mmkd_ext import compat

compat.apply()

from mmpretrain.registry import DATASETS  # noqa: E402  (after the patches)

from mmkd_ext.algorithms.sources import hand_preprocessor  # noqa: E402
from mmkd_ext.cli.search import Scorer, search_config  # noqa: E402
from mmkd_ext.evaluation.diswot import first_weights  # noqa: E402
from mmkd_ext.files import write_json  # noqa: E402
from mmkd_ext.methods import KDLoss  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'benchmarks/configs/cifar10/search_resnet56.py'
TRAINED = ROOT / 'work_dirs/search_cifar10'
OUT = ROOT / 'benchmarks/results/search_cifar10.json'
BATCH, WARMUP, SEEDS = 64, 39, 3
WIDTHS = 'backbone.widths, head.in_channels'
BFLOAT16 = torch.autocast('cpu', torch.bfloat16)


def students(config: Config) -> Iterator[tuple[str, Any]]:
    """Yields name and model dict of each student of the space."""
    depths, widths = config.search.space.values()
    for depth, (width, channels) in itertools.product(depths, widths):
        model = config.model.architecture.to_dict()
        model['backbone'].update(depth=depth, widths=width)
        model['head'].update(in_channels=channels)
        yield f'depth {depth}, widths {tuple(width)}', model


def built(model: Any, config: Config, ckpt: str | None = None) -> nn.Module:
    """Returns a model with the first weights of seed 0, or those of a checkpoint."""
    source, _ = hand_preprocessor(model, config.data_preprocessor, 'model')
    return first_weights(source, 0, ckpt)


def pictures(config: Config, split: str, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Returns normalised pictures ``(n 3 h w)`` and labels ``(n)``, in order."""
    source = dict(config.val_dataloader.dataset, data_prefix=split)
    dataset = DATASETS.build(source)
    samples = [dataset[i] for i in range(len(dataset))]
    data = {key: [sample[key] for sample in samples] for key in samples[0]}
    labels = torch.cat([sample.gt_label for sample in data['data_samples']])
    inputs: Tensor = model.data_preprocessor(data)['inputs']
    return inputs, labels


def batches(images: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields indices and cropped, mirrored pictures of an epoch; of a seed of its own.

    The border of a crop is 0 before normalisation in the config, and the mean here.
    """
    draw = torch.Generator().manual_seed(epoch)
    order = torch.randperm(len(images), generator=draw)
    for start in range(0, len(images) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        padded = F.pad(images[chosen], (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2, BATCH), generator=draw).tolist()
        mirror = (torch.rand(BATCH, generator=draw) < 0.5).tolist()
        crops = [
            image[:, t : t + 32, le : le + 32].flip(-1 if m else ())
            for image, t, le, m in zip(padded, top, left, mirror)
        ]
        yield chosen, torch.stack(crops)


@torch.no_grad()
def teacher_logits(
    teacher: nn.Module, images: Tensor, epochs: int
) -> list[list[Tensor]]:
    """Returns the teacher's logits of every batch of every epoch."""
    return [
        [teacher(crops, mode='tensor').float() for _, crops in batches(images, epoch)]
        for epoch in range(epochs)
    ]


def train(
    student: nn.Module, images: Tensor, labels: Tensor, soft: list[list[Tensor]]
) -> None:
    """Trains as `kd_resnet56_resnet8` says, an epoch for each list of targets."""
    distill = KDLoss(tau=4.0, loss_weight=0.9)
    optimizer = torch.optim.SGD(
        student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4
    )
    steps = len(soft) * len(soft[0])

    def rate(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        return min(1.0, (step + 1) / WARMUP) * cosine

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    student.train()
    for epoch, targets in enumerate(soft):
        for (chosen, crops), target in zip(batches(images, epoch), targets):
            with BFLOAT16:
                logits = student(crops, mode='tensor').float()
            loss = 0.1 * F.cross_entropy(logits, labels[chosen])
            loss = loss + distill(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of right classes in percent."""
    model.eval()
    right = sum(
        int((model(part, mode='tensor').argmax(1) == truth).sum())
        for part, truth in zip(images.split(500), labels.split(500))
    )
    return 100 * right / len(labels)


def train_all(config: Config, epochs: int) -> None:
    """Trains what is not trained yet."""
    content = {'environment': _measure.environment(), 'students': {}}
    path = TRAINED / f'epochs{epochs}.json'
    if path.is_file():
        content = json.loads(path.read_text())
    teacher = built(config.model.teacher, config, config.model.teacher_ckpt)
    teacher.eval()
    images, labels = pictures(config, 'train', teacher)
    tests = pictures(config, 'val', teacher)
    missing = [pair for pair in students(config) if pair[0] not in content['students']]
    soft: list[list[Tensor]] = []
    for name, model in missing:
        if not soft:
            started = time.process_time()
            with BFLOAT16:
                soft = teacher_logits(teacher, images, epochs)
            content['teacher'] = accuracy(teacher, *tests)
            content['teacher_seconds'] = round(time.process_time() - started, 1)
        started = time.process_time()
        student = built(model, config)
        train(student, images, labels, soft)
        content['students'][name] = {
            'accuracy': accuracy(student, *tests),
            'seconds': round(time.process_time() - started, 1),
        }
        write_json(path, content)
        print(name, content['students'][name], flush=True)


def score_all(config: Config, epochs: int) -> None:
    """Scores what is trained, and writes how the predictors rank its accuracy."""
    trained = json.loads((TRAINED / f'epochs{epochs}.json').read_text())
    names = [name for name, _ in students(config)]
    shape = [len(values) for values in config.search.space.values()]
    choices = dict(zip(names, itertools.product(*map(range, shape))))
    rows = {
        name: dict(found, predictors={}) for name, found in trained['students'].items()
    }
    kinds = [(True, 'classes'), (False, 'classes'), (True, 'channels')]
    for weights, semantic in kinds:
        asked = copy.deepcopy(config)
        asked.search.update(semantic=semantic, seeds=SEEDS)
        if not weights:
            asked.model.teacher_ckpt = None
        teacher = 'trained' if weights else 'untrained'
        path = TRAINED / f'{semantic}-{teacher}.json'
        scorer = Scorer(asked, search_config(asked), path)
        for name, row in rows.items():
            if (
                semantic == 'channels'
                and config.model.teacher.head.in_channels
                != (config.search.space[WIDTHS][choices[name][1]][1])
            ):
                continue  # the authors' form takes students as wide as the teacher
            scorer(choices[name])
            found = scorer.rows[','.join(map(str, choices[name]))]
            row.update(params=found['params'], flops=found['flops'])
            for term in ('score', 'semantic', 'relation'):
                of = f'{term}, {semantic}, {teacher} teacher'
                row['predictors'][of] = found[term]
    for row in rows.values():
        row['predictors'].update(parameters=row['params'], FLOPs=row['flops'])
    predictors = dict.fromkeys(
        key for row in rows.values() for key in row['predictors']
    )
    result = {
        'environment': _measure.environment(),
        'trained': {k: v for k, v in trained.items() if k != 'students'},
        'epochs': epochs,
        'students': rows,
        'rank': {key: ranked(key, rows) for key in predictors},
    }
    _measure.write(result, OUT)
    for key, found in result['rank'].items():
        print(f'{key:40} {found}')


def ranked(key: str, rows: dict[str, Any]) -> dict[str, float]:
    """Returns how well a predictor ranks the accuracy of the students that have it."""
    have = [row for row in rows.values() if key in row['predictors']]
    sides = [row['predictors'][key] for row in have], [row['accuracy'] for row in have]
    kendall, spearman = kendalltau(*sides), spearmanr(*sides)
    return {
        'kendall': round(float(kendall.statistic), 3),
        'spearman': round(float(spearman.statistic), 3),
        'p': round(float(kendall.pvalue), 4),
        'students': len(have),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('step', choices=['train', 'score'])
    parser.add_argument('--epochs', type=int, default=3)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    config = Config.fromfile(CONFIG)
    init_default_scope(config.default_scope)
    {'train': train_all, 'score': score_all}[args.step](config, args.epochs)
    return 0


if __name__ == '__main__':
    sys.exit(main())
