"""Compares `projects/espnetv2` with what the authors' own network answered.

    python benchmarks/espnetv2_oracle.py --data DIR
    python benchmarks/espnetv2_oracle.py --data DIR --camvid DIR

``--data`` holds the authors' weights and ``oracle.npz``, their network's answers to a
fixed input; ``--camvid`` is CamVid, on which the converted networks are judged in its
11 classes without training: plain, with a fifth of each picture's own statistics in
batch normalisation, and with TENT on top. The exit status is 1 when logits differ by
more than 1e-4.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

import _measure
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from PIL import Image
from torch import Tensor, nn

from mmkd_ext import compat

compat.apply()

from mmseg.registry import MODELS  # noqa: E402  (after the patches)

from mmkd_ext.adaptation.norms import batch_norms, use_adaptive_norms  # noqa: E402
from projects.espnetv2.classes import merge_classes  # noqa: E402
from projects.espnetv2.convert import convert  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'projects/espnetv2/configs'
WIDTHS = {'0.5': 'w05', '1.0': 'w10', '1.5': 'w15', '2.0': 'w20'}
FRAME = 'images/val/0016E5_07959.jpg'
MIXING = 0.2
CLOSE = 1e-4
SETS = {
    'day': ('splits/train.txt', 3),
    'val': ('splits/val.txt', 2),
    'dusk': ('splits/dusk.txt', 1),
}


def network(data: Path, width: str) -> nn.Module:
    """Returns the network of a shipped config with the converted weights."""
    name = f'espnetv2-{WIDTHS[width]}_cityscapes-to-camvid.py'
    config = Config.fromfile(CONFIGS / name)
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'converted.pth'
        convert(data / f'espnetv2_s_{width}_city_1024x512.pth', file)
        load_checkpoint(model, str(file), map_location='cpu', strict=True)
    return model.eval()


@functools.lru_cache
def class_map() -> list[int]:
    """Returns which class of CamVid each output counts as."""
    task = Config.fromfile(CONFIGS / '_base_/camvid-480x640_merged.py')
    return task.test_evaluator.class_map


def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Returns logits at the size of the input ``(n 3 h w)``, mmseg's way."""
    return model.encode_decode(x, [dict(img_shape=x.shape[2:])] * len(x))


def read_picture(path: Path) -> np.ndarray:
    """Returns a picture at 640 x 480, RGB."""
    with Image.open(path) as picture:
        return np.asarray(
            picture.convert('RGB').resize((640, 480), Image.Resampling.BICUBIC)
        )


