"""Each law can fail, and the five classic mistakes do not get past them."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.functional import squared_error
from mmkd_ext.methods import CWDLoss, FitNetsLoss, KDLoss, PairLoss
from mmkd_ext.testing.laws import (
    LAWS,
    KnownValue,
    LawBroken,
    LossCase,
    broken_laws,
    pyramid,
)

TESTS = Path(__file__).parents[1]


def loaded(path):
    spec = importlib.util.spec_from_file_location(f'loaded_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sound(PairLoss):
    """Breaks no law; each counterexample changes one thing about it."""

    def __init__(self, tau=1.0, **policy):
        super().__init__(**policy)
        self.tau = tau

    def compute(self, student, teacher):
        return self.tau**2 * squared_error(student / self.tau, teacher / self.tau)


def broken(name, compute=None, **parts):
    """A case of `Sound` of which some parts are changed."""
    if compute is not None:
        parts['compute'] = compute
    return LossCase(type(name, (Sound,), parts))


error = Sound.compute


class HalfLoss(Sound):
    def forward(self, preds_S, preds_T):
        return super().forward(preds_S, preds_T).to(
            preds_S[0].dtype if isinstance(preds_S, tuple) else preds_S.dtype)


class AutocastInside(Sound):
    def forward(self, preds_S, preds_T):
        student, teacher = self._prepare(preds_S, preds_T)
        difference = (student - teacher).flatten(1)
        return self.loss_weight * (difference @ difference.T).trace()


class AnyReduction(Sound):
    def __init__(self, reduction='mean', **policy):
        super().__init__(**policy)
        self.reduction = reduction


class NoSuggestion(Sound):
    def __init__(self, reduction='mean', **policy):
        if reduction not in ('none', 'sum', 'mean', 'batchmean'):
            raise ConfigError('wrong reduction')
        super().__init__(reduction=reduction, **policy)


class TruncatesPyramid(Sound):
    def forward(self, preds_S, preds_T):
        if isinstance(preds_S, torch.Tensor) and isinstance(preds_T, torch.Tensor):
            return super().forward(preds_S, preds_T)
        levels = min(len(preds_S), len(preds_T))
        return super().forward(tuple(preds_S[:levels]), tuple(preds_T[:levels]))


class MeanOfLevels(Sound):
    def forward(self, preds_S, preds_T):
        value = super().forward(preds_S, preds_T)
        return value / len(preds_S) if isinstance(preds_S, tuple) else value


class ForgetsMargin(Sound):
    """Keeps what it learned in a plain attribute, as mmrazor's OFD does its margin."""

    margin = None

    def compute(self, student, teacher):
        if self.margin is None:
            self.margin = teacher.mean()
        return super().compute(student, teacher) * (1 + self.margin**2)


class KeepsGraph(Sound):
    def compute(self, student, teacher):
        self.last = super().compute(student, teacher)
        return self.last


class SharesBuffer(Sound):
    def __init__(self, **policy):
        super().__init__(**policy)
        self.register_buffer('bias', torch.ones(1))

    def __deepcopy__(self, memo):
        twin = SharesBuffer()
        twin.bias = self.bias
        return twin


class ChangesStudent(Sound):
    def compute(self, student, teacher):
        if not torch.is_grad_enabled():
            student.mul_(2)
        return super().compute(student, teacher)


def broadcasts(self, student, teacher):
    return (student - teacher).square()


