"""Writes a ResNet that others trained on CIFAR-10 as a checkpoint of mmpretrain.

python benchmarks/cifar10_teacher.py <folder>/resnet56-4bfd9763.th
    [--out work_dirs/cifar10/resnet56.pth]

For the files of https://github.com/akamaster/pytorch_resnet_cifar10 (BSD-2). Their
network is `mmkd_ext.SmallResNet` with ``shortcut='pad'``, in
`benchmarks/configs/cifar10/teacher_resnet56.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mmkd_ext.backbones import SmallResNet
from mmkd_ext.checkpoint import read_checkpoint, weights_of
from mmkd_ext.engine.launch import handle_errors
from mmkd_ext.errors import CheckpointError

CLASSIFIER = 'linear.'


def convert(content: Mapping[str, torch.Tensor], depth: int) -> dict[str, torch.Tensor]:
    """Returns the weights of a classifier, with mmpretrain's names.

    Args:
        content: The `state_dict` of the file.
        depth: Number of layers of the network.

    Raises:
        CheckpointError: It is of another network.
    """
    found = {name.removeprefix('module.'): value for name, value in content.items()}
    head = {
        f'head.fc.{name[len(CLASSIFIER) :]}': found.pop(name)
        for name in list(found)
        if name.startswith(CLASSIFIER)
    }
    backbone = SmallResNet(depth, shortcut='pad')
    # files of an old torch do not count batches
    counts = {k: v for k, v in backbone.state_dict().items() if 'batches' in k}
    try:
        backbone.load_state_dict({**counts, **found}, strict=True)
    except RuntimeError as error:
        found = str(error).splitlines()[1].strip()
        raise CheckpointError(f'The file is of no ResNet-{depth}: {found}') from error
    return {f'backbone.{k}': v for k, v in backbone.state_dict().items()} | head


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path)
    parser.add_argument('--depth', type=int, default=56)
    parser.add_argument('--out', type=Path)
    args = parser.parse_args(argv)
    out = args.out or Path(f'work_dirs/cifar10/resnet{args.depth}.pth')
    weights = convert(weights_of(read_checkpoint(args.source)), args.depth)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': weights}, out)
    print(f'written: {out}')


if __name__ == '__main__':
    sys.exit(main())
