"""The model of continual test-time adaptation, and one step of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, cast

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmkd_ext.adaptation.batch import Batch, PassCounter, StepResult, Update
from mmkd_ext.adaptation.decision import AdaptGuard, Decision
from mmkd_ext.adaptation.distillers import AdaptDistiller
from mmkd_ext.adaptation.originals import originals_of
from mmkd_ext.adaptation.pseudo_labels import log_probabilities
from mmkd_ext.adaptation.segment import check_segmentor, class_count, image_logits
from mmkd_ext.adaptation.source import SourceCopy
from mmkd_ext.algorithms.sources import build_model
from mmkd_ext.checkpoint import load_weights
from mmkd_ext.connectors.build import build_module
from mmkd_ext.errors import CheckpointError, ConfigError
from mmkd_ext.functional import merge_classes
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper

__all__ = ['ContinualAdaptation', 'reset_optimizer']

_CONTINUE = Decision()


@MODELS.register_module()
class ContinualAdaptation(BaseModel):
    """A segmentor that adapts itself to a stream of images.

    It owns the student (`architecture`), the frozen source, the method (`distiller`)
    and the guard. One state dict holds everything but the source, which is whatever
    the student was when the stream started; the stream itself is the loop's
    (`mmkd_ext.ContinualAdaptLoop`).

    Testing it is pure prediction: ``test_step`` changes nothing. Only `adapt_step`
    adapts.

    Args:
        architecture: The segmentor: a model dict, a dict with `cfg_path`, the path of a
            config file (``'mmseg::...'`` too), or a built model.
        distiller: Config of an `AdaptDistiller`.
        guard: Config of an `AdaptGuard`, or None.
        source_ckpt: File or URL of the source's weights; the checkpoint on the command
            line of ``tools/test.py`` comes after it and wins.
        min_matched: Least share of the parameters that `source_ckpt` must fill.
        class_map: Where the network's outputs are finer classes than the data's: for
            each output the class of the data that it counts as. Predictions are then
            of those, by the sum of the outputs' probabilities; the methods go on with
            the network's own.
        data_preprocessor: Replaces the segmentor's own.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: A part cannot be built, the model is no segmentor of mmseg, or the
            method does not fit it.
    """

    def __init__(
        self,
        architecture: Any,
        distiller: Any,
        *,
        guard: Any = None,
        source_ckpt: str | None = None,
        min_matched: float = 0.9,
        class_map: Sequence[int] | None = None,
        data_preprocessor: Any = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        student = build_model(architecture, 'model.architecture')
        check_segmentor(student, 'model.architecture')
        if data_preprocessor is not None:
            student.data_preprocessor = _preprocessor(data_preprocessor)
        super().__init__(student.data_preprocessor, init_cfg)
        self.architecture = student
        self.distiller = _part(distiller, AdaptDistiller, 'model.distiller')
        self.guard = None if guard is None else _part(guard, AdaptGuard, 'model.guard')
        if source_ckpt is not None:
            load_weights(
                student,
                source_ckpt,
                role='student',
                min_matched=min_matched,
                logger='current',
            )
            # a later init_weights() must not undo this
            vars(student)['_is_init'] = True
        self.class_map = _checked_map(class_map, class_count(student))
        self.source = SourceCopy(student)
        self.distiller.prepare(student, self.source.module)
        self.started = False
        self.train(False)

    # ---- state --------------------------------------------------------------------

    @property
    def student(self) -> nn.Module:
        """The student, an alias of `architecture`."""
        return self.architecture

    @property
    def num_classes(self) -> int:
        """The number of classes of the predictions."""
        if self.class_map:
            return max(self.class_map) + 1
        return class_count(self.architecture)

    def start(self, seed: int = 0) -> None:
        """Starts a stream: the weights that are in now are the source's.

        Args:
            seed: Of everything that draws random numbers in the method.
        """
        if not self.started:
            self.source.snapshot(self.architecture)
        self.started = True
        self.distiller.reseed(seed)
        self.architecture.requires_grad_(False)
        for parameter in self.distiller.trained().values():
            parameter.requires_grad_(True)
        self.reset()

    def reset(self) -> None:
        """Resets to the source: weights, statistics, and the state of the method.

        Random generators keep their state, and so does the optimizer, which the caller
        resets by `reset_optimizer`.
        """
        self.source.restore(self.architecture)
        self.distiller.reset()
        if self.guard is not None:
            self.guard.reset()

    def train(self, mode: bool = True) -> ContinualAdaptation:
        """Stays in eval mode: see `AdaptDistiller`."""
        del mode
        super().train(False)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any) -> ContinualAdaptation:
        super()._apply(fn, *args)
        self.source.move(fn)
        return self

    # ---- prediction ---------------------------------------------------------------

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Predicts with the model that the method reports; changes nothing.

        Args:
            inputs: Normalised images ``(n c h w)``.
            data_samples: Their samples.
            mode: ``'tensor'`` for scores ``(n k h w)``, ``'predict'`` for samples.

        Raises:
            ConfigError: ``mode`` is ``'loss'``: there are no labels to learn from.
        """
        if mode not in ('tensor', 'predict'):
            raise ConfigError(
                f'`ContinualAdaptation` has no mode {mode!r}: it learns from a stream '
                'without labels. Run it with `tools/test.py` and '
                "`test_cfg=dict(type='mmkd_ext.ContinualAdaptLoop', ...)`."
            )
        originals = originals_of(data_samples, inputs, self.data_preprocessor)
        self.distiller.before(inputs, self._source_as_student)
        scores = self.distiller(inputs, originals)
        return scores if mode == 'tensor' else self.to_samples(scores, data_samples)

    @torch.no_grad()
    def predict_source(self, data: Mapping[str, Any]) -> list[Any]:
        """Predicts a batch as the dataloader gives it with the source."""
        data = self.data_preprocessor(data, False)
        scores = image_logits(self.source.module, data['inputs'])
        return self.to_samples(scores, data['data_samples'])

    def to_samples(self, scores: Tensor, data_samples: Any) -> list[Any]:
        """Resizes scores to the original size and puts them into new samples."""
        if data_samples is not None:
            data_samples = [sample.clone() for sample in data_samples]
        segmentor: Any = self.architecture
        found = list(segmentor.postprocess_result(scores.detach(), data_samples))
        for sample in found if self.class_map else ():
            merged = merge_classes(sample.seg_logits.data[None], self.class_map)[0]
            sample.seg_logits.data = log_probabilities(merged)
            sample.pred_sem_seg.data = merged.argmax(0, keepdim=True)
        return found

    # ---- adaptation ---------------------------------------------------------------

    def adapt_step(
        self,
        data: Mapping[str, Any],
        optim_wrapper: OptimWrapper | None = None,
        *,
        domain: str | None = None,
        step: int = 0,
    ) -> StepResult:
        """Predicts one batch of the stream, and adapts to it.

        Args:
            data: A batch as the dataloader gives it, without ground truth.
            optim_wrapper: Updates what the method trains; None for a method that
                trains nothing.
            domain: Name of the domain.
            step: Number of steps before this one.
        """
        began = time.perf_counter()
        # not as in training, which pads to another size
        data = self.data_preprocessor(data, False)
        inputs, samples = data['inputs'], data['data_samples']
        distiller = self.distiller
        distiller.passes = passes = PassCounter(native=inputs.numel())
        originals = originals_of(samples, inputs, self.data_preprocessor)
        state = distiller.step_state()
        batch = Batch(inputs, samples, domain, step, originals, state=state)
        with distiller.in_precision_of(optim_wrapper):
            distiller.before(inputs, self._source_as_student)
            decision, update = self._predict_and_update(batch, optim_wrapper)
            distiller.after(batch, update)
        scores = batch.scores if batch.answer is None else batch.answer
        predictions = self.to_samples(cast('Tensor', scores), samples)
        if inputs.is_cuda:
            torch.cuda.synchronize()
        resets = (decision.action == 'reset', bool(update.reset))
        counts: dict[str, float] = {
            'updates': update.steps,
            'skipped': int(bool(update.skipped)),
            'resets': sum(resets),
            'forwards': passes.forwards / len(inputs),
            'backwards': passes.backwards / len(inputs),
        }
        return StepResult(
            predictions,
            update.losses,
            counts,
            _events(decision, update),
            dict(decision.signals),
            time.perf_counter() - began,
        )

    def _predict_and_update(
        self, batch: Batch, optim_wrapper: OptimWrapper | None
    ) -> tuple[Decision, Update]:
        """Predicts and updates, in the order of the method."""
        distiller, guard, decision = self.distiller, self.guard, _CONTINUE
        if distiller.order == 'predict_then_adapt':
            batch.scores = self._scores(batch, optim_wrapper, distiller.predict)
            if guard is not None:
                decision = self._decide(guard, batch, batch.scores, optim_wrapper)
            return decision, self._update(batch, optim_wrapper, decision)
        if guard is not None:
            # for the guard alone, so it must leave nothing behind
            scores = self._scores(
                batch,
                optim_wrapper,
                lambda batch: distiller(batch.inputs, batch.originals),
            )
            decision = self._decide(guard, batch, scores, optim_wrapper)
        update = self._update(batch, optim_wrapper, decision)
        if batch.scores is None or update.steps:
            with torch.no_grad():
                batch.scores = distiller.predict(batch)
        return decision, update

    def _scores(
        self,
        batch: Batch,
        optim_wrapper: OptimWrapper | None,
        predict: Callable[[Batch], Tensor],
    ) -> Tensor:
        """Returns a prediction, with its graph in `batch` where the loss needs it."""
        shared = self.distiller.can_share(optim_wrapper)
        with torch.set_grad_enabled(shared):
            scores = predict(batch)
        if shared:
            batch.logits = scores
        return scores.detach()

    def _decide(
        self,
        guard: AdaptGuard,
        batch: Batch,
        scores: Tensor,
        optim_wrapper: OptimWrapper | None,
    ) -> Decision:
        """Gets the guard's decision and does what it says, but for the update."""
        source_scores = None
        with torch.no_grad():
            if guard.needs_source:
                inputs = guard.source_inputs(batch.inputs)
                source_scores = self.distiller.run(self._reference(guard), inputs)
            decision = guard.decide(batch, scores, source_scores)
            if decision.answer and source_scores is not None:
                # the guard may look at smaller images
                batch.answer = interpolate(
                    source_scores, batch.inputs.shape[2:], mode='bilinear'
                )
        if decision.action == 'reset':
            self._reset_weights(optim_wrapper)
        return decision

    def _reference(self, guard: AdaptGuard) -> nn.Module:
        """Returns the source as a guard compares with it."""
        return (
            self._source_as_student()
            if guard.source_norm == 'method'
            else self.source.module
        )

    def _source_as_student(self) -> nn.Module:
        """Returns the source, normalised as the student is."""
        return self.source.with_student_norms(self.architecture)

    def _update(
        self, batch: Batch, optim_wrapper: OptimWrapper | None, decision: Decision
    ) -> Update:
        """Updates the student, unless the guard says otherwise."""
        if not self.distiller.trains:
            return Update()
        if optim_wrapper is None:
            raise ConfigError(
                f'`{type(self.distiller).__name__}` trains, but there is no optimizer: '
                'set `test_cfg.optim_wrapper=dict(optimizer=dict(...))`.'
            )
        if decision.action != 'continue':
            batch.logits = None
            return Update(skipped=decision.reason or decision.action)
        with torch.enable_grad():
            update = self.distiller.update(batch, optim_wrapper)
        if update.reset:
            self._reset_weights(optim_wrapper)
        return update

    # ---- going back ---------------------------------------------------------------

    def _reset_weights(self, optim_wrapper: OptimWrapper | None) -> None:
        """Resets all but the guard, which goes on counting."""
        self.source.restore(self.architecture)
        self.distiller.reset()
        reset_optimizer(optim_wrapper)

    # ---- saving -------------------------------------------------------------------

    def adapt_state(self) -> dict[str, Any]:
        """Returns all that a resumed stream needs of the model."""
        return {
            'state_dict': self.state_dict(),
            'source': self.source.fingerprint,
        }

    def load_adapt_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `adapt_state` returned; after `start`.

        Raises:
            CheckpointError: The source is another one, or the model is.
        """
        if state['source'] != self.source.fingerprint:
            raise CheckpointError(
                f'The stream was started from the source `{state["source"]}`, but the '
                f'source is now `{self.source.fingerprint}`. Give the checkpoint that '
                'it was started with.'
            )
        try:
            self.load_state_dict(state['state_dict'])
        except RuntimeError as error:
            raise CheckpointError(
                f'The saved stream is of another model: {error}'
            ) from error

    def student_state_dict(self) -> dict[str, Tensor]:
        """Returns the weights of the student, as mmseg loads them strictly."""
        return dict(self.architecture.state_dict())


def reset_optimizer(optim_wrapper: OptimWrapper | None) -> None:
    """Resets an optimizer: no moments, no gradients.

    The learning rate stays as it is.
    """
    if optim_wrapper is None:
        return
    optim_wrapper.optimizer.state.clear()
    optim_wrapper.zero_grad()
    optim_wrapper._inner_count = 0


def _events(decision: Decision, update: Update) -> list[dict[str, Any]]:
    """Returns what was out of the ordinary."""
    events: list[dict[str, Any]] = []
    if decision.action != 'continue':
        events.append(
            {
                'action': decision.action,
                'reason': decision.reason,
                'signals': dict(decision.signals),
            }
        )
    elif update.skipped:
        events.append({'action': 'skip', 'reason': update.skipped, 'signals': {}})
    if update.reset:
        events.append({'action': 'reset', 'reason': update.reset, 'signals': {}})
    return events


def _checked_map(class_map: Sequence[int] | None, outputs: int) -> list[int]:
    """Returns the class of each output, or an empty list."""
    found = [] if class_map is None else list(class_map)
    if found and (len(found) != outputs or min(found) < 0):
        raise ConfigError.at(
            'model.class_map',
            f'must name a class from 0 on for each of the {outputs} outputs of the '
            f'network, but is {found}.',
        )
    return found


def _preprocessor(config: Any) -> nn.Module:
    if isinstance(config, nn.Module):
        return config
    module: nn.Module = MODELS.build(config)
    return module


def _part(config: Any, kind: type, path: str) -> Any:
    """Builds distiller or guard."""
    if isinstance(config, kind):
        return config
    if not isinstance(config, Mapping) or 'type' not in config:
        raise ConfigError.at(
            path, f"must be dict(type='mmkd_ext....', ...), but is {config!r}."
        )
    module = build_module(config, path)
    if not isinstance(module, kind):
        raise ConfigError.at(
            f'{path}.type',
            f'must be an `{kind.__name__}`, but `{type(module).__name__}` is none.',
        )
    return module
