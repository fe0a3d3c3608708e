"""Model against data: numbers of classes, and norms over a batch of one image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mmengine import registry as roots
from mmengine.fileio import list_from_file
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from mmkd_ext.algorithms.dry_run import blank_batch, undisturbed
from mmkd_ext.config.parts import datasets_in, find_type, scoped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.config import Config
    from torch import nn

    from mmkd_ext.config.context import Report, TrainingSummary

__all__ = ['check_classes', 'check_segmentor', 'class_count']

#: Parts whose classes are not those of the data: a backbone has those of ImageNet, an
#: RPN tells objects from the rest, and queries count as their head does.
_OTHER_PARTS = ('backbone', 'dn_query_generator', 'neck', 'rpn_head')
#: Heads that learn from other labels: objects or not, maps of stuff, edges.
_OTHER_HEADS = ('FusedSemanticHead', 'RPNHead', 'STDCHead')
_TRAIN_DATA = 'train_dataloader.dataset'


class _Counts(NamedTuple):
    """Numbers of classes of a data set; a panoptic one has things and stuff."""

    classes: int
    things: int | None = None
    stuff: int | None = None


def check_segmentor(
    model: nn.Module,
    path: str,
    cfg: Config,
    training: TrainingSummary | None,
    report: Report,
) -> None:
    """Compares a model that is to be trained with its data.

    Args:
        model: The model; the batch is looked at for segmentors alone.
        path: Its config path.
        cfg: The whole config.
        training: Batch and number of GPUs.
        report: Gets the problems.
    """
    check_classes(model, path, cfg, report)
    segments = 'decode_head' in dict(model.named_children())
    if segments and training is not None and training.samples == 1:
        _check_one_image(model, path, training.gpus, report)


def class_count(model: nn.Module) -> int | None:
    """Returns how many classes a model tells apart, None if no head has a number.

    Auxiliary heads, which predict nothing, are left out.
    """
    counts = [_count(h) for name, h in _heads(model) if 'auxiliary' not in name]
    return max(counts, default=None)


def check_classes(model: nn.Module, path: str, cfg: Config, report: Report) -> None:
    """Compares every head of a model that is to be trained with its data.

    Args:
        model: The model.
        path: Its config path.
        cfg: The whole config.
        report: Gets a problem where labels would lie beyond a head's classes, and a
            warning where a head has classes to spare.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    data = _data_classes(dataset, _TRAIN_DATA, report)
    if data is None:
        return
    reported = set()
    for name, head in _heads(model):
        for key, count, wanted in _comparisons(head, name, data):
            if count == wanted or (count, wanted, key) in reported:
                continue
            # heads of one kind are wrong together: one message for all
            reported.add((count, wanted, key))
            if count > wanted and getattr(head, 'out_channels', None) == 1:
                continue  # one output for a yes and a no
            add = report.problem if count < wanted else report.warn
            what = key.removeprefix('num_').replace('_', ' ')
            add(
                f'{path}.{_config_path(name)}.{key}',
                f'is {count}, but `{_TRAIN_DATA}` has {wanted} {what}.',
                f'Set {key}={wanted} in the heads of student and teacher, or choose '
                'classes with `metainfo` of the data set.',
            )


# ---- the model ---------------------------------------------------------------------


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the outermost modules that count the classes of the data."""
    heads: list[str] = []
    for name, module in model.named_modules():
        kinds = {cls.__name__ for cls in type(module).__mro__}
        if (
            not name
            or any(part in _OTHER_PARTS for part in name.split('.'))
            or not kinds.isdisjoint(_OTHER_HEADS)
            or vars(module).get('class_agnostic') is True
            or any(name.startswith(f'{outer}.') for outer in heads)
        ):
            continue
        classes = vars(module).get('num_classes')
        if isinstance(classes, int) and classes > 0:
            heads.append(name)
            yield name, module


def _count(head: nn.Module) -> int:
    return int(vars(head)['num_classes'])


def _comparisons(
    head: nn.Module, name: str, data: _Counts
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


def _data_classes(config: Any, path: str, report: Report) -> _Counts | None:
    """Returns the classes of a data set, without building it.

    Of data sets that are joined, the first that has any: all must have the same.
    """
    for where, dataset in datasets_in(config, path):
        counts = None
        if not isinstance(dataset, Mapping):
            metainfo = getattr(dataset, 'metainfo', None)
            counts = _of_metainfo(metainfo) if isinstance(metainfo, Mapping) else None
        elif dataset.get('dataset') is None and dataset.get('datasets') is None:
            counts = _of_config(dataset, where, report)
        if counts is not None:
            return counts
    return None


def _of_config(dataset: Mapping[str, Any], path: str, report: Report) -> _Counts | None:
    own = dict(dataset.get('metainfo') or {})
    names = own.get('classes')
    if isinstance(names, str):
        if not os.path.isfile(names):
            report.problem(
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


def _of_metainfo(metainfo: Mapping[str, Any]) -> _Counts | None:
    """Counts the classes in the metainfo of a data set."""
    classes, things, stuff = (
        len(metainfo[key]) if isinstance(metainfo.get(key), (list, tuple)) else None
        for key in ('classes', 'thing_classes', 'stuff_classes')
    )
    return None if classes is None else _Counts(classes, things, stuff)


# ---- one image ---------------------------------------------------------------------


def _check_one_image(model: nn.Module, path: str, gpus: int, report: Report) -> None:
    """Looks for norms over the batch that would see a single value."""
    alone: list[str] = []
    handles = []
    with undisturbed(model):
        model.train()
        for name, module in model.named_modules():
            if not isinstance(module, _BatchNorm):
                continue
            if module.training and not (isinstance(module, SyncBatchNorm) and gpus > 1):
                note = partial(_note_single, alone, name)
                handles.append(module.register_forward_pre_hook(note))
            module.training = False
        try:
            model(**blank_batch(model), mode='loss')
        except Exception as error:
            # the dry run reports what is wrong
            del error
        finally:
            for handle in handles:
                handle.remove()
    if alone:
        report.problem(
            'train_dataloader.batch_size',
            f'is 1, but `{alone[0]}` of `{path}` normalises maps of one position over '
            'the batch, which leaves one value and no variance.',
            "Set 2 or more, or norm_cfg=dict(type='SyncBN') on several GPUs.",
        )


def _note_single(alone: list[str], name: str, module: nn.Module, args: Any) -> None:
    if args[0].numel() == args[0].shape[1]:
        alone.append(name)
