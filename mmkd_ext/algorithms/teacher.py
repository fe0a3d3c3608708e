"""A frozen teacher: its weights, eval mode and input normalisation; or its store."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Callable, ClassVar

import torch
from mmengine.logging import print_log

from mmkd_ext.algorithms.dry_run import blank_batch, undisturbed
from mmkd_ext.algorithms.preprocess import (
    InputStats,
    Renormalize,
    pad_batch,
    padding_divisor,
    preprocessor_of,
)
from mmkd_ext.checkpoint import LoadReport, load_weights
from mmkd_ext.datasets.augmentations import rows_of
from mmkd_ext.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmkd_ext.distillers.store import TeacherStore
    from mmkd_ext.distillers.taps import Recorder

__all__ = ['PRECISIONS', 'STRIDE', 'StoredTeacher', 'Teacher']

#: Stride of the coarsest maps that most detectors and segmentors use.
STRIDE = 32
_STRIDES = (8, 16, 32, 64, 128)
#: What a teacher may run in.
PRECISIONS = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}


class Teacher:
    """A frozen model whose features are distilled.

    It is no `nn.Module`, so it stays out of the student's state dict, optimizer and
    DDP buckets, and copies of the student (as `EMAHook` makes) share it.

    Args:
        name: Its name in links.
        module: The model. It is put into eval mode, with dropout and drop path off,
            and its parameters are frozen.
        checkpoint: File or URL of its weights; loaded when first needed.
        min_matched: Least share of its parameters that the file must fill.
        weight: Factor on the losses of the links that tap it.
        renormalize: Maps the student's input to the teacher's.
        own_input: Whether its input is normalised and padded as its own preprocessor
            does; False to feed it the student's.
        precision: ``'bf16'``, ``'fp16'`` or ``'fp32'``: it runs under this autocast,
            whatever the student's is, and what is recorded arrives in float32. None
            runs it as the student.
        channels_last: Whether its weights, and so its maps, lie in memory with the
            channels last, in which convolutions may be faster.
        input: Field of the data samples with the pictures that it sees in place of the
            student's, see `mmkd_ext.KeepInput`; `renormalize` then takes pixel values.

    Attributes:
        is_ready: Whether it has the weights of its checkpoint.

    Raises:
        ConfigError: ``checkpoint`` names a file that is not there.
    """

    learns: ClassVar[bool] = False
    """Whether it is trained beside the student, as a `Peer` is."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        checkpoint: str | None = None,
        min_matched: float = 0.5,
        weight: float = 1.0,
        renormalize: Renormalize | None = None,
        own_input: bool = True,
        precision: str | None = None,
        channels_last: bool = False,
        input: str | None = None,
    ) -> None:
        self.name = name
        self.module = module.eval().requires_grad_(False)
        if channels_last:
            self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.checkpoint = checkpoint
        self.min_matched = min_matched
        self.weight = weight
        self.renormalize = renormalize
        own = preprocessor_of(self.module)
        stats = InputStats.of(own) if own_input else None
        self.preprocessor = None if stats is None else own
        self.padding = 0.0 if stats is None else stats.pad
        self.own_input = own_input
        self.precision = precision
        self.input = input
        self.divisor = padding_divisor(self.module) if own_input else 1
        self.mode = 'tensor'
        self.report: LoadReport | None = None
        self.is_ready = checkpoint is None
        remote = checkpoint is None or '://' in checkpoint
        if not remote and not os.path.isfile(str(checkpoint)):
            raise ConfigError(
                f'the checkpoint of `{name}` is missing: there is no file '
                f'{checkpoint!r}.'
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        return self

    def initialize(self) -> None:
        """Loads its checkpoint; without one, initialises it as its config says."""
        if self.checkpoint is None:
            initialize: Callable[[], None] = self.module.init_weights  # type: ignore[assignment]
            initialize()
            print_log(
                f'Teacher `{self.name}` has no checkpoint; unless it was given trained '
                'or its `init_cfg` loads weights, its weights are random.',
                logger='current',
            )
        self.load()

    def load(self) -> None:
        """Loads its checkpoint, once."""
        if self.is_ready:
            return
        self.report = load_weights(
            self.module,
            str(self.checkpoint),
            role='teacher',
            min_matched=self.min_matched,
            logger='current',
        )
        # a later init_weights() must not undo this
        vars(self.module)['_is_init'] = True
        self.is_ready = True

    def keep_preprocessor(self, student: Any) -> None:
        """Restores its own preprocessor, and moves it to the device of the student's.

        MMRazor's validation loop replaces it.
        """
        if self.preprocessor is None or self.preprocessor is student:
            return
        if preprocessor_of(self.module) is not self.preprocessor:
            self.module.data_preprocessor = self.preprocessor
        self.preprocessor.to(getattr(student, 'device', 'cpu'))

    def run(self, recorder: Recorder, inputs: Any, data_samples: Any) -> None:
        """Records what the links tap, without gradients, and stops after the last tap.

        ``inputs`` are the student's normalised batch ``(n c h w)``.
        """
        if not self.is_ready:
            self.load()
        if self.module.training:
            self.module.eval()
        size = padded = inputs.shape[2:]
        with (
            torch.no_grad(),
            self._autocast(inputs.device.type),
            recorder.recording(self.module, stop=True),
        ):
            if not recorder.needed:
                return
            if self.input is not None:
                inputs = self._own_pictures(inputs, data_samples)
            if self.renormalize is not None:
                inputs = self.renormalize(inputs, data_samples)
            if self.divisor > 1:
                inputs, data_samples = pad_batch(
                    inputs, data_samples, self.divisor, self.padding
                )
                padded = inputs.shape[2:]
            self.module(inputs, data_samples, mode=self.mode)
        if self.precision is not None:
            recorder.to_float32()
        if padded != size:
            recorder.crop(padded, size, len(inputs))

    def _own_pictures(self, inputs: Tensor, data_samples: Any) -> Tensor:
        """Returns the pictures of its field, padded to the size of the student's."""
        field = str(self.input)
        samples = data_samples or ()
        pictures: list[Tensor] = [one.get(field) for one in samples if field in one]
        if len(pictures) != len(inputs):
            raise DataError.at(
                f'model.teachers.{self.name}.input',
                f'the samples have no field {field!r}. Put dict(type='
                f"'mmkd_ext.KeepInput', key={field!r}, transforms=...) into the "
                'pipeline of `train_dataloader`.',
            )
        batch = inputs.new_zeros(len(inputs), len(pictures[0]), *inputs.shape[2:])
        for whole, picture in zip(batch, pictures):
            whole[:, : picture.shape[1], : picture.shape[2]] = picture
        return batch

    def _autocast(self, device: str) -> AbstractContextManager[Any]:
        """Returns the context of its precision."""
        if self.precision is None:
            return nullcontext()
        dtype = PRECISIONS[self.precision]
        if dtype is torch.float32:
            return torch.autocast(device, enabled=False)
        return torch.autocast(device, dtype=dtype)

    def record_blank(self, recorder: Recorder, size: tuple[int, int]) -> None:
        """Records a pass on a blank image with gradients, until it ends or fails."""
        batch = blank_batch(self.module, size)
        # a blank image may be too strange for a head; what has fired still counts
        with (
            undisturbed(self.module, gradients=True),
            suppress(Exception),
            recorder.recording(self.module, stop=True),
        ):
            self.module(**batch, mode=self.mode)

    def find_divisor(self, recorder: Recorder, size: tuple[int, int]) -> None:
        """Finds what its pictures have to be padded to multiples of, by trying sizes.

        Its preprocessor need not say it: RTMDet's pictures are padded while they are
        loaded. ``size`` is height and width of a picture that it takes.
        """
        if not self.own_input:
            return
        smaller = STRIDE if size[0] > STRIDE else 0
        height, width = size[0] - smaller + 1, size[1] + 3
        for divisor in (1, *_STRIDES):
            multiple = math.lcm(self.divisor, divisor)
            padded = (height + -height % multiple, width + -width % multiple)
            self.record_blank(recorder, padded)
            if not recorder.silent():
                self.divisor = multiple
                return

    @classmethod
    def renormalization(
        cls, module: nn.Module, student: nn.Module | None, config: Any, path: str
    ) -> Renormalize | None:
        """Returns how the student's batch is re-normalised for a teacher, if at all.

        Args:
            module: The teacher.
            student: The student, or the algorithm around it; None where the batch has
                pixel values.
            config: None to use the statistics of the teacher's preprocessor; False to
                leave the student's batch as it is; or ``dict(mean=..., std=...)``.
            path: Config path of ``config``, for messages.
        """
        if config is False:
            return None
        source: InputStats | None = InputStats((0.0,), (1.0,))
        if student is not None:
            source = InputStats.of(preprocessor_of(student))
        target = InputStats.of(preprocessor_of(module))
        if config is not None:
            target = InputStats.from_config(config, path)
        if source is None or target is None or source == target:
            return None
        return Renormalize(source, target)


class StoredTeacher:
    """A teacher whose values were stored: it fills taps from there, and has no modules.

    Args:
        name: Its name in links.
        store: The store.
        weight: Factor on the losses of the links that tap it.
    """

    #: There is none, nor anything that belongs to it.
    module: nn.Module | None = None
    learns = False
    checkpoint: str | None = None
    report: LoadReport | None = None
    renormalize: Renormalize | None = None
    mode = 'stored'

    def __init__(self, name: str, store: TeacherStore, weight: float = 1.0) -> None:
        self.name, self.store, self.weight = name, store, weight

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredTeacher:
        return self

    def load(self) -> None:
        """Has nothing to load."""

    def run(self, recorder: Recorder, inputs: Any, data_samples: Any) -> None:
        """Gives a recorder what was stored for the samples of a batch."""
        size = tuple(inputs.shape[2:])
        if size != self.store.input_size:
            raise DataError(
                f'The pictures are {size[0]} x {size[1]}, but the teacher of '
                f'{str(self.store.folder)!r} saw {self.store.input_size}.'
            )
        values = self.store.values(recorder.taps, rows_of(data_samples))
        recorder.give(values, inputs.device)

    def run_blank(self, recorder: Recorder) -> None:
        """Gives a recorder values of the right shapes, for one picture."""
        recorder.give(self.store.values(recorder.taps, [0]), torch.device('cpu'))
