"""A guard against collapse: compares the model with its source on the same images."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.adaptation.decision import ACTIONS, AdaptGuard, Decision
from mmkd_ext.adaptation.signals import (
    SIGNALS,
    compare,
    lost,
    textured,
    valid_pixels,
)
from mmkd_ext.errors import ConfigError, check_choice, check_integer, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['CollapseGuard']

#: Share that may be lost before the guard acts, by `source_norm`.
LIMITS = {
    'method': {'entropy': 0.1, 'classes': 0.4, 'agreement': 0.4},
    'source': {'entropy': 0.3, 'classes': 0.5, 'agreement': 0.7},
}
#: The strongest action for a signal alone.
STRONGEST = {'entropy': 'reset', 'classes': 'reset', 'agreement': 'restore'}
#: How often the limit of a window one image may lose.
DOUBT = 1.5
SOURCE_NORMS = ('method', 'source')
ANSWERS = ('source', 'model')
_SETTINGS = (
    *('window', 'every', 'source_scale', 'source_norm', 'answer', 'restore'),
    *('cool_down', 'min_valid', 'min_share'),
)
_COUNTERS = ('seen', 'healthy', 'pause', 'num_rollbacks', 'alarmed')


@MODELS.register_module()
class CollapseGuard(AdaptGuard):
    """Detects the collapse of a model, answers for it, and reacts in four grades.

    A model that adapts to its own predictions may drift to a few classes, while its
    loss looks better and better. The guard therefore looks at no loss. It compares
    the model with the frozen source, on the images of a sliding window: how much of
    the source's entropy (of the mean prediction), of its number of classes, and of
    the agreement with it is lost. 0 is the source itself, 1 one class everywhere, see
    :func:`mmkd_ext.adaptation.signals.lost`. As the source defines what is normal
    for these images, no number depends on a data set.

    The *risk* is how far a signal is on its way from its limit (0) to a complete loss
    (1). Each quarter of that way is one grade, and the highest grade of all counts:

    1. ``restore``: updates go on, and source weights come back with a probability that
       grows with the risk;
    2. ``skip``: no update;
    3. ``roll_back``: back to the last state after a window of healthy images, in which
       no signal was more than halfway to its limit;
    4. ``reset``: back to the source, with optimizer, prototypes and buffers.

    From the first grade on the source's prediction is reported, until the alarm and the
    pause after it are over; and for an image that by itself has lost half as much again
    as a limit allows: first, do no harm.

    A signal whose alarm outlasts a window gets one grade more: by then nothing is left
    in the window of what was before, so the action has not helped. After going back the
    window is emptied and updates pause for `cool_down` images. If it is needed again
    before the model was healthy for a whole window, it is a reset, and the pause
    doubles each time. So a hopeless setting ends near the source, not in a loop of
    resets.

    An image with too few valid pixels (blank, or not finite) updates nothing, and is in
    no window. If the image is sound and the prediction is not finite, the weights are
    broken: that is a step back at once.

    To disagree with the source is what adaptation is for, most of all where the source
    is useless: alone it never asks for more than ``restore``, see `strongest`. The
    limits were chosen on toy streets that no table reports
    (benchmarks/experiments/adapt_streets_guard.py), those of ``source_norm='source'``
    from no measurement. The window was chosen on ESPNetv2: a rate that is ten times
    too high takes 32 points within the eight images after the first one and a half, by
    when 0.12 of the entropy was lost; the agreement of mirror images, another
    candidate, was still better than the source's.

    Args:
        window: Images that are compared at a time. The guard judges from a quarter of
            it on.
        every: Compares every n-th image only, all during an alarm and the pause after
            it: one forward pass of the source each.
        source_scale: Size of the image that the source sees, as a share of its height
            and width. 0.5 costs a quarter, and lets small classes count less.
        source_norm: ``'method'`` normalises the source as the method does its student,
            so what was learned is compared, not whose statistics are used. ``'source'``
            leaves it its own, with which it may be lost in another domain.
        answer: Whose prediction is reported in doubt, the ``'source'``'s or the
            ``'model'``'s.
        limits: Limits by signal, ``'entropy'``, ``'classes'``, ``'agreement'``, each
            above 0 and below 1, or None to leave the signal out. What is not named
            stays at 0.1, 0.4 and 0.4, or 0.3, 0.5 and 0.7 with
            ``source_norm='source'``.
        strongest: Strongest action for a signal alone, by signal; ``'reset'`` for
            entropy and classes, ``'restore'`` for agreement.
        restore: Probability of a restored weight at the end of the first grade.
        cool_down: Images without updates after going back; None for `window`.
        min_valid: Least share of valid pixels of an image.
        min_share: Share of an image from which a class counts as predicted: a few stray
            pixels are no class.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: A setting is out of its range, or no signal is left.
    """

    def __init__(
        self,
        *,
        window: int = 8,
        every: int = 1,
        source_scale: float = 1.0,
        source_norm: str = 'method',
        answer: str = 'source',
        limits: Mapping[str, float | None] | None = None,
        strongest: Mapping[str, str] | None = None,
        restore: float = 0.1,
        cool_down: int | None = None,
        min_valid: float = 0.05,
        min_share: float = 0.001,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        cool_down = window if cool_down is None else cool_down
        for name, count in (('window', window), ('every', every)):
            check_integer(name, count, ge=1)
        check_integer('cool_down', cool_down, ge=0)
        check_range('source_scale', source_scale, gt=0, le=1)
        for name, share in (('restore', restore), ('min_valid', min_valid)):
            check_range(name, share, ge=0, le=1)
        check_range('min_share', min_share, ge=0, le=1)
        check_choice('source_norm', source_norm, SOURCE_NORMS)
        check_choice('answer', answer, ANSWERS)
        self.window, self.every = window, every
        self.source_scale, self.source_norm = source_scale, source_norm
        self.answer = answer
        self.limits = _limits(limits, LIMITS[source_norm])
        self.strongest = _strongest(strongest)
        self.restore, self.cool_down = restore, cool_down
        self.min_valid, self.min_share = min_valid, min_share
        self.reset()

    def reset(self) -> None:
        """Resets the guard, at the start of a stream."""
        self._restart()
        self.seen = self.pause = self.num_rollbacks = 0

    def _restart(self) -> None:
        """Clears what was measured before a reset or rollback."""
        self.rows: deque[Tensor] = deque(maxlen=self.window)
        self.alarms = dict.fromkeys(SIGNALS, 0)
        self.healthy = 0
        self.alarmed = False

    # ---- looking ------------------------------------------------------------------

    @property
    def needs_source(self) -> bool:  # type: ignore[override]
        """Whether the next image is compared."""
        return self.alarmed or self.pause > 0 or self.seen % self.every == 0

    def source_inputs(self, inputs: Tensor) -> Tensor:
        """Returns the images as the source is to see them."""
        if self.source_scale == 1:
            return inputs
        size = [max(1, round(side * self.source_scale)) for side in inputs.shape[2:]]
        return F.interpolate(inputs, size, mode='bilinear', antialias=True)

    def decide(
        self, batch: Batch, scores: Tensor, source_scores: Tensor | None
    ) -> Decision:
        """Judges one image."""
        self.seen += 1
        paused, self.pause = self.pause > 0, max(0, self.pause - 1)
        valid = valid_pixels(scores, batch.samples)
        there = textured(batch.inputs)
        signals = {'valid': _mean(valid & there)}
        if signals['valid'] < self.min_valid:
            if _mean(there) < self.min_valid or (paused and self.num_rollbacks != 1):
                reason = f'{signals["valid"]:.1%} of the pixels are valid'
                return Decision('skip', reason, signals)
            # the image is sound, so it is the weights that are not, and stay so
            return self._go_back('roll_back', 'the prediction is not finite', signals)
        doubt = paused
        if source_scores is not None:
            row = compare(scores, source_scores, valid, self.min_share)
            self.rows.append(row)
            signals['source_classes'] = float(row[-1])
            doubt = doubt or self._doubts(row)
        found = self._measure(signals)
        answer = doubt and self.answer == 'source'
        if paused:
            signals['pause'] = float(self.pause)
            reason = 'updates rest after going back'
            return Decision('skip', reason, signals, answer=answer)
        decision = (
            Decision(signals=signals)
            if source_scores is None
            else self._judge(found, signals)
        )
        return replace(decision, answer=decision.answer or answer)

    def _doubts(self, row: Tensor) -> bool:
        """Whether one image has lost too much for its prediction to be reported."""
        own, _ = lost([row])
        return any(own[name] > DOUBT * limit for name, limit in self.limits.items())

    def _measure(self, signals: dict[str, float]) -> dict[str, float]:
        """Returns what is lost, and adds it to the signals."""
        if not self.rows:
            return {}
        found, values = lost(self.rows)
        signals.update(values)
        signals.update({f'lost_{name}': value for name, value in found.items()})
        return found

    # ---- deciding -----------------------------------------------------------------

    def _judge(self, found: Mapping[str, float], signals: dict[str, float]) -> Decision:
        """Turns what is lost into an action."""
        if 4 * len(self.rows) < self.window:
            return Decision(signals=signals)
        risks = {
            name: (found[name] - limit) / (1 - limit)
            for name, limit in self.limits.items()
        }
        grades = {name: self._grade(name, risk) for name, risk in risks.items()}
        worst = max(grades, key=lambda name: (grades[name], risks[name]))
        self.alarmed = grades[worst] > 0
        if not self.alarmed:
            return self._calm(found, signals)
        self.healthy = 0
        action = ACTIONS[grades[worst]]
        share, limit = found[worst], self.limits[worst]
        reason = f"lost {share:.0%} of the source's {worst}, limit {limit:.0%}"
        if action in ('roll_back', 'reset'):
            return self._go_back(action, reason, signals)
        probability = self.restore * min(1.0, 4 * risks[worst])
        return Decision(
            action,
            reason,
            signals,
            restore=probability * (action == 'restore'),
            answer=self.answer == 'source',
        )

    def _grade(self, name: str, risk: float) -> int:
        """Returns the grade of one signal, and counts how long it has been an alarm."""
        if risk <= 0:
            self.alarms[name] = 0
            return 0
        grade = 1 + int(4 * risk) + self.alarms[name] // self.window
        self.alarms[name] += 1
        return min(grade, ACTIONS.index(self.strongest[name]))

    def _calm(self, found: Mapping[str, float], signals: dict[str, float]) -> Decision:
        """Counts healthy images; a state far from any alarm is one to go back to."""
        self.healthy += 1
        if self.healthy < self.window:
            return Decision(signals=signals)
        self.num_rollbacks = 0
        # a window that is only just healthy may hold the start of a collapse
        far = all(2 * found[name] <= limit for name, limit in self.limits.items())
        if far:
            self.healthy = 0
        return Decision(signals=signals, snapshot=far)

    def _go_back(self, action: str, reason: str, signals: dict[str, float]) -> Decision:
        """Rolls back or resets, with a longer pause if the last one was recent."""
        if self.num_rollbacks:
            action, reason = 'reset', f'{reason}, again'
        # 2 ** 20 images are for ever, and a number all the same
        self.pause = self.cool_down * 2 ** min(self.num_rollbacks, 20)
        self.num_rollbacks += 1
        self._restart()
        return Decision(action, reason, signals, answer=self.answer == 'source')

    # ---- saving -------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Returns the window and the counters."""
        return {
            'rows': [row.clone() for row in self.rows],
            'counters': {name: getattr(self, name) for name in _COUNTERS},
            'alarms': dict(self.alarms),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores the state of another one."""
        self.rows = deque((row.cpu() for row in state['rows']), maxlen=self.window)
        for name in _COUNTERS:
            setattr(self, name, state['counters'][name])
        self.alarms = dict(state['alarms'])

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        return {
            **super().describe(),
            **{name: getattr(self, name) for name in _SETTINGS},
            'limits': dict(self.limits),
            'strongest': dict(self.strongest),
        }


def _strongest(given: Mapping[str, str] | None) -> dict[str, str]:
    """Returns the strongest answer to each signal."""
    for name, action in (given or {}).items():
        check_choice('strongest', name, SIGNALS)
        check_choice(f'strongest.{name}', action, ACTIONS[1:])
    return {**STRONGEST, **(given or {})}


def _mean(mask: Tensor) -> float:
    return float(mask.float().mean())


def _limits(
    given: Mapping[str, float | None] | None, usual: Mapping[str, float]
) -> dict[str, float]:
    """Returns the limit of each signal that is watched."""
    limits: dict[str, float] = {}
    for name in given or {}:
        check_choice('limits', name, SIGNALS)
    for name, limit in {**usual, **(given or {})}.items():
        if limit is None:
            continue
        check_range(f'limits.{name}', limit, gt=0, le=0.99)
        limits[name] = float(limit)
    if not limits:
        raise ConfigError('`limits` leaves out every signal. Set `guard=None` instead.')
    return limits