COUNTEREXAMPLES = [
    ('scalar_and_finite', broken('Unreduced', default_reduction='none'),
     r'has shape \(2, 3, 4, 5\); reduce it'),
    ('scalar_and_finite', broken('LogOfNegatives', lambda self, s, t: s.log()),
     'the loss is nan'),
    ('scalar_and_finite',
     broken('DoubleInside', lambda self, s, t: error(self, s.double(), t.double())),
     'float32 inputs gave torch.float64'),
    ('gradient_reaches_the_student_only',
     broken('StudentDetached', lambda self, s, t: error(self, s.detach(), t) + 0 * s),
     'no gradient reaches level 0 of the student'),
    ('gradient_reaches_the_student_only',
     broken('TeacherLearns', _prepare=lambda self, s, t: (s, t)),
     'a gradient reaches the detached teacher'),
    ('teacher_detach_is_a_choice',
     broken('AlwaysDetaches', lambda self, s, t: error(self, s, t.detach() + 0 * t)),
     'the option does nothing'),
    ('linear_in_loss_weight',
     broken('WeightTwice', lambda self, s, t: self.loss_weight * error(self, s, t)),
     r'loss_weight=2\.5: .* inst'),
    # as mmrazor's losses do
    ('memory_format_does_not_matter',
     broken('NeedsContiguous', lambda self, s, t: error(
         self, s.view(len(s), -1), t.view(len(t), -1))), 'view'),
    ('memory_format_does_not_matter',
     broken('ReadsMemory', lambda self, s, t: (2 - s.is_contiguous()) * error(
         self, s, t)), 'channels_last inputs: '),
    ('half_inputs_stay_finite',
     broken('StaysHalf', _prepare=lambda self, s, t: (s, t.detach())),
     'about 1000 gave inf'),
    ('half_inputs_stay_finite',
     broken('HalfSum', _reduce=lambda self, items: items.bfloat16().mean()),
     'lost digits'),
    ('autocast_computes_in_float32', LossCase(AutocastInside), 'under autocast: '),
    ('autocast_computes_in_float32', LossCase(HalfLoss), 'the loss is torch.bfloat16'),
    ('reductions_agree',
     broken('IgnoresReduction', _reduce=lambda self, items: items.sum()),
     r'the batch of 2|does not agree'),
    ('reductions_agree',
     broken('OneNumber', lambda self, s, t: error(self, s, t).mean()),
     r"'none' gave \(\); .* the batch of 2"),
    ('unknown_reduction_suggests', LossCase(AnyReduction), 'was taken'),
    ('unknown_reduction_suggests', LossCase(NoSuggestion), 'does not suggest'),
    ('gradients_are_right',
     broken('DetachedFactor', lambda self, s, t: (s - t) * (s - t).detach()),
     'Jacobian mismatch'),
    ('batch_order_does_not_matter',
     broken('FirstImageCounts', lambda self, s, t: torch.cat(
         [2 * error(self, s, t)[:1], error(self, s, t)[1:]])), 'in the order'),
    ('zero_at_equality',
     broken('TeacherHalved', lambda self, s, t: error(self, s, t / 2)), 'equal sides'),
    ('zero_at_equality', broken('SignLost', lambda self, s, t: -error(self, s, t)),
     'a loss is positive there'),
    ('mismatched_shapes_raise', broken('Broadcasts', broadcasts),
     'raised RuntimeError instead of `ShapeError`'),
    ('mismatched_shapes_raise',
     dataclasses.replace(broken('Broadcasts', broadcasts), inputs=pyramid((1, 3))),
     r'gave .*; raise `ShapeError`'),
    ('pyramids_sum_over_levels', LossCase(TruncatesPyramid), 'raise `ShapeError`'),
    ('pyramids_sum_over_levels', LossCase(MeanOfLevels), 'a pyramid: '),
    ('state_dict_resumes', LossCase(ForgetsMargin), 'keep state in buffers'),
    ('deepcopy_is_independent', LossCase(KeepsGraph), 'deepcopy protocol'),
    ('deepcopy_is_independent', LossCase(SharesBuffer), 'shares tensors'),
    ('inputs_stay_untouched',
     broken('ChangesTeacher', lambda self, s, t: error(self, s, t.clamp_(min=0))),
     'the teacher was changed'),
    ('inputs_stay_untouched', LossCase(ChangesStudent), 'the student was changed'),
    ('temperature_scales',
     dataclasses.replace(broken('LosesTauSquared', lambda self, s, t: squared_error(
         s / self.tau, t / self.tau)), temperature='tau'), r'tau=0\.5: '),
    ('invariances_hold',
     LossCase(Sound, invariances={'student plus one': lambda x: x + 1}),
     'student plus one: '),
    ('known_values_hold',
     LossCase(Sound, values=[KnownValue([2.0], [0.0], 2.0, 'guess')]),
     r'guess: 4\.0 instead of 2\.0'),
]


@pytest.mark.parametrize(('name', 'case', 'message'), COUNTEREXAMPLES, ids=str)
def test_law_is_broken_by(name, case, message):
    law = next(law for law in LAWS if law.name == name)
    with pytest.raises(Exception, match=message):
        law.check(case)


def test_every_law_has_a_counterexample():
    assert {law.name for law in LAWS} == {name for name, *_ in COUNTEREXAMPLES}