def normalised(picture: np.ndarray) -> Tensor:
    """Returns the network's input ``(1 3 h w)``."""
    x = picture.astype(np.float32) / 255
    x = (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(x.transpose(2, 0, 1))[None]


# --- the oracle --------------------------------------------------------------------


def worst(ours: Tensor, theirs: np.ndarray) -> float:
    """Returns the largest difference."""
    return float(np.abs(ours.numpy().astype(np.float64) - theirs).max())


@torch.no_grad()
def compare(data: Path, width: str, frame: np.ndarray | None) -> dict[str, Any]:
    """Compares one width with the oracle; ``frame`` is its test picture."""
    oracle = np.load(data / 'oracle.npz')
    model = network(data, width)
    x = torch.from_numpy(oracle['input'])
    found: dict[str, Any] = {
        'logits': worst(logits_of(model, x)[..., ::4, ::4], oracle[f'logits_s{width}']),
        'batch_norms': len(batch_norms(model)),
    }
    if frame is not None:
        same = np.array_equal(frame[::8, ::8], oracle['frame_rgb_sub8'])
        logits = logits_of(model, normalised(frame))
        maps = {
            'argmax20': (logits.argmax(1)[0, ::4, ::4], 'frame_argmax20'),
            'argmax11': (judged(logits, (360, 480))[::4, ::4], 'frame_argmax11'),
        }
        found['frame'] = {
            'same_pixels': same,
            'logits': worst(
                logits[..., ::16, ::16], oracle[f'frame_logits_sub16_s{width}']
            ),
            **{
                name: float((ours.numpy() == oracle[f'{key}_s{width}']).mean())
                for name, (ours, key) in maps.items()
            },
        }
    use_adaptive_norms(model, MIXING)
    found['mixed_logits'] = worst(
        logits_of(model, x)[..., ::4, ::4], oracle[f'mix0.2_logits_s{width}']
    )
    found['parameters'] = sum(p.numel() for p in model.parameters())
    found['multiply_adds_512x1024_M'] = multiply_adds(network(data, width))
    return found


def multiply_adds(model: nn.Module) -> dict[str, int]:
    """Returns millions of multiply-adds of a picture of 1024 x 512, by operator."""
    counter = FlopAnalyzer(model, torch.zeros(1, 3, 512, 1024))
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {name: round(n / 1e6) for name, n in counter.by_operator().items()}


# --- CamVid ------------------------------------------------------------------------


def judged(scores: Tensor, size: tuple[int, int], *, softmax: bool = True) -> Tensor:
    """Returns the class map ``(h w)`` in CamVid's classes.

    Args:
        scores: Logits, or probabilities of the 20 outputs ``(1 k h w)``.
        size: Height and width of the labels.
        softmax: Whether these are logits.
    """
    at_size = F.interpolate(scores, size=size, mode='bilinear', align_corners=False)
    logits = at_size if softmax else at_size.clamp_min(1e-30).log()
    return merge_classes(logits, class_map()).argmax(1)[0]


def frames(camvid: Path, name: str) -> Iterable[tuple[Tensor, Tensor]]:
    """Yields inputs and labels of a set, in the order of its list."""
    split, step = SETS[name]
    for line in (camvid / split).read_text().split()[::step]:
        with Image.open(camvid / 'labels' / f'{line}.png') as labels:
            truth = torch.from_numpy(np.asarray(labels).astype(np.int64))
        yield normalised(read_picture(camvid / 'images' / f'{line}.jpg')), truth


def miou(
    predict: Callable[[Tensor, tuple[int, int]], Tensor], camvid: Path, name: str
) -> dict[str, Any]:
    """Returns mean and class IoU in percent over one confusion matrix."""
    confusion = torch.zeros(121, dtype=torch.int64)
    for x, truth in frames(camvid, name):
        guess = predict(x, tuple(truth.shape))
        known = truth < 11
        confusion += (truth[known] * 11 + guess[known]).bincount(minlength=121)
    table = confusion.view(11, 11)
    both = table.diagonal()
    iou = 100.0 * both / (table.sum(0) + table.sum(1) - both)
    return {
        'mIoU': round(float(iou.mean()), 2),
        'IoU': [round(float(one), 1) for one in iou],
    }


@torch.no_grad()
def plain(model: nn.Module, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Predicts without learning."""
    return judged(logits_of(model, x), size)


def tent(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, size: tuple[int, int]
) -> Tensor:
    """Predicts, then takes one step on the entropy of that prediction."""
    log_p = logits_of(model, x).log_softmax(1)
    entropy = -(log_p.exp() * log_p).sum(1).mean()
    optimizer.zero_grad()
    entropy.backward()
    optimizer.step()
    return judged(log_p.detach().exp(), size, softmax=False)


def fixed_statistics(model: nn.Module) -> list[nn.Parameter]:
    """Mixes statistics without a gradient through them; returns what TENT trains."""
    norms = use_adaptive_norms(model, MIXING)
    for norm in norms.values():
        statistics = norm.statistics
        norm.statistics = lambda x, of=statistics: of(x.detach())  # type: ignore[method-assign]
    model.requires_grad_(False)
    trained = [p for norm in norms.values() for p in (norm.weight, norm.bias)]
    for parameter in trained:
        parameter.requires_grad_(True)
    return trained


def judge(data: Path, camvid: Path, width: str) -> dict[str, Any]:
    """Judges one width on all sets."""
    model = network(data, width)
    found = {name: miou(functools.partial(plain, model), camvid, name) for name in SETS}
    use_adaptive_norms(model, MIXING)
    for name in ('val', 'dusk'):
        mixed = miou(functools.partial(plain, model), camvid, name)
        found[f'{name}, mixing {MIXING}'] = mixed
    if width == '2.0':
        model = network(data, width)
        optimizer = torch.optim.Adam(fixed_statistics(model), lr=1e-4)
        found[f'dusk, mixing {MIXING}, TENT'] = miou(
            functools.partial(tent, model, optimizer), camvid, 'dusk'
        )
    return found


def main() -> int:
    """Compares, judges, writes; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, required=True, help='weights and oracle')
    parser.add_argument('--camvid', type=Path, help='CamVid, to judge on it as well')
    parser.add_argument('--widths', nargs='+', choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument(
        '--out', type=Path, default=ROOT / 'benchmarks/results/espnetv2_oracle.json'
    )
    args = parser.parse_args()
    environment = _measure.environment()  # of the code that runs, not of later edits
    frame = read_picture(args.camvid / FRAME) if args.camvid else None
    oracle, table = {}, {}
    for width in args.widths:
        oracle[width] = compare(args.data, width, frame)
        print(f'width {width}: {oracle[width]}', flush=True)
        if args.camvid:
            table[width] = judge(args.data, args.camvid, width)
            shown = {name: one['mIoU'] for name, one in table[width].items()}
            print(f'width {width}: {shown}', flush=True)
        found = {'environment': environment, 'oracle': oracle, 'camvid': table}
        _measure.write(found, args.out)
    worst_of = {w: max(o['logits'], o['mixed_logits']) for w, o in oracle.items()}
    far = [width for width, difference in worst_of.items() if difference > CLOSE]
    if far:
        print(f'error: logits differ by more than {CLOSE}: widths {far}')
    return int(bool(far))


if __name__ == '__main__':
    sys.exit(main())
