"""How many classes a model tells apart, and how many its data has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmengine import registry as roots
from mmengine.fileio import list_from_file

from mmkd_ext.config.parts import find_type, scoped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.config import Config
    from torch import nn

    from mmkd_ext.config.findings import Findings

__all__ = ['check_classes', 'class_count']

#: Parts whose classes are not those of the data: a backbone has those of ImageNet, an
#: RPN tells objects from the rest, and queries count as their head does.
_OTHER_PARTS = ('backbone', 'dn_query_generator', 'neck', 'rpn_head')
#: Heads that learn from other labels: objects or not, maps of stuff, edges.
_OTHER_HEADS = ('FusedSemanticHead', 'RPNHead', 'STDCHead')
_TRAIN_DATA = 'train_dataloader.dataset'


@dataclass(frozen=True)
class _Data:
    """Numbers of classes of a data set; a panoptic one has things and stuff."""

    classes: int
    things: int | None = None
    stuff: int | None = None


def class_count(model: nn.Module) -> int | None:
    """Returns how many classes a model tells apart, None if no head says so.

    Auxiliary heads, which predict nothing, have no say.
    """
    counts = [_count(h) for name, h in _heads(model) if 'auxiliary' not in name]
    return max(counts, default=None)


def check_classes(model: nn.Module, path: str, cfg: Config, findings: Findings) -> None:
    """Compares every head of a model that is to be trained with its data.

    Args:
        model: The model.
        path: Its config path.
        cfg: The whole config.
        findings: Gets a problem where labels would lie beyond a head's classes, and a
            warning where a head has classes to spare.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    data = _data_classes(dataset, _TRAIN_DATA, findings)
    if data is None:
        return
    told = set()
    for name, head in _heads(model):
        for key, ours, theirs in _comparisons(head, name, data):
            if ours == theirs or (ours, theirs, key) in told:
                continue
            # heads of one kind are wrong together: one message for all
            told.add((ours, theirs, key))
            if ours > theirs and getattr(head, 'out_channels', None) == 1:
                continue  # one output for a yes and a no
            say = findings.problem if ours < theirs else findings.warn
            what = key.removeprefix('num_').replace('_', ' ')
            say(
                f'{path}.{_config_path(name)}.{key}',
                f'is {ours}, but `{_TRAIN_DATA}` has {theirs} {what}.',
                f'Set {key}={theirs} in the heads of student and teacher, or choose '
                'classes with `metainfo` of the data set.',
            )


# ---- the model ---------------------------------------------------------------------


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the outermost modules that count the classes of the data."""
    found: list[str] = []
    for name, module in model.named_modules():
        parts = name.split('.')
        kinds = {cls.__name__ for cls in type(module).__mro__}
        if (
            not name
            or any(part in _OTHER_PARTS for part in parts)
            or not kinds.isdisjoint(_OTHER_HEADS)
            or vars(module).get('class_agnostic') is True
            or any(name.startswith(f'{outer}.') for outer in found)
        ):
            continue
        classes = vars(module).get('num_classes')
        if isinstance(classes, int) and classes > 0:
            found.append(name)
            yield name, module


def _count(head: nn.Module) -> int:
    """Returns how many classes a head tells apart."""
    return int(vars(head)['num_classes'])


def _comparisons(
    head: nn.Module, name: str, data: _Data
) -> Iterator[tuple[str, int, int]]:
    """Yields what is to agree: an argument of the head, its value, that of the data."""
    things = vars(head).get('num_things_classes')
    stuff = vars(head).get('num_stuff_classes')
    # mmseg's heads inherit both from mmdet's and count in `num_classes` alone
    parted = isinstance(things, int) and isinstance(stuff, int) and '_head' in name
    parted = parted and name.split('.')[0] not in ('decode_head', 'auxiliary_head')
    if not parted:
        yield 'num_classes', _count(head), data.things or data.classes
    elif data.things is None:
        yield 'num_classes', int(things or 0) + int(stuff or 0), data.classes
    else:
        yield 'num_things_classes', int(things or 0), data.things
        yield 'num_stuff_classes', int(stuff or 0), int(data.stuff or 0)


def _config_path(name: str) -> str:
    """Writes a module's name as a config path: ``bbox_head.0`` as ``bbox_head[0]``."""
    parts = [f'[{part}]' if part.isdigit() else f'.{part}' for part in name.split('.')]
    return ''.join(parts).lstrip('.')


# ---- the data ----------------------------------------------------------------------


def _data_classes(dataset: Any, path: str, findings: Findings) -> _Data | None:
    """Returns the classes of a data set, without building it.

    Of data sets that are joined, the first that says so: all must have the same.
    """
    metainfo = getattr(dataset, 'metainfo', None)
    if isinstance(metainfo, Mapping) and not isinstance(dataset, Mapping):
        return _of_metainfo(metainfo)
    if isinstance(dataset, (list, tuple)):
        each = (
            _data_classes(one, f'{path}[{i}]', findings)
            for i, one in enumerate(dataset)
        )
        return next((one for one in each if one is not None), None)
    if not isinstance(dataset, Mapping):
        return None
    for key in ('dataset', 'datasets'):
        if dataset.get(key) is not None:
            return _data_classes(dataset[key], f'{path}.{key}', findings)
    own = dict(dataset.get('metainfo') or {})
    names = own.get('classes')
    if isinstance(names, str):
        if not os.path.isfile(names):
            findings.problem(
                f'{path}.metainfo.classes',
                f'is {names!r}, and there is no such file.',
                'Give a list of names, or a file with one in each line; a single name '
                f'needs a comma: ({names!r},).',
            )
            return None
        own['classes'] = list_from_file(names)
    if own.get('classes') is None and 'type' in dataset:
        with scoped(dataset.get('_scope_')):
            cls = find_type(dataset['type'], roots.DATASETS)
        own = {**getattr(cls, 'METAINFO', {}), **own}
    return _of_metainfo(own)


def _of_metainfo(metainfo: Mapping[str, Any]) -> _Data | None:
    """Counts the classes in what a data set says about itself."""
    counts = [
        len(metainfo[key]) if isinstance(metainfo.get(key), (list, tuple)) else None
        for key in ('classes', 'thing_classes', 'stuff_classes')
    ]
    if counts[0] is None:
        return None
    return _Data(counts[0], counts[1], counts[2])
