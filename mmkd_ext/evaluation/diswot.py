r"""DisWOT: which student suits a teacher, scored without training.

`DisWOT: Student Architecture Search for Distillation WithOut Training, CVPR 2023
<https://arxiv.org/abs/2303.15678>`_. Both terms compare an untrained student with the
teacher on one batch; higher is better, and 0 is the best:

- the *semantic* term compares the gradients of the classifier's rows, one a class, as
  class activation maps do; on dense logits they are sums over all pixels. The authors'
  form, `channel_score`, takes students as wide as the teacher; `row_score` takes any.
- the *relation* term, `row_score`, compares how similar pictures are in the last
  features.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmkd_ext.algorithms.sources import build_model
from mmkd_ext.checkpoint import load_weights
from mmkd_ext.errors import ConfigError, check_shapes, did_you_mean
from mmkd_ext.random_state import preserve_random_state

__all__ = [
    'Signature',
    'channel_score',
    'cost',
    'first_weights',
    'row_score',
    'signature',
]

_CLASSIFIERS = ('decode_head.conv_seg', 'head.fc')


class Signature(NamedTuple):
    """What a network shows of itself on one batch.

    Args:
        gradients: Gradient of the task's loss for the row of each class ``(k c)``.
        features: The last features of each picture ``(n d)``.
    """

    gradients: Tensor
    features: Tensor


def row_score(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Returns minus the squared distance of the relations between rows.

    .. math::
        -\frac{1}{n^2} \sum_i \lVert r^S_i - r^T_i \rVert^2, \quad
        r_i = \frac{X x_i}{\lVert X x_i \rVert}

    with ``X`` the matrix of the rows. Rows are pictures (the paper's relation term) or,
    for a semantic term that takes any width, classes.

    Args:
        student: Rows ``(n c)``.
        teacher: Rows ``(n d)``.

    Returns:
        From ``-4 / n`` to 0, a scalar.

    Examples:
        >>> row_score(-torch.eye(2), torch.ones(2, 5))
        tensor(-0.2929)
    """
    check_shapes(student=(student, 'n c'), teacher=(teacher, 'n d'))
    ours, theirs = (F.normalize(x @ x.T) for x in (student.double(), teacher.double()))
    return -(ours - theirs).square().mean().to(student.dtype)


def channel_score(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Returns the semantic term as the authors' code has it, for equal widths.

    The distance of ICKD between the outer products of the gradients ``g`` of a class,
    whose rows have length 1. An outer product has rank 1, so its row ``i`` is
    ``sign(g_i) g / |g|``, and the ``c x c`` matrices need not be built. Without zeros:

    .. math::
        -\frac{1}{K} \sum_k 2 - \frac{2}{C}
        \langle \operatorname{sign} s_k, \operatorname{sign} t_k \rangle
        \frac{\langle s_k, t_k \rangle}{\lVert s_k \rVert \lVert t_k \rVert}

    A zero, as of a channel that no picture excites, makes its row 0.

    Args:
        student: Gradients ``(k c)``.
        teacher: Gradients ``(k c)``.

    Returns:
        From -4 to 0, a scalar.

    Raises:
        ShapeError: The widths differ.
    """
    check_shapes(student=(student, 'k c'), teacher=(teacher, 'k c'))
    cosine = F.cosine_similarity(student, teacher, dim=1)
    ours, theirs = student.sign(), teacher.sign()
    lengths = (ours.abs() + theirs.abs()).mean(1)
    return -(lengths - 2 * (ours * theirs).mean(1) * cosine).mean()


def signature(
    model: Any,
    data: Any,
    *,
    trained: bool = False,
    classifier: str | None = None,
    feature: str = 'backbone',
) -> Signature:
    """Runs a classifier or segmentor on a batch, forward and backward once.

    Args:
        model: The model.
        data: Batch of a data loader, with labels; not changed.
        trained: False runs in training mode, as running statistics say nothing yet.
        classifier: Dotted name of its last layer; None knows that of mmpretrain's
            linear heads and of mmseg's decode heads.
        feature: Dotted name of the module whose (last) output is compared.
    """
    names = dict(model.named_modules())
    last = classifier or next((n for n in _CLASSIFIERS if n in names), _CLASSIFIERS[1])
    for key, name in (('classifier', last), ('feature', feature)):
        if name not in names:
            raise ConfigError.at(
                f'search.{key}',
                f'`{type(model).__name__}` has no module {name!r}.',
                did_you_mean(str(name), names).strip(),
            )
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        found.append(output[-1] if isinstance(output, (tuple, list)) else output)

    model.train(not trained)
    handle = names[feature].register_forward_hook(keep)
    try:
        batch = model.data_preprocessor(copy.deepcopy(data), True)
        total, _ = model.parse_losses(model(**batch, mode='loss'))
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(total, names[last].weight)
    return Signature(gradient.flatten(1), found[-1].detach().flatten(1))


def cost(model: Any, data: Any) -> tuple[int, int]:
    """Returns the parameters of a model and its FLOPs for the first picture of a batch.

    A multiply-add is two FLOPs; auxiliary heads, which only train, do not count.
    """
    parameters = sum(
        p.numel() for name, p in model.named_parameters() if 'auxiliary' not in name
    )
    inputs = model.data_preprocessor(copy.deepcopy(data), True)['inputs'][:1]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(inputs, mode='tensor')
    return parameters, counter.get_total_flops()


def first_weights(config: Any, seed: int, ckpt: str | None = None) -> Any:
    """Builds a model dict with the first weights of a seed, or those of a checkpoint.

    Raises:
        ConfigError: It cannot be built.
    """
    # every layer would say how it is initialised
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel('WARNING')
    try:
        with preserve_random_state():
            torch.manual_seed(seed)
            model = build_model(untrained(config), 'model')
            model.init_weights()
    finally:
        logger.setLevel(before)
    if ckpt is not None:
        load_weights(model, ckpt, role='teacher', min_matched=0.5)
    return revert_sync_batchnorm(model)


def untrained(config: Any) -> Any:
    """Returns a model dict none of whose parts reads weights."""
    if isinstance(config, Mapping):
        kept = {
            key: untrained(value)
            for key, value in config.items()
            if key != 'pretrained'
            and not (key == 'init_cfg' and 'Pretrained' in str(value))
        }
        return ConfigDict(kept)
    if isinstance(config, (list, tuple)):
        return type(config)(map(untrained, config))
    return config
