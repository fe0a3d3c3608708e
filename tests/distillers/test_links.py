"""The grammar of links, and MMRazor's form of the same."""

from __future__ import annotations

import copy

import pytest

from mmkd_ext.distillers.links import (
    Source,
    Tap,
    links_from_mmrazor,
    links_to_mmrazor,
    parse_links,
)
from mmkd_ext.errors import ConfigError


def link(**changes):
    config = dict(
        loss=dict(type='mmkd_ext.CWDLoss'),
        preds_S=dict(of='student', at='neck'),
        preds_T=dict(of='teacher', at='neck'),
    )
    config.update(changes)
    return {'loss_x': config}


MODULE = dict(type='Module', source='neck')


def given(**changes):
    """A tap whose connector gets the neck itself and its output."""
    tap = dict(
        of='student',
        at='backbone',
        connector=dict(type='X'),
        given=dict(
            neck=dict(of='teacher', at=MODULE),
            rois=dict(of='student', at='neck', item=1, connector=dict(type='Y')),
        ),
    )
    tap.update(changes)
    return dict(preds_S=tap)


def problems_of(links, **more):
    return parse_links(links, **more)[2]


NECK = Source('ModuleOutputs', 'neck')


@pytest.mark.parametrize(
    ('config', 'tap'),
    [
        (dict(at='neck'), Tap('student', NECK)),
        (
            dict(at='neck.fpn_convs[2].conv'),
            Tap('student', Source('ModuleOutputs', 'neck.fpn_convs.2.conv')),
        ),
        (
            dict(at='neck', call=[0, 2], item=['0.a', 1]),
            Tap('student', NECK, call=(0, 2), item=('0.a', 1)),
        ),
        # an inline connector is named after link and argument
        (
            dict(at='neck', connector=dict(type='X')),
            Tap('student', NECK, connector='loss_x_preds_S'),
        ),
        (
            dict(of='batch', at='data_samples'),
            Tap('batch', Source('Batch', 'data_samples')),
        ),
    ],
)
def test_reads_a_tap(config, tap):
    config = {'of': 'student', **config}
    (read,), connectors, problems = parse_links(link(preds_S=config))
    assert not problems
    assert read.name == 'loss_x'
    assert read.taps['preds_S'] == tap
    assert connectors == ({tap.connector: {'type': 'X'}} if tap.connector else {})


def test_reads_what_a_connector_gets_besides_the_tap():
    (read,), connectors, problems = parse_links(link(**given()))
    assert not problems
    tap = read.taps['preds_S']
    assert dict(tap.given) == {
        'neck': Tap('teacher', Source('Module', 'neck')),
        'rois': Tap('student', NECK, item=1, connector='loss_x_preds_S_rois'),
    }
    assert connectors == {
        'loss_x_preds_S': {'type': 'X'},
        'loss_x_preds_S_rois': {'type': 'Y'},
    }
    assert [path for path, _ in read.all_taps()] == [
        'preds_S',
        'preds_S.given.neck',
        'preds_S.given.rois',
        'preds_T',
    ]


def test_a_shared_connector_may_take_more_too():
    links = link(**given(connector='shared'))
    (read,), _, problems = parse_links(links, {'shared': {'type': 'X'}})
    assert not problems
    assert read.taps['preds_S'].connector == 'shared'


def tap(**changes):
    return dict(preds_S=dict(dict(of='student', at='neck'), **changes))


