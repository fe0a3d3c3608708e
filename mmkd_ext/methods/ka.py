r"""KA: Knowledge Adaptation for Efficient Semantic Segmentation.

He, Shen, Tian, Gong, Sun, Yan, CVPR 2019, `arXiv 1903.04688
<https://arxiv.org/abs/1903.04688>`_. A feature method in two stages. First an
auto-encoder learns to rewrite the teacher's last feature map into a compact code. Then
the student, through two adapters, comes close to the code itself (`KAAdaptLoss`) and to
the relations between its positions (`KAAffinityLoss`); the encoder is frozen and the
decoder left out.

Recipe: feature before the classifier; auto-encoder one epoch, lr 0.1, weight decay
1e-4, ``alpha=1e-7``; then weight 50 for the adapter with ``p=1, q=2`` and 1 for the
affinity. There is no code of the authors: layer widths, ``p`` and ``q`` are not
published, and the paper prints ``alpha`` as "10e-7".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmkd_ext.checkpoint import read_checkpoint, weights_of
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.affinity import affinity_row_distance
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss, check_map
from mmkd_ext.methods._identity import KnowsTeacher
from mmkd_ext.methods._stages import differ, stage_one_file
from mmkd_ext.registry import MODELS

__all__ = [
    'KAAdaptLoss',
    'KAAffinityLoss',
    'KAAutoEncoder',
    'KAEncoder',
    'KAReconstructionLoss',
    'unit_distance',
]

_WIDTHS = (256, 128, 128)
_STRIDES = (2, 2, 2)


@MODELS.register_module()
class KAAutoEncoder(nn.Module, KnowsTeacher):
    """Rewrites a feature map into a compact code, and back.

    The encoder is a 3x3 convolution with batch normalisation and ReLU for each of
    `widths`; the decoder mirrors it with transposed convolutions, the last one bare.
    The code is never negative, as what a student's adapter with a ReLU can reach.

    Args:
        channels: Channels of the feature.
        widths: Channels after each convolution of the encoder; the last one is the
            width of the code.
        strides: Stride of each convolution. The paper has three that are "non-one".
        teacher: Name of the teacher whose features these are, such as the file of its
            weights. It is stored beside the weights, with a fingerprint of the
            teacher's own; `KAEncoder` compares both.

    Raises:
        ConfigError: `widths` and `strides` do not belong together.

    Examples:
        >>> autoencoder = KAAutoEncoder(8, widths=(6, 4), strides=(2, 1))
        >>> autoencoder.encode(torch.ones(2, 8, 5, 7)).shape
        torch.Size([2, 4, 3, 4])
        >>> autoencoder(torch.ones(2, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """

    teacher_name: Tensor
    teacher_mark: Tensor

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = _WIDTHS,
        strides: Sequence[int] = _STRIDES,
        *,
        teacher: str = '',
    ) -> None:
        super().__init__()
        self.channels = channels
        self.strides = tuple(strides)
        self.encoder = _encoder(channels, widths, strides)
        outs = [channels, *widths[:-1]]
        # mirrored: the last one is called first, and the first has no norm after it
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(width, out, 3, stride, padding=1, bias=i == 0)
            for i, (width, out, stride) in enumerate(zip(widths, outs, strides))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(out) for out in outs[1:])
        self.register_buffer('teacher_name', _as_bytes(teacher))
        self.register_buffer('teacher_mark', torch.zeros(16, dtype=torch.uint8))

    def bind_teacher(self, fingerprint: Tensor) -> None:
        """Stores the fingerprint of the teacher whose features are encoded."""
        self.teacher_mark.copy_(fingerprint)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        saved = state_dict.get(f'{prefix}teacher_mark')
        if differ(saved, self.teacher_mark):
            raise CheckpointError(
                f'the auto-encoder `{prefix[:-1]}` in the checkpoint has learned from '
                'a teacher of other weights than this one. Resume with that teacher, '
                'or start anew.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def encode(self, feature: Tensor) -> Tensor:
        """Returns the code ``(n k h' w')`` of a feature ``(n channels h w)``."""
        check_map(f'`{type(self).__name__}`', feature, self.channels, 'channels')
        code: Tensor = self.encoder(feature)
        return code

    def decode(self, code: Tensor, size: Sequence[int]) -> Tensor:
        """Returns the feature that a code stands for, of height and width `size`."""
        sizes = [tuple(size)]
        for stride in self.strides[:-1]:
            # what a 3x3 convolution with padding 1 leaves
            sizes.append(tuple((side - 1) // stride + 1 for side in sizes[-1]))
        x = code
        for i in reversed(range(len(self.decoder))):
            x = self.decoder[i](x, output_size=list(sizes[i]))
            if i:
                x = self.norms[i - 1](x).relu()
        return x

    def forward(self, feature: Tensor) -> Tensor:
        """Returns the reconstruction, shaped as the feature."""
        return self.decode(self.encode(feature), feature.shape[2:])


@MODELS.register_module()
class KAReconstructionLoss(PairLoss):
    r"""Stage one: the error of the auto-encoder, and the length of its codes.

    .. math:: L = \lVert F^T - D(E(F^T)) \rVert_2^2 + \alpha \lVert E(F^T) \rVert_1

    The auto-encoder is part of the loss, so one link trains it; *both* sides of the
    link are the teacher's feature, of which the first is encoded and decoded. The
    second term is a sum over each image's code, as printed. The first is printed as a
    sum as well, but with the published learning rate of 0.1 a sum over some millions
    of elements diverges; the default divides it by their number, as torchdistill does.
    The same `alpha` thus weighs ``c h w`` times more than in the printed form.

    Args:
        channels: Channels of the teacher's feature.
        widths: See `KAAutoEncoder`.
        strides: See `KAAutoEncoder`.
        teacher: See `KAAutoEncoder`.
        alpha: Weight of the code's L1 norm, >= 0.
        error: ``'mean'`` or ``'sum'`` over the elements of an image.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = KAReconstructionLoss(8, widths=(4,), strides=(2,))
        >>> feature = torch.rand(2, 8, 6, 6)
        >>> loss(feature, feature) > 0
        tensor(True)
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = _WIDTHS,
        strides: Sequence[int] = _STRIDES,
        *,
        teacher: str = '',
        alpha: float = 1e-7,
        error: str = 'mean',
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('alpha', alpha, ge=0)
        check_choice('error', error, ('mean', 'sum'))
        self.alpha, self.error = alpha, error
        self.autoencoder = KAAutoEncoder(channels, widths, strides, teacher=teacher)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the objective of each image ``(n)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        code = self.autoencoder.encode(student)
        back = self.autoencoder.decode(code, student.shape[2:])
        errors = squared_error(back, teacher).flatten(1)
        error = errors.mean(1) if self.error == 'mean' else errors.sum(1)
        return error + self.alpha * code.abs().flatten(1).sum(1)


@MODELS.register_module()
class KAEncoder(nn.Module, KnowsTeacher):
    """Stage two: the frozen encoder, a connector on the teacher's side.

    It loads the checkpoint of stage one, and refuses that of another teacher: by its
    name when it is built, by its weights once the teacher has loaded them. Without
    `stage_one` and `checkpoint` its weights stay random, for tests.

    Args:
        channels: As in stage one.
        widths: As in stage one.
        strides: As in stage one.
        stage_one: Config of stage one. The last checkpoint of its run is taken, in its
            `work_dir`, else in ``work_dirs/<name of the config>`` of the working folder
            or of the folder in which ``configs`` lies.
        checkpoint: A checkpoint of stage one, or the folder of its run, if it is not
            there.
        teacher: Name of the teacher, as in stage one.

    Raises:
        CheckpointError: There is no checkpoint of stage one, no auto-encoder in it, or
            the auto-encoder is of another teacher or of other sizes.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = _WIDTHS,
        strides: Sequence[int] = _STRIDES,
        *,
        stage_one: str | None = None,
        checkpoint: str | None = None,
        teacher: str = '',
    ) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = _encoder(channels, widths, strides)
        self._file = ''
        self._made_for: Tensor | None = None
        if checkpoint is None and stage_one is None:
            print_log(
                '`KAEncoder` has no checkpoint of stage one, so its code is noise.',
                logger='current',
            )
        else:
            self._file = stage_one_file(
                checkpoint, stage_one, who='KAEncoder', what='auto-encoder'
            )
            self._load(self._file, teacher)
        self.requires_grad_(False).eval()

    def bind_teacher(self, fingerprint: Tensor) -> None:
        """Compares the teacher with the one whose features stage one has encoded.

        Raises:
            CheckpointError: Its weights are others.
        """
        if differ(self._made_for, fingerprint):
            raise CheckpointError(
                f'{self._file!r} encodes the features of a teacher of the same name '
                'and sizes as this one, but of other weights, so its code means '
                'nothing here. Train the auto-encoder on this teacher (stage one), or '
                'give the teacher that it was trained on.'
            )

    def train(self, mode: bool = True) -> KAEncoder:
        """Stays in eval mode."""
        del mode
        super().train(False)
        return self

    def forward(self, feature: Tensor) -> Tensor:
        """Returns the code ``(n k h' w')`` of a feature ``(n channels h w)``."""
        check_map(f'`{type(self).__name__}`', feature, self.channels, 'channels')
        with torch.no_grad():
            code: Tensor = self.encoder(feature)
        return code

    def _load(self, checkpoint: str, teacher: str) -> None:
        state = weights_of(read_checkpoint(checkpoint))
        name = 'teacher_name'
        prefixes = [
            key[: -len(name)]
            for key in state
            if key.endswith(name) and f'{key[: -len(name)]}encoder.0.0.weight' in state
        ]
        if len(prefixes) != 1:
            raise CheckpointError(
                f'{checkpoint!r} has {len(prefixes) or "no"} auto-encoders in it, but '
                '`KAEncoder` needs the checkpoint of one `KAReconstructionLoss`.'
            )
        prefix = prefixes[0]
        encoded = bytes(state[prefix + name].tolist()).decode()
        if encoded != teacher:
            raise CheckpointError(
                f'{checkpoint!r} encodes the features of the teacher {encoded!r}, but '
                f'this one is {teacher!r}. Train an auto-encoder of this teacher.'
            )
        part = f'{prefix}encoder.'
        weights = {k[len(part) :]: v for k, v in state.items() if k.startswith(part)}
        built = {k: tuple(v.shape) for k, v in self.encoder.state_dict().items()}
        saved = {k: tuple(v.shape) for k, v in weights.items()}
        if built != saved:
            key = next(k for k in {**built, **saved} if built.get(k) != saved.get(k))
            raise CheckpointError(
                f'{checkpoint!r} has an encoder of other sizes: `{key}` is '
                f'{saved.get(key)} there and {built.get(key)} here. Give `channels`, '
                '`widths` and `strides` as in stage one.'
            )
        self.encoder.load_state_dict(weights)
        self._made_for = state.get(f'{prefix}teacher_mark')
        print_log(f'`KAEncoder` reads {checkpoint!r}.', logger='current')


def unit_distance(
    student: Tensor, teacher: Tensor, *, p: float = 1.0, q: float = 2.0
) -> Tensor:
    r"""Returns the distance between the unit vectors of the features at each position.

    .. math::
        D_j = \left\lVert \frac{s_j}{\lVert s_j \rVert_q}
              - \frac{t_j}{\lVert t_j \rVert_q} \right\rVert_p

    A feature that is 0 stays 0 and gets no gradient.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n c h w)``.
        p: Norm of the difference, >= 1; ``inf`` is the greatest entry.
        q: Norm that becomes 1, >= 1 or ``inf``.

    Returns:
        Distance at each position, >= 0, ``(n h w)``.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``p`` or ``q`` is below 1.

    Examples:
        >>> x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
        >>> unit_distance(x, -2 * x)
        tensor([[[2.8000]]])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    _check_norms(p, q)
    s, t = (
        unit_vectors(x, torch.linalg.vector_norm(x, q, dim=1, keepdim=True))
        for x in (student, teacher)
    )
    distance: Tensor = torch.linalg.vector_norm(s - t, p, dim=1)
    return distance


def _check_norms(p: float, q: float) -> None:
    for name, order in (('p', p), ('q', q)):
        if order != torch.inf:
            check_range(name, order, ge=1)


@MODELS.register_module()
class KAAdaptLoss(PairLoss):
    """Distance of directions between the adapted student and the teacher's code.

    See :func:`unit_distance`. The adapter of the student is a ``mmkd_ext.ConvAdapter``
    with ``kernel_size=3, norm=True, act=True``, the code comes from a `KAEncoder`.

    Args:
        p: Norm of the difference, >= 1 or ``inf``. The paper gives no value; 1 is what
            torchdistill has in a loss of its own, which normalises the whole flattened
            map and takes a mean over elements.
        q: Norm that becomes 1, >= 1 or ``inf``; 2 is torchdistill's, likewise.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, p: float = 1.0, q: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        _check_norms(p, q)
        self.p, self.q = p, q

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the distance at each position ``(n h w)``."""
        return unit_distance(student, teacher, p=self.p, q=self.q)


@MODELS.register_module()
class KAAffinityLoss(PairLoss):
    """Distance between the affinities of the adapted student and the teacher's code.

    A mean of :func:`~mmkd_ext.functional.affinity_row_distance`, which is the sum of
    the rows with the factor ``1 / (h w)`` of the paper. torchdistill normalises each
    channel over the positions instead; this follows the paper.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the distance of each row ``(n h w)``."""
        return affinity_row_distance(student, teacher)


def _encoder(
    channels: int, widths: Sequence[int], strides: Sequence[int]
) -> nn.Sequential:
    if not widths or len(widths) != len(strides):
        raise ConfigError(
            f'`widths` {tuple(widths)} and `strides` {tuple(strides)} must be as many, '
            'one for each convolution of the encoder.'
        )
    named = {'channels': [channels], 'widths': widths, 'strides': strides}
    for name, numbers in named.items():
        for number in numbers:
            check_integer(name, number, ge=1)
    stages = []
    for ins, outs, stride in zip([channels, *widths], widths, strides):
        conv = nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False)
        stages.append(nn.Sequential(conv, nn.BatchNorm2d(outs), nn.ReLU()))
    return nn.Sequential(*stages)


def _as_bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)
