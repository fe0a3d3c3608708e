"""Which signal without labels tells how much of a picture's statistics to take?

    CAMVID_ROOT=DIR ESPNETV2_ROOT=DIR python benchmarks/espnetv2_mixing.py

ESPNetv2 of four widths from Cityscapes, on the pictures of CamVid's `train` from which
rates are chosen too (adapt_espnetv2_rates.py): two drives by day, and drawn weather.
Each picture is predicted with fixed shares of its statistics in batch normalisation;
with the share that its `relative_contrast` gives, for several scales, and the same
layer by layer; and, up to a share of 0.2, mirrored. A signal of two mirror images is
good if the share at which it is lowest is the one of the highest mIoU; where it is not
lower than at 0 by a margin, 0 stays. The table has the mean gain over 0 and the worst
domain of each rule. A rule's setting is also chosen on three widths, as the one that
gains most without losing more than `LOSS` in any domain, and tried on the fourth.

    ... --experiment adapt_espnetv2 --json .../espnetv2_mixing_stream.json

What was chosen, once, on the stream that the tables report.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import _measure
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor

from mmkd_ext import compat

compat.apply()

from mmseg.registry import MODELS  # noqa: E402  (after the patches)

from mmkd_ext.adaptation.bn_distance import RelativeDistance  # noqa: E402
from mmkd_ext.adaptation.domains import build_dataset, parse_domains  # noqa: E402
from mmkd_ext.adaptation.mixing import AutoMixing, relative_contrast  # noqa: E402
from mmkd_ext.adaptation.norms import (  # noqa: E402
    NormRecorder,
    Statistics,
    batch_norms,
    use_adaptive_norms,
)
from mmkd_ext.adaptation.pseudo_labels import entropy  # noqa: E402
from mmkd_ext.adaptation.segment import image_logits  # noqa: E402
from mmkd_ext.evaluation.adaptation.record import areas, iou_metrics  # noqa: E402
from mmkd_ext.functional import merge_classes  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = ('w05', 'w10', 'w15', 'w20')
MIXINGS = (0.0, 0.1, 0.2, 0.3, 0.5)
#: Shares that the signals choose from; a picture's mirror image is predicted with them.
CANDIDATES = (0.0, 0.1, 0.2)
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
SCALES = (0.25, 0.5, 1.0)
#: What is compared; each is lowest for the share to take.
SIGNALS = (
    *('mirror_uncertainty', 'mirror_cross_entropy', 'mirror_disagreement'),
    *('entropy', 'source_disagreement'),
)
#: The experiment on whose pictures settings are chosen.
RULE = 'adapt_espnetv2_rates'
#: What a setting may lose in the worst domain to be chosen for another width.
LOSS = 0.5


def stream_config(width: str, experiment: str) -> Config:
    """Returns the config of a width on the pictures of an experiment."""
    config = Config.fromfile(ROOT / 'projects/espnetv2/configs/_base_/adapt-camvid.py')
    rule = Config.fromfile(ROOT / f'benchmarks/experiments/{experiment}.py')
    # of the experiment, the pictures and not the network
    network = copy.deepcopy(config.espnetv2[width])
    lists = {
        key: ast.literal_eval(value)
        for key, value in rule.options.items()
        if str(value).startswith('[')
    }
    config.merge_from_dict({**rule.options, **lists})
    config.model.architecture = network
    return config


@torch.no_grad()
def measure_domain(
    model: Any, dataset: Any, class_map: Sequence[int], *, check: bool = False
) -> Any:
    """Returns mIoU by share and by contrast, the means of the signals, the distance.

    Args:
        model: The network.
        dataset: The pictures.
        class_map: See `merge_classes`.
        check: Whether only the candidates and `AutoMixing` are to be measured.
    """
    norms = use_adaptive_norms(model, 0.0)
    total: dict[str, Tensor] = {}
    signals: dict[str, list[dict[str, float]]] = {
        str(share): [] for share in (() if check else CANDIDATES)
    }
    seen: dict[str, list[float]] = {'distance': [], 'contrast': []}
    for item in dataset:
        batch = {'inputs': [item['inputs']], 'data_samples': [item['data_samples']]}
        x = model.data_preprocessor(batch, False)['inputs']
        truth = item['data_samples'].gt_sem_seg.data[0]
        for norm in norms.values():
            norm.momentum = 0.0
        recorder = NormRecorder()
        with recorder.recording(model):
            source = image_logits(model, x)
        found = recorder.statistics
        contrast = float(relative_contrast(model, found))
        layers = {
            name: float(relative_contrast(model, {name: found[name]})) for name in found
        }
        seen['distance'].append(distance_of(model, found))
        seen['contrast'].append(contrast)
        shares: dict[str, Any] = {
            str(share): share for share in (CANDIDATES if check else MIXINGS)
        }
        for scale in (AutoMixing().scale,) if check else SCALES:
            shares[f'contrast {scale}'] = scale * max(0.0, 1 - contrast)
        if not check:
            shares['layers 0.5'] = {n: max(0.0, 1 - c) / 2 for n, c in layers.items()}
        for rule, share in shares.items():
            for name, norm in norms.items():
                norm.momentum = share[name] if isinstance(share, dict) else share
            logits = source if share == 0 else image_logits(model, x)
            if rule in signals:
                mirrored = image_logits(model, x.flip(-1))
                signals[rule].append(signals_of(logits, mirrored, source))
            resized = torch.nn.functional.interpolate(
                logits, truth.shape, mode='bilinear'
            )
            labels = merge_classes(resized, class_map).argmax(1)[0]
            counts = areas(labels, truth, max(class_map) + 1)
            total[rule] = total.get(rule, 0) + counts
    names = [str(n) for n in range(max(class_map) + 1)]
    return {
        **{name: [round(one, 3) for one in values] for name, values in seen.items()},
        'mIoU': {r: round(iou_metrics(a, names)['mIoU'], 2) for r, a in total.items()},
        'signals': {
            share: {n: round(sum(o[n] for o in rows) / len(rows), 4) for n in SIGNALS}
            for share, rows in signals.items()
        },
    }


def distance_of(model: Any, found: Mapping[str, Statistics]) -> float:
    """Returns how far a picture's statistics are from the source's."""
    norms, distance = batch_norms(model), RelativeDistance(model, list(found))
    running = {
        name: Statistics(norms[name].running_mean, norms[name].running_var)
        for name in found
    }
    return float(distance(distance.stack(dict(found)), distance.stack(running)))


def signals_of(logits: Tensor, mirrored: Tensor, source: Tensor) -> dict[str, float]:
    """Returns the signals of one picture at one share."""
    back = mirrored.flip(-1)
    log_p, log_q = logits.log_softmax(1), back.log_softmax(1)
    cross = -(log_p.exp() * log_q + log_q.exp() * log_p).sum(1).mean() / 2
    labels = logits.argmax(1)
    # the part of what could be known about the classes that is not known, or not the
    # same in both; at least a thousandth of a nat: one class leaves nothing to know
    mean = (log_p.exp() + log_q.exp()).mean((0, 2, 3)) / 2
    found = {
        'mirror_uncertainty': cross / torch.special.entr(mean).sum().clamp_min(1e-3),
        'mirror_cross_entropy': cross,
        'mirror_disagreement': (labels != back.argmax(1)).float().mean(),
        'entropy': entropy(logits).mean(),
        'source_disagreement': (labels != source.argmax(1)).float().mean(),
    }
    return {name: float(value) for name, value in found.items()}


def chosen(domain: Mapping[str, Any], signal: str, margin: float) -> str:
    """Returns the share at which a signal is lowest, or 0."""
    of = {share: row[signal] for share, row in domain['signals'].items()}
    best = min(of, key=of.__getitem__)
    return best if of[best] < (1 - margin) * of['0.0'] else '0.0'


def gains(domains: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Returns for each kind of rule and each setting of it the gains over 0."""
    rules: dict[str, dict[str, list[float]]] = {}
    for domain in domains.values():
        miou = domain['mIoU']
        found = {('one share for all', str(share)): str(share) for share in MIXINGS}
        found |= {('contrast', f'scale {s}'): f'contrast {s}' for s in SCALES}
        found['contrast of each layer', 'scale 0.5'] = 'layers 0.5'
        for signal in SIGNALS if domain['signals'] else ():
            for margin in MARGINS:
                rule = (signal.replace('_', ' '), f'margin {margin}')
                found[rule] = chosen(domain, signal, margin)
        found['the best share, by labels', ''] = max(
            (str(share) for share in MIXINGS if str(share) in miou),
            key=miou.__getitem__,
        )
        for (kind, setting), share in found.items():
            if share not in miou:
                continue
            rows = rules.setdefault(kind, {}).setdefault(setting, [])
            rows.append(round(miou[share] - miou['0.0'], 2))
    return rules


