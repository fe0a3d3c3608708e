"""Which signal without labels tells how much of a picture's statistics to take?

    CAMVID_ROOT=DIR ESPNETV2_ROOT=DIR python benchmarks/espnetv2_mixing.py

ESPNetv2 of four widths from Cityscapes, on the pictures of CamVid's `train` from which
rates are chosen too (adapt_espnetv2_rates.py): two drives by day, and drawn weather.
Each picture and its mirror image are predicted with shares of the picture's statistics
in batch normalisation from 0 to 1. A signal is good if the share at which it is lowest
is the one of the highest mIoU; where it is not lower than at 0 by a margin, 0 stays.
The table has, for each signal and margin, the mean gain over 0 and the worst domain.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import sys
from collections.abc import Mapping, Sequence
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
from mmkd_ext.adaptation.mixing import mirror_uncertainty  # noqa: E402
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
MIXINGS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
#: What is compared; each is lowest for the share to take.
SIGNALS = (
    *('mirror_uncertainty', 'mirror_cross_entropy', 'mirror_disagreement'),
    *('entropy', 'source_disagreement'),
)
CANDIDATES = ((0.0, 0.1, 0.2), MIXINGS)


def rule_config(width: str) -> Config:
    """Returns the config of a width on the stream that chooses settings."""
    config = Config.fromfile(ROOT / 'projects/espnetv2/configs/_base_/adapt-camvid.py')
    rule = Config.fromfile(ROOT / 'benchmarks/experiments/adapt_espnetv2_rates.py')
    # of the rule, the pictures and not the network
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
def measure_domain(model: Any, dataset: Any, class_map: Sequence[int]) -> Any:
    """Returns mIoU and the means of the signals for each share, and the distance."""
    norms = use_adaptive_norms(model, 0.0)
    total = {share: torch.zeros(3, max(class_map) + 1) for share in MIXINGS}
    signals: dict[float, list[dict[str, float]]] = {share: [] for share in MIXINGS}
    distances = []
    for item in dataset:
        batch = {'inputs': [item['inputs']], 'data_samples': [item['data_samples']]}
        x = model.data_preprocessor(batch, False)['inputs']
        truth = item['data_samples'].gt_sem_seg.data[0]
        source = None
        distances.append(distance_of(model, x))
        for share in MIXINGS:
            for norm in norms.values():
                norm.momentum = share
            logits, mirrored = image_logits(model, x), image_logits(model, x.flip(-1))
            source = logits if source is None else source
            signals[share].append(signals_of(logits, mirrored, source))
            size = truth.shape
            resized = torch.nn.functional.interpolate(logits, size, mode='bilinear')
            found = merge_classes(resized, class_map).argmax(1)[0]
            total[share] += areas(found, truth, max(class_map) + 1)
    names = [str(n) for n in range(max(class_map) + 1)]
    rows = {
        str(share): {
            'mIoU': iou_metrics(total[share], names)['mIoU'],
            **{
                name: round(sum(one[name] for one in seen) / len(seen), 4)
                for name in SIGNALS
            },
        }
        for share, seen in signals.items()
    }
    return {'distance': round(sum(distances) / len(distances), 3), 'mixings': rows}


def distance_of(model: Any, x: Tensor) -> float:
    """Returns how far a picture's statistics are from the source's."""
    recorder = NormRecorder()
    with recorder.recording(model):
        image_logits(model, x)
    norms, found = batch_norms(model), recorder.statistics
    distance = RelativeDistance(model, list(found))
    running = {
        name: Statistics(norms[name].running_mean, norms[name].running_var)
        for name in found
    }
    return float(distance(distance.stack(found), distance.stack(running)))


def signals_of(logits: Tensor, mirrored: Tensor, source: Tensor) -> dict[str, float]:
    """Returns the signals of one picture at one share."""
    back = mirrored.flip(-1)
    log_p, log_q = logits.log_softmax(1), back.log_softmax(1)
    cross = -(log_p.exp() * log_q + log_q.exp() * log_p).sum(1).mean() / 2
    labels = logits.argmax(1)
    found = {
        'mirror_uncertainty': mirror_uncertainty(logits, mirrored),
        'mirror_cross_entropy': cross,
        'mirror_disagreement': (labels != back.argmax(1)).float().mean(),
        'entropy': entropy(logits).mean(),
        'source_disagreement': (labels != source.argmax(1)).float().mean(),
    }
    return {name: float(value) for name, value in found.items()}


def summary(domains: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what each signal would have gained over the source's statistics."""
    rows = []
    for candidates in CANDIDATES:
        for name in SIGNALS:
            for margin in MARGINS:
                gains = []
                for domain in domains.values():
                    of = {share: domain['mixings'][str(share)] for share in candidates}
                    best = min(of, key=lambda share: of[share][name])
                    enough = of[best][name] < (1 - margin) * of[0.0][name]
                    share = best if enough else 0.0
                    gains.append(of[share]['mIoU'] - of[0.0]['mIoU'])
                rows.append(
                    {
                        'signal': name,
                        'candidates': list(candidates),
                        'margin': margin,
                        'mean_gain': round(sum(gains) / len(gains), 2),
                        'worst': round(min(gains), 2),
                    }
                )
    return rows


def fixed(domains: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the gain of one share for all, and of the best for each domain."""
    rows = []
    for share in (*MIXINGS, 'best'):
        gains = []
        for domain in domains.values():
            of = {name: row['mIoU'] for name, row in domain['mixings'].items()}
            found = max(of.values()) if share == 'best' else of[str(share)]
            gains.append(found - of['0.0'])
        mean, worst = sum(gains) / len(gains), min(gains)
        rows.append(
            {'mixing': share, 'mean_gain': round(mean, 2), 'worst': round(worst, 2)}
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--json', type=Path, default=ROOT / 'benchmarks/results/espnetv2_mixing.json'
    )
    parser.add_argument('--widths', nargs='+', default=WIDTHS, choices=WIDTHS)
    args = parser.parse_args(argv)
    environment = _measure.environment()  # of the code that runs
    init_default_scope('mmseg')
    domains: dict[str, Any] = {}
    for width in args.widths:
        config = rule_config(width)
        for domain in parse_domains(
            config.test_cfg.domains, config.test_dataloader, None
        ):
            # anew: each domain starts from the weights' own statistics
            model = MODELS.build(config.model.architecture)
            file = f'{config.weights}/espnetv2-{width}.pth'
            load_checkpoint(model, file, map_location='cpu', strict=True)
            found = measure_domain(
                model.eval(), build_dataset(domain), config.model.class_map
            )
            domains[f'{width}, {domain.name}'] = found
            miou = [row['mIoU'] for row in found['mixings'].values()]
            print(f'{width} {domain.name}: mIoU {miou}', flush=True)
    result = {'domains': domains, 'fixed': fixed(domains), 'signals': summary(domains)}
    _measure.write({'environment': environment, **result}, args.json)
    return 0


if __name__ == '__main__':
    os.chdir(ROOT)
    sys.exit(main())
