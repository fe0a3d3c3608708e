"""How many functions of this package one step goes through, and how deep.

    python benchmarks/count_calls.py [--out FILE]

Counts the Python calls whose code lies in `mmkd_ext` (resumed generators too, as
`sys.setprofile` sees them) during one training step of one link, one of MMRazor's for
comparison, and one adaptation step of TENT and DoSe. The toy model's own calls do not
count, nor do list, dict and set comprehensions, which are no calls since Python 3.12.
Needs Python 3.11 or later.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _measure import environment, write
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope

import mmkd_ext
from mmkd_ext import razor
from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch

OURS = Path(mmkd_ext.__file__).parent
THEIRS = Path(sys.modules[razor.BaseAlgorithm.__module__].__file__ or '').parents[2]
COMPREHENSIONS = ('<listcomp>', '<dictcomp>', '<setcomp>')
TINY = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        base_channels=8,
        num_stages=4,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=dict(type='BN'),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=64,
        in_index=3,
        channels=8,
        num_convs=1,
        num_classes=4,
        norm_cfg=dict(type='BN'),
    ),
    test_cfg=dict(mode='whole'),
)


def count(job: Callable[[], Any], package: Path) -> dict[str, Any]:
    """Counts the calls of a job into a package, and the most on the stack at once."""
    job()  # what is done once is not a step
    calls: Counter[str] = Counter()
    depth = most = 0

    def note(frame: Any, event: str, _: Any) -> None:
        nonlocal depth, most
        file = Path(frame.f_code.co_filename)
        if event not in ('call', 'return') or package not in file.parents:
            return
        where = file.relative_to(package).as_posix()
        if where.startswith('testing/') or frame.f_code.co_name in COMPREHENSIONS:
            return
        if event == 'call':
            calls[f'{where}:{frame.f_code.co_qualname}'] += 1
            depth += 1
            most = max(most, depth)
        else:
            depth -= 1

    sys.setprofile(note)
    try:
        job()
    finally:
        sys.setprofile(None)
    return {'calls': sum(calls.values()), 'depth': most, 'functions': dict(calls)}


def training_step() -> Callable[[], Any]:
    """One CWD link between two toy models."""
    tap = 'head.conv_seg'
    model = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=dict(type='mmkd_ext.ToyModel'),
            teacher=dict(type='mmkd_ext.ToyModel'),
            distiller=dict(
                type='mmkd_ext.LinkDistiller',
                links=dict(
                    loss_cwd=dict(
                        loss=dict(type='mmkd_ext.CWDLoss'),
                        preds_S=dict(of='student', at=tap),
                        preds_T=dict(of='teacher', at=tap),
                    )
                ),
            ),
        )
    )
    batch = toy_batch()
    return lambda: model(**batch, mode='loss')


def mmrazor_step() -> Callable[[], Any]:
    """The same with MMRazor's algorithm, distiller and loss."""
    source = dict(tap=dict(type='ModuleOutputs', source='head.conv_seg'))
    sides = {
        f'preds_{side}': dict(recorder='tap', from_student=side == 'S') for side in 'ST'
    }
    model = MODELS.build(
        ConfigDict(
            type='mmrazor.SingleTeacherDistill',
            architecture=dict(type='mmkd_ext.ToyModel'),
            teacher=dict(type='mmkd_ext.ToyModel'),
            distiller=dict(
                type='mmrazor.ConfigurableDistiller',
                student_recorders=source,
                teacher_recorders=source,
                distill_losses=dict(
                    loss_cwd=dict(type='mmrazor.ChannelWiseDivergence')
                ),
                loss_forward_mappings=dict(loss_cwd=sides),
            ),
        )
    )
    batch = toy_batch()
    # it does not build on models that are no mmrazor ones without this
    return lambda: model(**batch, mode='loss')


def adaptation_step(method: str) -> Callable[[], Any]:
    """One picture for one method, on a tiny segmentor."""
    from mmengine.optim import OptimWrapper

    from mmkd_ext.adaptation.samples import without_truth

    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(
            dict(
                type='mmkd_ext.ContinualAdaptation',
                architecture=dict(
                    TINY,
                    data_preprocessor=dict(
                        type='SegDataPreProcessor', mean=[0.0] * 3, std=[255.0] * 3
                    ),
                ),
                distiller=dict(type=f'mmkd_ext.{method}'),
            )
        )
    model.start()
    samples = without_truth(blank_batch(model.architecture, 64)['data_samples'])
    pixels = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    data = {'inputs': [pixels], 'data_samples': samples}
    trained = list(model.distiller.trained().values())
    wrapper = OptimWrapper(torch.optim.SGD(trained, lr=0.0))
    return lambda: model.adapt_step(data, wrapper, domain='fog')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path)
    parser.add_argument('--functions', action='store_true', help='list them too')
    args = parser.parse_args()
    torch.manual_seed(0)
    jobs = {
        'training step, one link': (training_step, OURS),
        "MMRazor's training step": (mmrazor_step, THEIRS),
        'TENT': (lambda: adaptation_step('TentDistiller'), OURS),
        'DoSe': (lambda: adaptation_step('DoSeDistiller'), OURS),
    }
    found = {}
    for name, (make, package) in jobs.items():
        found[name] = count(make(), package)
        print(f'{name}: {found[name]["calls"]} calls, {found[name]["depth"]} deep')
        if args.functions:
            for function, number in found[name]['functions'].items():
                print(f'  {number:4} {function}')
    if args.out:
        write({'environment': environment(), 'steps': found}, args.out)


if __name__ == '__main__':
    main()