def summary(domains: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns mean and worst gain of each rule, also on the widths left out."""
    widths = [name.split(',')[0] for name in domains]
    rows = []
    for kind, settings in gains(domains).items():
        held: list[float] = []
        for width in dict.fromkeys(widths):
            means = {'': 0.0}
            for setting, values in settings.items():
                others = [v for v, w in zip(values, widths) if w != width]
                if others and min(others) >= -LOSS:
                    means[setting] = sum(others) / len(others)
            best = max(means, key=means.__getitem__)
            values = settings.get(best, [0.0] * len(widths))
            held += [v for v, w in zip(values, widths) if w == width]
        for setting, values in settings.items():
            row = {'signal': kind, 'setting': setting, **mean_and_worst(values)}
            rows.append({**row, 'left_out': mean_and_worst(held)})
    return rows


def mean_and_worst(values: Sequence[float]) -> dict[str, float]:
    """Returns both, rounded."""
    mean = round(sum(values) / len(values), 2)
    return {'mean_gain': mean, 'worst': min(values)}


def measure_width(width: str, experiment: str) -> dict[str, Any]:
    """Returns the domains of a width on the pictures of an experiment."""
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    config = stream_config(width, experiment)
    check = experiment != RULE
    found = {}
    for domain in parse_domains(config.test_cfg.domains, config.test_dataloader, None):
        # anew: each domain starts from the weights' own statistics
        model = MODELS.build(config.model.architecture)
        file = f'{config.weights}/espnetv2-{width}.pth'
        load_checkpoint(model, file, map_location='cpu', strict=True)
        name = f'{width}, {domain.name}'
        found[name] = measure_domain(
            model.eval(), build_dataset(domain), config.model.class_map, check=check
        )
        print(f'{name}: mIoU {found[name]["mIoU"]}', flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--json', type=Path, default=ROOT / 'benchmarks/results/espnetv2_mixing.json'
    )
    parser.add_argument(
        '--experiment', default=RULE, help='with other pictures: the choice is checked'
    )
    parser.add_argument('--jobs', type=int, default=1, help='widths at the same time')
    args = parser.parse_args(argv)
    environment = _measure.environment()  # of the code that runs
    with ProcessPoolExecutor(args.jobs) as pool:
        measure = functools.partial(measure_width, experiment=args.experiment)
        parts = list(pool.map(measure, WIDTHS))
    domains = {name: one for part in parts for name, one in part.items()}
    result = {
        'experiment': args.experiment,
        'domains': domains,
        'signals': summary(domains),
    }
    _measure.write({'environment': environment, **result}, args.json)
    return 0


if __name__ == '__main__':
    os.chdir(ROOT)
    sys.exit(main())
