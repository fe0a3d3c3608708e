"""Images a second and memory of methods of adaptation, beside their floors, in one run.

    python benchmarks/bench_adapt.py [--only dose cotta] [--width 64] [--rounds 7]

The methods are those of the shipped configs of toy streets, on DeepLabV3+ with a
ResNet-18 of the given width and pictures of noise, sure enough of itself that filters
let pixels pass. The floor of a method are the passes over the network that it makes,
forward and backward, at their sizes, with logits brought to the size of the image, and
mmseg's own way from logits to a prediction, once an image. Nothing else is in it: no
views, no loss, no optimizer. How many passes they are stands beside it, in passes over
the image at its own size. RoTTA is measured over the 16 images from one update to the
next, DoSe over the 5 from one score to the next. DoSe's replay comes every 100 images
and is not in here, nor is EATA's start.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmkd_ext.adaptation import ContinualAdaptation
from mmkd_ext.adaptation.segment import image_logits

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs/adapt/mmseg'
END = '_deeplabv3plus-r18-w16_streets'
#: Images from one of a method's rarer deeds to the next.
CYCLES = {'rotta': 16, 'dose': 5}
#: Images that only begin a method.
STARTS = {'eata': 20}


@dataclass
class Pass:
    """One pass over a network.

    Args:
        model: Which one.
        inputs: What it got.
        whole: See `image_logits`.
        live: Whether gradients came back.
    """

    model: nn.Module
    inputs: Tensor
    whole: bool
    live: bool = False

    def again(self) -> None:
        """Makes the pass, and its backward pass."""
        with torch.set_grad_enabled(self.live):
            inputs = self.inputs.detach().requires_grad_(self.inputs.requires_grad)
            logits = image_logits(self.model, inputs, whole=self.whole)
        if logits.requires_grad:
            logits.backward(logits.new_full((1,), 1e-6).expand_as(logits))


@dataclass
class Method:
    """A method, its pictures, and the passes that it made last."""

    model: ContinualAdaptation
    optim_wrapper: Any
    images: list[Tensor]
    passes: list[Pass] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    step: int = 0
    records: bool = True

    def __post_init__(self) -> None:
        distiller: Any = self.model.distiller
        run = distiller.run

        def recorded(model: nn.Module, inputs: Tensor, whole: bool = False) -> Tensor:
            logits: Tensor = run(model, inputs, whole=whole)
            if self.records:
                made = Pass(model, inputs, whole)
                self.passes.append(made)
                if logits.requires_grad:
                    # a method that skips an image does not go backward
                    logits.register_hook(lambda grad: setattr(made, 'live', True))
            return logits

        distiller.run = recorded

    def adapt(self) -> None:
        """Adapts to all pictures."""
        if self.records:
            self.passes.clear()
        self.counts = {'forwards': 0.0, 'backwards': 0.0}
        for image in self.images:
            data = {'inputs': [image], 'data_samples': [sample(image)]}
            result = self.model.adapt_step(
                data, self.optim_wrapper, domain='noise', step=self.step
            )
            self.step += 1
            for name in self.counts:
                self.counts[name] += result.counts[name] / len(self.images)

    def floor(self) -> None:
        """Makes the passes of the last `adapt`, alone, and reads predictions out."""
        for one in self.passes:
            one.again()
        classes = self.model.architecture.decode_head.num_classes
        for image in self.images:
            logits = torch.zeros(1, classes, *image.shape[1:])
            self.model.architecture.postprocess_result(logits, [sample(image)])
        for parameter in self.model.parameters():
            parameter.grad = None


def sample(image: Tensor) -> Any:
    """Returns the data sample of a picture, without labels."""
    from mmseg.structures import SegDataSample

    found: BaseDataElement = SegDataSample()
    shape = tuple(image.shape[1:])
    found.set_metainfo({'img_shape': shape, 'ori_shape': shape, 'pad_shape': shape})
    return found


def methods() -> dict[str, Path]:
    """Returns the shipped configs by the name of their method."""
    return {
        path.stem[: -len(END)].replace('-', '_'): path
        for path in sorted(CONFIGS.glob(f'*/*{END}.py'))
    }


def build(config: Path, width: int, images: list[Tensor]) -> Method:
    """Builds the method of a config on a network of another width."""
    content = Config.fromfile(config)
    torch.manual_seed(0)
    settings = content.model
    architecture = settings.architecture
    architecture.backbone.update(stem_channels=width, base_channels=width)
    architecture.decode_head.update(
        in_channels=8 * width,
        c1_in_channels=width,
        c1_channels=width // 2,
        channels=2 * width,
    )
    model = ContinualAdaptation(
        architecture, settings.distiller, guard=settings.get('guard')
    )
    with torch.no_grad():
        model.architecture.decode_head.conv_seg.weight.mul_(100)
    model.start(0)
    optimizer = None
    if model.distiller.trains:
        settings = content.test_cfg.optim_wrapper
        optimizer = build_optim_wrapper(model.architecture, settings)
    return Method(model, optimizer, images)


def row(method: Method, spent: list[float], floor: list[float]) -> dict[str, Any]:
    """Returns the figures of a method."""
    count = len(method.images)
    times = summary([seconds / count for seconds in spent])
    method.records = False  # what is recorded is alive
    return {
        'images_per_second': round(1e3 / times['median_ms'], 3),
        'image': times,
        'floor': summary([seconds / count for seconds in floor]),
        'to_floor': ratio(spent, floor),
        **{name: round(value, 3) for name, value in method.counts.items()},
        'peak_mb': round(peak_memory(method.adapt, warm_up=False) / 2**20, 1),
        'floor_peak_mb': round(peak_memory(method.floor, warm_up=False) / 2**20, 1),
    }


def table(result: dict[str, Any]) -> Table:
    """Returns the figures as a table."""
    shown = Table(title='Adaptation: processor time of an image')
    for name in (
        *('method', 'images/s', 'forwards', 'backwards', 'x floor', 'quartiles'),
        *('peak MB', 'floor MB'),
    ):
        shown.add_column(name, justify='left' if name == 'method' else 'right')
    for name, found in result['methods'].items():
        to = found['to_floor']
        shown.add_row(
            name,
            f'{found["images_per_second"]:.2f}',
            f'{found["forwards"]:.2f}',
            f'{found["backwards"]:.2f}',
            f'{to["median"]:.2f}',
            f'{to["q1"]:.2f} - {to["q3"]:.2f}',
            f'{found["peak_mb"]:.0f}',
            f'{found["floor_peak_mb"]:.0f}',
        )
    return shown


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', nargs='+', choices=list(methods()))
    parser.add_argument('--width', type=int, default=64, help='64 is a whole ResNet-18')
    parser.add_argument('--size', type=int, nargs=2, default=(128, 256))
    parser.add_argument('--images', type=int, default=2, help='in a round, if not more')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=ROOT / 'benchmarks/results/adapt_speed.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    draw = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, *args.size), generator=draw, dtype=torch.uint8)
        for _ in range(max(CYCLES.values()))
    ]
    chosen = {k: v for k, v in methods().items() if k in (args.only or methods())}
    built = {
        name: build(path, args.width, images[: CYCLES.get(name, args.images)])
        for name, path in chosen.items()
    }
    jobs = {}
    for name, method in built.items():
        while method.step < STARTS.get(name, 0):
            method.adapt()
        jobs[name] = method.adapt
        jobs[f'{name} floor'] = method.floor
    times = interleaved(jobs, args.rounds)
    result: dict[str, Any] = {
        'command': 'python benchmarks/bench_adapt.py',
        'environment': environment(),
        'settings': {
            'width': args.width,
            'size': list(args.size),
            'images': args.images,
            'rounds': args.rounds,
        },
        'methods': {
            name: row(method, times[name], times[f'{name} floor'])
            for name, method in built.items()
        },
    }
    if {'dose', 'cotta'} <= set(built):
        each = {
            name: [seconds / len(built[name].images) for seconds in times[name]]
            for name in ('cotta', 'dose')
        }
        result['dose_to_cotta'] = ratio(each['cotta'], each['dose'])
        print(f'images/s of DoSe to CoTTA: {result["dose_to_cotta"]}')
    write(result, args.out)
    Console(width=100).print(table(result))
    print(f'written: {args.out}')


if __name__ == '__main__':
    main()
