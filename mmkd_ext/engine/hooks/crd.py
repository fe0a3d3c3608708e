"""A hook that tells CRD the class of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.methods import CRDLoss
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import Tensor

__all__ = ['CRDClassesHook', 'sample_classes']


@HOOKS.register_module()
class CRDClassesHook(Hook):
    """Gives every ``mmkd_ext.CRDLoss`` the classes of the training set's samples.

    `CRDLoss` draws negatives of other classes. The classes also tell whether a memory
    that was resumed is of this data set.
    """

    def before_train(self, runner: Runner) -> None:
        """Reads the classes once the checkpoint, if any, is resumed."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        losses = [one for one in model.modules() if isinstance(one, CRDLoss)]
        if not losses:
            raise ConfigError(
                '`CRDClassesHook` finds no `CRDLoss` in the model; add a link to one, '
                'or take the hook away.'
            )
        classes = sample_classes(runner.train_dataloader.dataset)
        for loss in losses:
            loss.set_classes(classes)


def sample_classes(dataset: Any) -> Tensor:
    """Returns the class of each sample of a data set, by its `sample_idx`.

    Data sets that repeat another one (``RepeatDataset``, ``ClassBalancedDataset``) have
    the samples of that one.

    Args:
        dataset: A data set of mmengine whose samples have one ``gt_label``.

    Raises:
        DataError: The samples have no index of their own, or not one class each.
    """
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    kind = type(dataset).__name__
    if hasattr(dataset, 'datasets') or not hasattr(dataset, 'get_data_info'):
        raise DataError(
            f'samples of `{kind}` have no index of their own (`sample_idx`), by which '
            'CRD knows them again. Take one data set of mmengine.'
        )
    classes = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        label = info.get('gt_label')
        if label is None or torch.as_tensor(label).numel() != 1:
            raise DataError(
                f'sample {index} of `{kind}` has {label!r} as its `gt_label`, but CRD '
                'needs one class for each.'
            )
        classes.append(int(label))
    return torch.tensor(classes)
