"""What segmentation asks of a config: classes for all labels, no norm of one value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mmengine import registry as roots
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from mmkd_ext.algorithms.dry_run import blank_batch, undisturbed
from mmkd_ext.config.parts import find_type, scoped

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from mmkd_ext.config.context import TrainingFacts
    from mmkd_ext.config.findings import Findings

__all__ = ['check_segmentor', 'head_classes']


def check_segmentor(
    model: nn.Module,
    path: str,
    cfg: Config,
    training: TrainingFacts | None,
    findings: Findings,
) -> None:
    """Compares a segmentor that is to be trained with its data.

    Args:
        model: The model; others than segmentors pass.
        path: Its config path.
        cfg: The whole config.
        training: Batch and number of GPUs.
        findings: Gets the problems.
    """
    ours = head_classes(model)
    if ours is None:
        return
    where = 'train_dataloader.dataset'
    theirs = _data_classes((cfg.get('train_dataloader') or {}).get('dataset'))
    if theirs is not None and ours != theirs:
        say = findings.problem if ours < theirs else findings.warn
        say(
            f'{path}.decode_head.num_classes',
            f'is {ours}, but `{where}` has {theirs} classes.',
            f'Set num_classes={theirs} in the heads of student and teacher, or choose '
            'classes with `metainfo` of the data set.',
        )
    if training is not None and training.samples == 1:
        _check_one_image(model, path, training.gpus, findings)


def head_classes(model: nn.Module) -> int | None:
    """Returns how many classes the main head of a segmentor tells apart.

    None for other models, and for a head with one output for two classes.
    """
    children = dict(model.named_children())
    if 'decode_head' not in children:
        return None
    head = children['decode_head']
    # of a cascade the last one
    head = list(head.children())[-1] if hasattr(head, '__len__') else head
    classes = getattr(head, 'num_classes', None)
    single = getattr(head, 'out_channels', None) == 1
    return classes if isinstance(classes, int) and not single else None


def _data_classes(dataset: Any) -> int | None:
    """Returns the number of classes of a data set, without building it."""
    if not isinstance(dataset, Mapping):
        return None
    if 'dataset' in dataset:
        return _data_classes(dataset['dataset'])
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None and 'type' in dataset:
        with scoped(dataset.get('_scope_')):
            cls = find_type(dataset['type'], roots.DATASETS)
        classes = getattr(cls, 'METAINFO', {}).get('classes')
    return len(classes) if isinstance(classes, (list, tuple)) else None


def _check_one_image(
    model: nn.Module, path: str, gpus: int, findings: Findings
) -> None:
    """Looks for norms over the batch that would see a single value."""
    alone: list[str] = []
    with undisturbed(model):
        model.train()
        norms = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm)
            and module.training
            and not (isinstance(module, SyncBatchNorm) and gpus > 1)
        ]
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.training = False
        handles = [
            module.register_forward_pre_hook(partial(_note_single, alone, name))
            for name, module in norms
        ]
        try:
            model(**blank_batch(model), mode='loss')
        except Exception as error:
            # the dry run of the links says what is wrong
            del error
        finally:
            for handle in handles:
                handle.remove()
    if alone:
        findings.problem(
            'train_dataloader.batch_size',
            f'is 1, but `{alone[0]}` of `{path}` normalises maps of one position over '
            'the batch, which leaves one value and no variance.',
            "Set 2 or more, or norm_cfg=dict(type='SyncBN') on several GPUs.",
        )


def _note_single(found: list[str], name: str, module: nn.Module, args: Any) -> None:
    if args[0].numel() == args[0].shape[1]:
        found.append(name)
