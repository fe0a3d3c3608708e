"""Which signal without labels tells that a model has become worse than its source?

    CAMVID_ROOT=DIR ESPNETV2_ROOT=DIR python benchmarks/espnetv2_guard.py

ESPNetv2 from Cityscapes on the pictures of CamVid's `train` from which rates are
chosen too (adapt_espnetv2_rates.py), two rounds: methods that last and, at ten times
the rate, methods that fall apart. No guard acts. Each picture is predicted by the
student and by the source, normalised alike, and their predictions give one number a
signal, which is to be the higher the more is lost. A rule reports the source's
prediction where a signal is above a limit. The table has, for each signal, how well it
finds the pictures that lose more than a point of mIoU (area under the curve, 0.5 is
chance), and, for its best limit, the mean over domains, rounds and methods of what is
gained over the source, the worst of them, and both where the limit of each method is
chosen on the others.

mIoU is that of every second row and column of the network's 256 x 512.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import _measure
import espnetv2_mixing
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor
from torch.nn.functional import interpolate

from mmkd_ext.adaptation.decision import AdaptGuard, Decision
from mmkd_ext.adaptation.domains import build_dataset, parse_domains
from mmkd_ext.adaptation.signals import compare
from mmkd_ext.evaluation.adaptation.record import areas, iou_metrics
from mmkd_ext.functional import merge_classes
from mmkd_ext.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
#: Method, rate and settings of a run.
RUNS = {
    'TENT, 1e-3': ('tent', 1e-3, {}),
    'TENT, 1e-4': ('tent', 1e-4, {}),
    'DoSe, decay 0, 1e-3': ('dose', 1e-3, {'decay': 0}),
    'EMA teacher, 1e-4': ('ema-teacher', 1e-4, {}),
}
#: The guard's signal.
LOST = 'expected IoU, by the source'
STRIDE = 2
ROUNDS = 2
#: What a picture may lose in mIoU before it counts as harmed.
HARM = 1.0


def entropy_of(probabilities: Tensor, dim: int = 0) -> Tensor:
    """Returns the entropy in nats."""
    return torch.special.entr(probabilities).sum(dim)


def signals_of(logits: Sequence[Tensor]) -> dict[str, float]:
    """Returns the signals of one picture.

    Args:
        logits: Of the student, of the source, and of both for the mirror image, turned
            back ``(1 k h w)``.
    """
    p, q, p_mirror, q_mirror = (x.softmax(1)[0].flatten(1) for x in logits)
    classes = len(p)
    y, z = p.argmax(0), q.argmax(0)
    a, b = (torch.bincount(x, minlength=classes) / len(x) for x in (y, z))
    said, differ = b > 1e-3, (y != z).float().mean()
    both = torch.stack([((y == k) & (z == k)).sum() for k in range(classes)]) / len(y)
    cross = {
        name: -(one * other.clamp_min(1e-8).log()).sum(0).mean()
        for name, one, other in (
            *(('p', p, p_mirror), ('q', q, q_mirror)),
            *(('pq', p, q), ('pp', p, p), ('qq', q, q)),
        )
    }
    ones = torch.ones(1, *logits[0].shape[2:], dtype=torch.bool)
    by_both = [_expected(x, (p + q) / 2) for x in (y, z)]
    found = {
        LOST: compare(logits[0], logits[1], ones, 1e-3)['lost'],
        'expected IoU, by both': 1 - by_both[0] / by_both[1],
        'entropy of the mean prediction': 1
        - entropy_of(p.mean(1)) / entropy_of(q.mean(1)),
        'entropy of the labels': 1 - entropy_of(a) / entropy_of(b),
        'entropy of the pixels': 1 - cross['pp'] / cross['qq'],
        'number of classes': 1 - ((a > 1e-3).sum() - 1) / (said.sum() - 1),
        'mean share lost of a class': (1 - a / b).clamp_min(0)[said].mean(),
        'distance of the histograms': (a - b).abs().sum() / 2,
        'disagreement': differ,
        'disagreement, beyond chance (kappa)': differ / (1 - (a * b).sum()),
        'mean IoU with the source': 1 - (both / (a + b - both))[said].mean(),
        'divergence from the source': cross['pq'] - cross['pp'],
        'cross entropy of mirror images': cross['p'] - cross['q'],
        'uncertainty of mirror images': cross['p'] / entropy_of(p.mean(1))
        - cross['q'] / entropy_of(q.mean(1)),
        'entropy of the source': cross['qq'],
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def _expected(labels: Tensor, belief: Tensor) -> Tensor:
    """Returns the mean IoU that is expected of labels."""
    chosen = torch.nn.functional.one_hot(labels, len(belief)).T
    hits, total = (chosen * belief).sum(1), belief.sum(1)
    iou = hits / (total + chosen.sum(1) - hits)
    return iou[total > 1e-3 * len(labels)].mean()


class Watch(AdaptGuard):
    """Keeps what a guard sees, and lets everything happen."""

    needs_source = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[Tensor, Tensor] | None = None

    def decide(
        self, batch: Any, scores: Tensor, source_scores: Tensor | None
    ) -> Decision:
        """Keeps both predictions."""
        del batch
        self.seen = (scores, source_scores)
        return Decision()

    def reset(self) -> None:
        """Has nothing to reset."""


def run(width: str, method: str, rate: float, settings: Mapping[str, Any]) -> list[Any]:
    """Returns the pictures of a stream: signals, and areas of student and source."""
    config = espnetv2_mixing.stream_config(width, espnetv2_mixing.RULE)
    folder = ROOT / 'projects/espnetv2/configs'
    of = Config.fromfile(folder / f'{method}_espnetv2-w20_camvid-stream.py')
    config.model.merge_from_dict({'distiller': {**of.model.distiller, **settings}})
    model = MODELS.build({**config.model, 'guard': Watch()})
    file = f'{config.weights}/espnetv2-{width}.pth'
    load_checkpoint(model.architecture, file, map_location='cpu', strict=True)
    model.start()
    trained = list(model.distiller.trained().values())
    optim = OptimWrapper(torch.optim.Adam(trained, lr=rate))
    rows = []
    domains = parse_domains(config.test_cfg.domains, config.test_dataloader, None)
    pictures = [(d.name, item) for d in domains for item in build_dataset(d)]
    for round_ in range(ROUNDS):
        for name, item in pictures:
            sample = item['data_samples'].clone()
            truth = sample.pop('gt_sem_seg').data[None].float()
            data = {'inputs': [item['inputs']], 'data_samples': [sample]}
            inputs = model.data_preprocessor(data, False)['inputs']
            with torch.no_grad():
                model.distiller.before(inputs, model._source_as_student)
                mirrored = [
                    model.distiller(inputs.flip(-1)).flip(-1),
                    model.distiller.run(model._source_as_student(), inputs.flip(-1)),
                ]
            mirrored[1] = mirrored[1].flip(-1)
            model.adapt_step(data, optim, domain=name)
            seen = [x[..., ::STRIDE, ::STRIDE] for x in (*model.guard.seen, *mirrored)]
            truth = interpolate(truth, inputs.shape[2:])[0, 0, ::STRIDE, ::STRIDE]
            counts = [
                areas(merge_classes(x, model.class_map).argmax(1)[0], truth.long(), 11)
                for x in seen[:2]
            ]
            rows.append(
                {
                    'cell': (round_ + 1, name),
                    'areas': counts,
                    'signals': signals_of(seen),
                }
            )
    print(f'{width}, {method}, {rate:g}: {len(rows)} pictures', flush=True)
    return rows


def miou(counts: Tensor) -> float:
    """Returns the mIoU of areas, in percent."""
    return float(iou_metrics(counts, [str(n) for n in range(11)])['mIoU'])


def cell_gains(rows: Sequence[Any], doubts: Callable[[Any], bool]) -> list[float]:
    """Returns for each domain and round the gain of a rule over the source."""
    total: dict[Any, list[Tensor]] = {}
    for row in rows:
        ours, source = row['areas']
        old = total.get(row['cell'], [0, 0])
        answer = source if doubts(row['signals']) else ours
        total[row['cell']] = [old[0] + answer, old[1] + source]
    return [miou(a) - miou(b) for a, b in total.values()]


def curve_area(values: Sequence[float], harmed: Sequence[bool]) -> float:
    """Returns how often a harmed picture has the higher value of a pair."""
    x, bad = torch.tensor(values), torch.tensor(harmed)
    difference = x[bad][:, None] - x[~bad][None]
    return float(((difference > 0).float() + (difference == 0).float() / 2).mean())


def table(runs: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Returns a row for each signal."""
    rows = [row for found in runs.values() for row in found]
    harmed = [miou(r['areas'][0]) < miou(r['areas'][1]) - HARM for r in rows]
    result = []
    for name in rows[0]['signals']:
        values = [row['signals'][name] for row in rows]
        limits = torch.tensor(values).quantile(torch.linspace(0, 1, 40)).tolist()
        gains = {
            limit: {
                key: cell_gains(found, lambda s, n=name, x=limit: s[n] > x)
                for key, found in runs.items()
            }
            for limit in limits
        }
        mean = {x: {k: fmean(v) for k, v in of.items()} for x, of in gains.items()}
        best = max(limits, key=lambda x: fmean(mean[x].values()))
        others = {
            key: max(limits, key=lambda x: fmean(mean[x][k] for k in runs if k != key))
            for key in runs
        }
        result.append(
            {
                'signal': name,
                'area_under_curve': round(curve_area(values, harmed), 2),
                'limit': round(best, 3),
                'mean_gain': round(fmean(mean[best].values()), 2),
                'worst': round(min(min(v) for v in gains[best].values()), 1),
                'left_out': round(fmean(mean[x][key] for key, x in others.items()), 2),
                'left_out_worst': round(
                    min(min(gains[x][k]) for k, x in others.items()), 1
                ),
            }
        )
    return sorted(result, key=lambda row: -row['mean_gain'])


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--json', type=Path, default=ROOT / 'benchmarks/results/espnetv2_guard.json'
    )
    parser.add_argument('--widths', nargs='+', default=['w05'])
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    environment = _measure.environment()  # of the code that runs
    runs = {
        f'{width}, {key}': run(width, *settings)
        for width in args.widths
        for key, settings in RUNS.items()
    }
    free = {k: cell_gains(rows, lambda _: False) for k, rows in runs.items()}
    result = {
        'runs': {k: {'mean_gain': fmean(v), 'worst': min(v)} for k, v in free.items()},
        'signals': table(runs),
        'pictures': {
            k: [
                {
                    'cell': row['cell'],
                    'mIoU': [round(miou(a), 1) for a in row['areas']],
                    'lost': row['signals'][LOST],
                }
                for row in rows
            ]
            for k, rows in runs.items()
        },
    }
    _measure.write({'environment': environment, **result}, args.json)
    for row in result['signals']:
        print(row)
    return 0


if __name__ == '__main__':
    os.chdir(ROOT)
    sys.exit(main())
