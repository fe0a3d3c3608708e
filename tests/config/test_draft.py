"""Taking out what is wrong, the smallest part that can be."""

from __future__ import annotations

import pytest

from mmkd_ext.config.draft import AnyLoss, Draft
from mmkd_ext.config.findings import Findings
from mmkd_ext.errors import ConfigError, Problem, ShapeError, problems_of

LINKS = 'model.distiller.links'


@pytest.fixture
def draft(link):
    return Draft(
        {
            'teacher': {},
            'min_matched': 7,
            'distiller': {
                'links': {'loss_a': link(), 'b': link()},
                'connectors': {'c': {}},
            },
        }
    )


@pytest.mark.parametrize(
    ('path', 'left'),
    [
        (f'{LINKS}.loss_a.loss.tau', ['loss', 'preds_S', 'preds_T']),
        (f'{LINKS}.loss_a.loss.type', None),
        (f'{LINKS}.loss_a.loss.gone', None),
        (f'{LINKS}.loss_a.preds_S.at', None),
        (f'{LINKS}.loss_a.preds_S.connector.kernel', None),
        (f'{LINKS}.loss_a', None),
    ],
)
def test_a_part_of_a_link_or_all_of_it_goes(path, left, draft):
    assert draft.mend(path)
    link = draft.distiller['links'].get('loss_a')
    assert (link and list(link)) == left
    assert not link or 'tau' not in link['loss']


def test_the_config_itself_is_not_changed(link):
    config = {'distiller': {'links': {'loss_a': link()}}}
    Draft(config).mend(f'{LINKS}.loss_a')
    assert 'loss_a' in config['distiller']['links']


def test_a_renamed_link_is_found_under_both_names(draft):
    draft.rename()
    assert draft.mend(f'{LINKS}.b')  # its new name has mended it
    assert list(draft.distiller['links']) == ['loss_a', 'loss of b']
    assert draft.mend(f'{LINKS}.b.loss.tau')
    assert 'tau' not in draft.distiller['links']['loss of b']['loss']
    problem = Problem(f'{LINKS}.loss of b.preds_S.at', 'x')
    assert draft.original(problem).path == f'{LINKS}.b.preds_S.at'
    draft.rename()
    assert draft.original(problem).path == f'{LINKS}.b.preds_S.at'
    assert draft.mend(f'{LINKS}.loss of b')
    assert list(draft.distiller['links']) == ['loss_a']


def test_what_is_gone_already_counts_as_mended(draft):
    assert draft.mend(f'{LINKS}.loss_a')
    assert draft.mend(f'{LINKS}.loss_a.loss.tau')
    assert not draft.is_empty


@pytest.mark.parametrize(
    ('path', 'possible'),
    [
        ('model.min_matched', True),
        ('model.gone', False),
        ('model.teacher', False),
        ('model', False),
        ('model.min_matched.deeper', False),
        ('model.distiller', False),
        ('model.no.such.key', False),
    ],
)
def test_options_go_and_what_is_needed_stays(path, possible, draft):
    assert draft.mend(path) == possible


def test_readable_taps_are_those_that_say_whose_and_where(link):
    tap = {'of': 'student', 'at': 'neck'}
    draft = Draft(
        {
            'distiller': {
                'links': {
                    'loss_a': link(
                        preds_S={**tap, 'item': 3, 'wrong': 1},
                        preds_T={'of': 3, 'at': 'x'},
                    ),
                    'b': {
                        'preds_S': tap,
                        'x': {'of': 'student'},
                        'y': {**tap, 'of': 'teacher'},
                    },
                    'loss_c': 3,
                    'loss_d': {},
                }
            }
        }
    )
    assert draft.taps_of(['teacher']) == {
        'loss_a': {'loss': {'type': AnyLoss}, 'preds_S': tap},
        'loss of b': {'loss': {'type': AnyLoss}, 'preds_S': tap},
    }
    assert Draft({'distiller': {'links': 3}}).taps_of([]) == {}


def test_any_loss_takes_anything():
    assert AnyLoss()(a=1) == {'a': 1}


def test_findings_keep_each_problem_once_and_tidy():
    findings = Findings()
    for _ in range(2):
        findings.problem('a', 'b', '  c ')
    assert findings.problems == [Problem('a', 'b', 'c')]


@pytest.mark.parametrize(('error', 'problem'), [
    (ConfigError.at('model.x[0].y', 'is wrong.'), Problem('model.x[0].y', 'is wrong.')),
    (ShapeError('does not fit'), Problem('here', 'does not fit')),
    (ConfigError('`loss` must be'), Problem('here', '`loss` must be')),
    (KeyError('x'), Problem('here', "KeyError: 'x'")),
    (ConfigError.of([Problem('p', 'q')]), Problem('p', 'q')),
])  # fmt: skip
def test_reads_a_problem_off_an_error(error, problem):
    assert problems_of(error, 'here') == [problem]
    findings = Findings()
    with findings.collecting('here'):
        raise error
    assert findings.problems == [problem]