@pytest.mark.parametrize(
    ('changes', 'path', 'word'),
    [
        (dict(loss=None), 'loss', '`type`'),
        (tap(at=None), 'preds_S.at', 'dotted name'),
        (tap(of=None), 'preds_S.of', "teacher's name"),
        (tap(conector='x'), 'preds_S.conector', '`connector`'),
        (tap(connector='x'), 'preds_S.connector', "'x'"),
        (tap(connector=[3]), 'preds_S.connector', '`type`'),
        (tap(call=-1), 'preds_S.call', '-1'),
        (tap(item=1.5), 'preds_S.item', '1.5'),
        (tap(item=[]), 'preds_S.item', '()'),
        (tap(of='batch', at='data_sample'), 'preds_S.at', '`data_samples`'),
        (tap(at=dict(type='ModuleOutputs')), 'preds_S.at', '`source`'),
        (dict(shedule=dict(type='linear')), 'shedule', '`schedule`'),
        (tap(of='batch', at=MODULE), 'preds_S.at', 'no modules'),
        (tap(at=MODULE, item=0), 'preds_S.item', 'no items'),
        (tap(at=MODULE, call='all'), 'preds_S.call', "at='neck'"),
        (given(connector=None), 'preds_S.given', 'none'),
        (given(connector=[dict(type='X')]), 'preds_S.given', 'a chain'),
        (given(given=['rois']), 'preds_S.given', 'dict of taps'),
        (given(given=dict(rois='neck')), 'preds_S.given', 'dict of taps'),
        (
            given(given=dict(rois=dict(of='student', att='neck', at='neck'))),
            'preds_S.given.rois.att',
            '`at`',
        ),
        (given(given=dict(rois=dict(of='student'))), 'preds_S.given.rois.at', 'dotted'),
    ],
)
def test_a_mistake_is_named_at_its_place(changes, path, word):
    (problem,) = problems_of(link(**changes))
    assert problem.path == f'model.distiller.links.loss_x.{path}'
    assert word in str(problem)


def test_a_name_without_loss_is_a_problem():
    config = link()
    (problem,) = problems_of({'cwd': config['loss_x']})
    assert 'loss_cwd' in problem.hint


@pytest.mark.parametrize('links', [None, {}, [], {'loss_x': 3}])
def test_no_links_are_a_problem(links):
    assert len(problems_of(links)) == 1


def test_collects_all_problems_at_once():
    links = {'cwd': dict(loss=dict(tau=1), preds_S=dict(of=3, at='')), 'loss_y': 2}
    assert len(problems_of(links)) == 5


MMRAZOR = dict(
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    connectors=dict(
        c=dict(type='MGDConnector', student_channels=8, teacher_channels=8)
    ),
    distill_losses=dict(loss_a=dict(type='MGDLoss', alpha_mgd=2e-5)),
    loss_forward_mappings=dict(
        loss_a=dict(
            preds_S=dict(from_student=True, recorder='fpn', data_idx=1, connector='c'),
            preds_T=dict(from_student=False, recorder='fpn', data_idx=1, record_idx=2),
        )
    ),
)


def test_reads_mmrazors_keys():
    (read,), connectors, problems = links_from_mmrazor(**copy.deepcopy(MMRAZOR))
    assert not problems
    source = Source('ModuleOutputs', 'neck')
    assert read.taps == {
        'preds_S': Tap('student', source, item=1, connector='c'),
        'preds_T': Tap('teacher', source, item=1, call=2),
    }
    assert connectors == MMRAZOR['connectors']


def test_writes_mmrazors_keys_and_reads_them_back_equal():
    links, connectors, _ = links_from_mmrazor(**copy.deepcopy(MMRAZOR))
    again, connectors_again, problems = links_from_mmrazor(
        **links_to_mmrazor(links, connectors)
    )
    assert not problems
    assert again == links
    assert connectors_again == connectors


def test_mmrazor_keys_without_losses_distil_nothing():
    assert 'distils nothing' in str(links_from_mmrazor()[2][0])


@pytest.mark.parametrize(
    'changes',
    [
        dict(schedule=dict(type='constant')),
        dict(preds_T=dict(of='big', at='neck')),
        dict(preds_T=dict(of='teacher', at='neck', item=[0, 1])),
        dict(preds_T=dict(of='teacher', at='neck', call='all')),
        dict(preds_T=dict(of='teacher', at=MODULE)),
        given(),
    ],
)
def test_refuses_what_mmrazor_cannot_say(changes):
    links, connectors, problems = parse_links(link(**changes))
    assert not problems
    with pytest.raises(ConfigError, match='MMRazor'):
        links_to_mmrazor(links, connectors)
