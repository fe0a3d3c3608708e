"""Makes an mmseg checkpoint of the authors' file of ESPNetv2 weights.

    python projects/espnetv2/convert.py espnetv2_s_2.0_city_1024x512.pth OUT.pth

The file is one of model/segmentation/model_zoo/espnetv2 of sacmehta/EdgeNets. Width
and classes are read from it. Only weights are read, nothing in the file is run; every
tensor must find its place and every place its tensor.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmkd_ext import compat
from mmkd_ext.checkpoint import read_checkpoint, weights_of
from mmkd_ext.engine.launch import handle_errors
from mmkd_ext.errors import CheckpointError

compat.apply()

from mmseg.datasets import CityscapesDataset  # noqa: E402  (after the patches)

from projects.espnetv2.backbone import WIDTHS, ESPNetv2, channels_of  # noqa: E402
from projects.espnetv2.head import ESPNetv2Head  # noqa: E402

__all__ = ['convert', 'converted', 'rename']

_ZOO = (
    'Take one of the files `espnetv2_s_*_city_*.pth` of '
    'model/segmentation/model_zoo/espnetv2 of sacmehta/EdgeNets.'
)

#: Stored beside the strided units, never applied.
_DEAD = re.compile(r'base_net\.level\d_0\.eesp\.module_act\.')

# The authors' names to ours; each rule is applied to all names, in this order.
_RULES: tuple[tuple[str, str], ...] = (
    (r'^base_net\.level1\.', 'backbone.level1.'),
    (r'^base_net\.level(\d)_0\.', r'backbone.level\1.down.'),
    (r'^base_net\.level(\d)\.(\d+)\.module_act\.', r'backbone.level\1.units.\2.act.'),
    (r'^base_net\.level(\d)\.(\d+)\.', r'backbone.level\1.units.\2.eesp.'),
    (r'\.proj_1x1\.', '.reduce.'),
    (r'\.spp_dw\.(\d)\.conv\.', r'.branches.\1.'),
    (r'\.conv_1x1_exp\.', '.expand.'),
    (r'\.br_after_cat\.bn\.', '.merge.0.'),
    (r'\.br_after_cat\.act\.', '.merge.1.'),
    (r'\.inp_reinf\.', '.image.'),
    (r'\.(level1|reduce|image\.0)\.act\.', r'.\1.activate.'),
    (r'^bu_dec_l4\.merge_layer\.3\.', 'decode_head.conv_seg.'),
    (r'^bu_dec_l(\d)\.merge_layer\.3\.', r'decode_head.expands.\1.conv.'),
    (r'^bu_dec_l(\d)\.br\.br\.0\.', r'decode_head.expands.\1.bn.'),
    (r'^bu_dec_l(\d)\.br\.br\.1\.', r'decode_head.expands.\1.activate.'),
    (r'^bu_dec_l(\d)\.projection_layer\.', r'decode_head.pyramids.\1.reduce.'),
    (r'^bu_dec_l(\d)\.merge_layer\.0\.br\.', r'decode_head.pyramids.\1.merge.'),
    (r'^bu_dec_l(\d)\.merge_layer\.2\.', r'decode_head.pyramids.\1.fuse.'),
    (r'^bu_dec_l(\d)\.stages\.', r'decode_head.pyramids.\1.stages.'),
    (r'^merge_enc_dec_l(\d)\.wt_layer\.1\.', r'decode_head.skips.\1.gate.'),
    (r'^merge_enc_dec_l(\d)\.expansion_layer\.', r'decode_head.skips.\1.expand.'),
    (r'^bu_br_l(\d)\.', r'decode_head.joins.\1.'),
    (r'\.cbr\.0\.', '.conv.'),
    (r'\.cbr\.1\.', '.bn.'),
    (r'\.cbr\.2\.', '.activate.'),
)
# the authors count pyramids from 1, and what joins them from 2
_FIRST = {'expands': 1, 'pyramids': 1, 'skips': 2, 'joins': 2}


def rename(name: str) -> str:
    """Returns our name of one of the authors' tensors.

    Examples:
        >>> rename('base_net.level3.0.spp_dw.2.conv.weight')
        'backbone.level3.units.0.eesp.branches.2.weight'
        >>> rename('bu_dec_l2.projection_layer.cbr.1.running_var')
        'decode_head.pyramids.1.reduce.bn.running_var'
    """
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return re.sub(
        r'^decode_head\.(expands|pyramids|skips|joins)\.(\d)',
        lambda m: f'decode_head.{m[1]}.{int(m[2]) - _FIRST[m[1]]}',
        name,
    )


def converted(theirs: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """Returns the checkpoint of a state dict of the authors.

    Args:
        theirs: Their names and tensors.
        source: Where they came from, for messages and for the checkpoint's ``meta``.

    Raises:
        CheckpointError: It is not an ESPNetv2 for segmentation of a known width.
    """
    ours = OrderedDict(
        (rename(name), tensor.detach().clone())
        for name, tensor in theirs.items()
        if not _DEAD.match(name)
    )
    width, classes, channels = _sizes(ours, source)
    model = nn.Module()
    model.backbone = ESPNetv2(width)
    model.decode_head = ESPNetv2Head(
        channels_of(width), num_classes=classes, channels=channels
    )
    try:
        model.load_state_dict(ours, strict=True)
    except RuntimeError as error:
        found = '\n'.join(str(error).splitlines()[:4])
        raise CheckpointError(
            f'{source!r} is not an ESPNetv2 of width {width}: {found}\n{_ZOO}'
        ) from error
    meta: dict[str, Any] = {'source': source, 'width': width}
    if classes == 20:
        cityscapes = CityscapesDataset.METAINFO
        meta['dataset_meta'] = {
            'classes': (*cityscapes['classes'], 'background'),
            'palette': [*cityscapes['palette'], [0, 0, 0]],
        }
    return {'meta': meta, 'state_dict': ours}


def _sizes(ours: Mapping[str, Tensor], source: str) -> tuple[float, int, int]:
    """Reads width, classes and inner channels of the decoder from the shapes."""
    names = ['backbone.level4.down.act.weight', 'decode_head.conv_seg.weight']
    missing = [name for name in names if name not in ours]
    if missing:
        raise CheckpointError(
            f'{source!r} holds no ESPNetv2 for segmentation: of its {len(ours)} '
            f'tensors none becomes `{missing[0]}`. {_ZOO}'
        )
    deepest, last = (ours[name].shape for name in names)
    widths = {channels_of(width)[-1]: width for width in WIDTHS}
    if deepest[0] not in widths or len(last) != 4:
        raise CheckpointError(
            f'{source!r} holds an ESPNetv2 with {deepest[0]} channels at stride 16; '
            f'known are {sorted(widths)}, of widths {list(WIDTHS)}. {_ZOO}'
        )
    return widths[deepest[0]], last[0], last[1]


def convert(source: Path, target: Path) -> dict[str, Any]:
    """Reads the authors' file, writes the checkpoint, returns its ``meta``.

    Raises:
        CheckpointError: The file cannot be read, or is of another network.
    """
    checkpoint = converted(weights_of(read_checkpoint(source)), source.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, target)
    return checkpoint['meta']


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help="the authors' file")
    parser.add_argument('target', type=Path, help='checkpoint to write')
    args = parser.parse_args(argv)
    meta = convert(args.source, args.target)
    print(f'ESPNetv2 of width {meta["width"]} -> {args.target}')


if __name__ == '__main__':
    sys.exit(main())