def test_a_sound_loss_breaks_no_law():
    assert broken_laws(LossCase(Sound, {'tau': 2.0}, temperature='tau')) == {}


# ---- the five classic mistakes, in CWD and in KD -----------------------------------


def divergence(student, teacher, tau, dim, *, tempered=True):
    log_q = torch.log_softmax(student / tau, dim)
    log_p = torch.log_softmax(teacher / tau if tempered else teacher, dim)
    return tau**2 * (log_p.exp() * (log_p - log_q)).sum(dim)


class LostTauSquared:
    def compute(self, student, teacher, **extras):
        return super().compute(student, teacher, **extras) / self.tau**2


class SwappedArguments:
    def compute(self, student, teacher, **extras):
        return super().compute(teacher, student, **extras)


class WrongAxis:
    def compute(self, student, teacher, **extras):
        wrong = 1 if isinstance(self, CWDLoss) else -1
        return divergence(student, teacher, self.tau, wrong)


class TeacherNotTempered:
    def compute(self, student, teacher, **extras):
        sides = student, teacher
        if isinstance(self, CWDLoss):
            sides = student.flatten(2), teacher.flatten(2)
        return divergence(*sides, self.tau, 2 if isinstance(self, CWDLoss) else 1,
                          tempered=False)


class WrongWeighting:
    default_reduction = 'batchmean'


CLASSIC = {
    LostTauSquared: {'temperature_scales', 'known_values_hold'},
    SwappedArguments: {'known_values_hold'},
    WrongAxis: {'invariances_hold', 'known_values_hold'},
    TeacherNotTempered: {'zero_at_equality', 'temperature_scales', 'known_values_hold'},
    WrongWeighting: {'known_values_hold'}}


def is_broken(law, case):
    try:
        law.check(case)
    except LawBroken:
        return True
    return False


def mutant(mistake, method):
    return type(f'{mistake.__name__}{method.__name__}', (mistake, method), {})


@pytest.mark.parametrize('mistake', CLASSIC, ids=lambda mistake: mistake.__name__)
@pytest.mark.parametrize(('method', 'file'), [(CWDLoss, 'cwd'), (KDLoss, 'kd')])
def test_cases_catch_the_classic_mistake(mistake, method, file):
    wrong = [dataclasses.replace(case, build=mutant(mistake, method))
             for case in loaded(TESTS / f'methods/test_{file}.py').CASES]
    caught = {law.name for law in LAWS for case in wrong
              if law.name in CLASSIC[mistake] and is_broken(law, case)}
    assert caught == CLASSIC[mistake]


@pytest.mark.parametrize('mistake', CLASSIC, ids=lambda mistake: mistake.__name__)
@pytest.mark.parametrize(('method', 'file', 'name'), [
    (CWDLoss, 'methods/test_cwd.py', 'slow_channel_divergence'),
    (KDLoss, 'functional/test_divergence.py', 'slow_class_divergence')])
def test_twins_catch_the_classic_mistake(mistake, method, file, name):
    twin = getattr(loaded(TESTS / file), name)
    torch.manual_seed(0)
    # a teacher that is surer than the student, so that no mistake averages out
    student = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    teacher = 3 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    slow = torch.tensor(twin(student.tolist(), teacher.tolist(), 2.0),
                        dtype=torch.float64).mean()
    torch.testing.assert_close(method(tau=2.0)(student, teacher), slow)
    with pytest.raises(AssertionError, match='Scalars are not close'):
        torch.testing.assert_close(mutant(mistake, method)(tau=2.0)(student, teacher),
                                   slow, rtol=1e-2, atol=0)


class Halved:
    """The 1/2 of the paper's first stage, which joint training leaves out."""

    def compute(self, student, teacher):
        return super().compute(student, teacher) / 2


class NotSquared:
    def compute(self, student, teacher):
        return (student - teacher).abs()


@pytest.mark.parametrize('mistake', [WrongWeighting, Halved, NotSquared],
                         ids=lambda mistake: mistake.__name__)
def test_cases_catch_mistakes_in_fitnets(mistake):
    case = loaded(TESTS / 'methods/test_fitnets.py').CASES[0]
    wrong = dataclasses.replace(case, build=mutant(mistake, FitNetsLoss))
    law = next(law for law in LAWS if law.name == 'known_values_hold')
    assert is_broken(law, wrong)
