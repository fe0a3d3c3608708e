"""The check of connectors with several inputs, modules as taps, and inheritance."""

from __future__ import annotations

import io

import torch
from torch import nn

from mmkd_ext.config.check import check_config
from mmkd_ext.config.draft import Draft
from mmkd_ext.config.report import console_for, render
from mmkd_ext.registry import MODELS

CWD = 'model.distiller.links.loss_cwd'


@MODELS.register_module()
class CheckedGiven(nn.Module):
    """Runs a layer on a map, weighted by another map."""

    def forward(self, x, head, weight):
        with torch.no_grad():
            return head(x) + weight.mean()


GIVEN = {
    f'{CWD}.preds_T': {
        'of': 'teacher',
        'at': 'head.dropout',
        'connector': {'type': 'CheckedGiven'},
        'given': {
            'head': {
                'of': 'teacher',
                'at': {'type': 'Module', 'source': 'head.conv_seg'},
            },
            'weight': {'of': 'student', 'at': 'neck', 'item': 0},
        },
    }
}


def test_what_a_connector_is_given_is_shown_below_its_tap(distillation):
    report = check_config(distillation(GIVEN))
    assert report.ok, report.findings.problems
    (link,) = report.links
    taps = {tap.argument: tap for tap in link.taps}
    assert list(taps) == [
        'preds_S',
        'preds_T',
        'preds_T.given.head',
        'preds_T.given.weight',
    ]
    assert 'head.conv_seg' in taps['preds_T.given.head'].at
    assert taps['preds_T.given.head'].shape == 'Conv2d'
    assert taps['preds_T.given.weight'].shape == '2x4x64x64'
    assert taps['preds_T'].connector == 'CheckedGiven'
    stream = io.StringIO()
    console_for(stream).print(render(report))
    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert ['head', 'teacher'] in [line[:2] for line in lines]
    assert ['weight', 'student'] in [line[:2] for line in lines]


def test_mistakes_inside_given_are_reported_with_those_elsewhere(distillation):
    report = check_config(
        distillation(
            {
                **GIVEN,
                f'{CWD}.preds_T.given.head.at.source': 'head.conv_sge',
                f'{CWD}.preds_T.given.weight.at': 'nekc',
                f'{CWD}.preds_S.at': 'hed.conv_seg',
            }
        )
    )
    found = {problem.path: problem for problem in report.findings.problems}
    assert set(found) == {
        f'{CWD}.preds_S.at',
        f'{CWD}.preds_T.given.head.at',
        f'{CWD}.preds_T.given.weight.at',
    }
    assert 'head.conv_seg' in found[f'{CWD}.preds_T.given.head.at'].hint


def test_an_argument_that_the_connector_has_not_is_a_problem(distillation):
    report = check_config(
        distillation(
            {**GIVEN, f'{CWD}.preds_T.given.wieght': {'of': 'student', 'at': 'neck'}}
        )
    )
    (problem,) = report.findings.problems
    assert problem.path == f'{CWD}.preds_T.given.wieght'
    assert 'Did you mean `weight`?' in problem.hint


def test_a_shared_connector_inside_given_is_named_where_it_is_written(distillation):
    changes = {
        f'{CWD}.preds_T.given.weight.connector': 'shared',
        'model.distiller.connectors': {'shared': {'type': 'ConvAdaptor'}},
    }
    report = check_config(distillation({**GIVEN, **changes}))
    (problem,) = report.findings.problems
    assert problem.path == 'model.distiller.connectors.shared.type'


def test_taking_out_a_shared_connector_takes_out_the_links_that_give_through_it():
    tap = {'of': 'student', 'at': 'neck'}
    inside = {
        **tap,
        'connector': {'type': 'X'},
        'given': {'weight': {**tap, 'connector': 'shared'}},
    }
    links = {'loss_a': {'loss': {}, 'preds_S': inside}, 'loss_b': {'preds_S': tap}}
    draft = Draft({'distiller': {'links': links, 'connectors': {'shared': {}}}})
    assert draft.mend('model.distiller.connectors.shared')
    assert list(draft.distiller['links']) == ['loss_b']


def test_what_is_inherited_is_noted(distillation):
    cfg = distillation(
        model__inherit=['neck', 'head'],
        model__teacher__channels=4,
        model__teacher__classes=4,
    )
    report = check_config(cfg)
    assert report.ok, report.findings.problems
    (note,) = [n for n in report.findings.notes if n.path == 'model.inherit']
    assert 'tensors start as those of the teacher' in note.found


def test_a_typo_in_inherit_is_reported_with_the_other_problems(distillation):
    report = check_config(
        distillation(model__inherit=['nekc'], **{f'{CWD}.loss.tua': 3.0})
    )
    found = {problem.path: str(problem) for problem in report.findings.problems}
    assert set(found) == {'model.inherit[0]', f'{CWD}.loss.tua'}
    assert 'Did you mean `neck`?' in found['model.inherit[0]']
