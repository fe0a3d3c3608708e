"""The check of connectors with several inputs, modules as taps, and inheritance."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from mmkd_ext.config.check import check_config
from mmkd_ext.config.report import console_for, render
from mmkd_ext.registry import MODELS

CWD = 'model.distiller.links.loss_cwd'


@MODELS.register_module()
class CheckedGiven(nn.Module):
    """Runs a layer on a map, weighted by another map."""

    def forward(self, x, head, weight):
        with torch.no_grad():
            return head(x) + weight.mean()


HEAD = {'of': 'teacher', 'at': {'type': 'Module', 'source': 'head.conv_seg'}}
TAP = f'{CWD}.preds_T'
GIVEN = {
    TAP: {
        'of': 'teacher', 'at': 'head.dropout', 'connector': {'type': 'CheckedGiven'},
        'given': {'head': HEAD, 'weight': {'of': 'student', 'at': 'neck', 'item': 0}}}
}  # fmt: skip


def test_what_a_connector_is_given_is_shown_below_its_tap(distillation):
    report = check_config(distillation(GIVEN))
    assert report.ok, report.problems
    taps = {tap.argument: tap for tap in report.links[0].taps}
    head, weight = 'preds_T.given.head', 'preds_T.given.weight'
    assert list(taps) == ['preds_S', 'preds_T', head, weight]
    assert 'head.conv_seg' in taps[head].at
    assert (taps[head].shape, taps[weight].shape) == ('Conv2d', '2x4x64x64')
    assert taps['preds_T'].connector == 'CheckedGiven'
    stream = io.StringIO()
    console_for(stream).print(render(report))
    lines = [line.split()[:2] for line in stream.getvalue().splitlines()]
    assert ['head', 'teacher'] in lines
    assert ['weight', 'student'] in lines


@pytest.mark.parametrize(('changes', 'words'), [
    ({f'{TAP}.given.head.at.source': 'head.conv_sge', f'{TAP}.given.weight.at': 'nekc',
      f'{CWD}.preds_S.at': 'hed.conv_seg'},
     {f'{TAP}.given.head.at': 'head.conv_seg', f'{TAP}.given.weight.at': 'neck',
      f'{CWD}.preds_S.at': 'head.conv_seg'}),
    ({f'{TAP}.given.wieght': {'of': 'student', 'at': 'neck'}},
     {f'{TAP}.given.wieght': '`weight`'}),
    ({f'{TAP}.given.weight.connector': 'shared',
      'model.distiller.connectors': {'shared': {'type': 'ConvAdaptor'}}},
     {'model.distiller.connectors.shared.type': 'ConvAdapter'}),
])  # fmt: skip
def test_mistakes_inside_given_are_named_at_their_places(changes, words, distillation):
    report = check_config(distillation({**GIVEN, **changes}))
    found = {problem.path: problem.hint for problem in report.problems}
    assert set(found) == set(words)
    assert all(words[path] in found[path] for path in words)
    assert not report.links


def test_what_is_inherited_is_noted(distillation):
    teacher = {'type': 'mmkd_ext.ToyModel', 'channels': 4, 'classes': 4}
    cfg = distillation(model__inherit=['neck', 'head'], model__teacher=teacher)
    report = check_config(cfg)
    assert report.ok, report.problems
    (note,) = [note for note in report.notes if note.path == 'model.inherit']
    assert 'tensors start as those of the teacher' in note.found


def test_a_typo_in_inherit_is_reported_with_the_other_problems(distillation):
    changes = {'model.inherit': ['nekc'], f'{CWD}.loss.tua': 3.0}
    report = check_config(distillation(changes))
    found = {problem.path: problem.hint for problem in report.problems}
    assert set(found) == {'model.inherit[0]', f'{CWD}.loss.tua'}
    assert 'Did you mean `neck`?' in found['model.inherit[0]']
