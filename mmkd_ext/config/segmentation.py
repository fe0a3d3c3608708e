"""What segmentation asks of a config: classes for all labels, no norm of one value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from mmkd_ext.algorithms.dry_run import blank_batch, undisturbed
from mmkd_ext.config.classes import check_classes

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from mmkd_ext.config.context import TrainingFacts
    from mmkd_ext.config.findings import Findings

__all__ = ['check_segmentor']


def check_segmentor(
    model: nn.Module,
    path: str,
    cfg: Config,
    training: TrainingFacts | None,
    findings: Findings,
) -> None:
    """Compares a model that is to be trained with its data.

    Args:
        model: The model; the batch is looked at for segmentors alone.
        path: Its config path.
        cfg: The whole config.
        training: Batch and number of GPUs.
        findings: Gets the problems.
    """
    check_classes(model, path, cfg, findings)
    if 'decode_head' not in dict(model.named_children()):
        return
    if training is not None and training.samples == 1:
        _check_one_image(model, path, training.gpus, findings)


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
