"""What the check says of links with a discriminator, and of its optimizer."""

from __future__ import annotations

import pytest

from mmkd_ext.config.check import check_config

CONSTRUCTOR = 'mmkd_ext.AdversarialOptimWrapperConstructor'
LINK = {
    'loss': {'type': 'mmkd_ext.SKDSHolisticLoss', 'channels': 4, 'widths': (4,),
             'attention': 1, 'loss_weight': 0.1},
    'preds_S': {'of': 'student', 'at': 'head.conv_seg'},
    'preds_T': {'of': 'teacher', 'at': 'head.conv_seg'},
    'inputs': {'of': 'batch', 'at': 'inputs'},
}  # fmt: skip
HOLISTIC = 'model.distiller.links.loss_holistic'
SGD = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.1}}


@pytest.fixture
def adversarial(distillation, training):
    """A distillation with a discriminator, with keys changed by dotted name."""

    def make(changes=None, constructor=CONSTRUCTOR):
        wrapper = {**SGD, 'constructor': constructor} if constructor else SGD
        cfg = {HOLISTIC: LINK, **training(), 'optim_wrapper': wrapper}
        return distillation({**cfg, **(changes or {})})

    return make


def paths(found):
    return [one.path for one in found]


def test_a_discriminator_with_its_optimizer_is_fine(adversarial):
    report = check_config(adversarial())
    assert not report.problems
    # what it minimises is none of the student's, and nobody is warned of that
    assert 'distill.loss_holistic_discriminator' not in paths(report.warnings)
    terms = {term.name: term for term in report.terms}
    assert terms['distill.loss_holistic'].gradient > 0
    assert terms['distill.loss_holistic_discriminator'].gradient == 0


@pytest.mark.parametrize('constructor', [None, 'DefaultOptimWrapperConstructor'])
def test_forgetting_its_optimizer_is_a_problem_that_says_what_to_write(
    adversarial, constructor
):
    (problem,) = check_config(adversarial(constructor=constructor)).problems
    assert problem.path == 'optim_wrapper.constructor'
    assert 'needs an optimizer of its own' in problem.found
    assert f"constructor='{CONSTRUCTOR}'" in problem.hint


def test_without_a_training_nothing_is_asked(distillation):
    assert check_config(distillation({HOLISTIC: LINK})).ok


def test_an_optimizer_for_no_discriminator_is_a_problem(distillation, training):
    wrapper = {**SGD, 'constructor': CONSTRUCTOR}
    cfg = distillation({**training(), 'optim_wrapper': wrapper})
    (problem,) = check_config(cfg).problems
    assert problem.path == 'optim_wrapper.constructor'
    assert 'no link has a discriminator' in problem.found


@pytest.mark.parametrize(('optimizer', 'path'), [
    ({'type': 'Adm'}, 'type'), ({'type': 'Adam', 'beta': 1}, 'beta')])
def test_mistakes_in_its_optimizer_are_named(adversarial, optimizer, path):
    cfg = adversarial({'optim_wrapper.discriminator': {'optimizer': optimizer}})
    found = paths(check_config(cfg).problems)
    assert found == [f'optim_wrapper.discriminator.optimizer.{path}']


def test_its_schedule_is_looked_at_as_any_other(adversarial):
    schedule = {'type': 'mmkd_ext.DiscriminatorScheduler', 'by_epoch': False}
    train = {'type': 'IterBasedTrainLoop', 'max_iters': 10}
    late = {**schedule, 'scheduler': 'PolyLR', 'end': 20}
    cfg = adversarial({'param_scheduler': [late], 'train_cfg': train})
    report = check_config(cfg)
    assert report.ok
    assert 'param_scheduler[0].end' in paths(report.warnings)
    cfg = adversarial({'param_scheduler': [{**schedule, 'scheduler': 'PolyLRR'}]})
    (problem,) = check_config(cfg).problems
    assert problem.path == 'param_scheduler[0].scheduler'
    assert 'PolyLR' in problem.hint


@pytest.mark.parametrize(('changes', 'word'), [
    ({'.loss.channels': 19}, '`channels=4`'),
    ({'.inputs': None, '.loss.conditional': True},
     "inputs=dict(of='batch', at='inputs')"),
])  # fmt: skip
def test_mistakes_in_its_link_are_named(changes, word, adversarial):
    cfg = adversarial({HOLISTIC + key: value for key, value in changes.items()})
    (problem,) = check_config(cfg).problems
    assert problem.path.startswith(HOLISTIC)
    assert word in str(problem)
