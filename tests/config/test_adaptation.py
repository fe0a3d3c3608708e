"""The check of a model that adapts itself."""

from __future__ import annotations

import shutil

import adapt_runs as runs
import adapt_toys as toys
import pytest

from mmkd_ext.config.check import check_config

pytestmark = pytest.mark.mmseg


def checked(distiller=None, **settings):
    cfg = runs.config('nowhere', 'nowhere', distiller, **settings)
    return check_config(cfg, data=False)


def problems(report):
    return {problem.path: str(problem) for problem in report.problems}


def test_a_right_config_says_what_it_does_to_an_image():
    report = checked()
    assert report.ok, report.problems
    assert [term.name for term in report.terms] == ['loss_entropy']
    assert '1.0 forward and 1.0 backward passes' in report.batch
    note = str(report.notes[-1])
    model = toys.model(dict(type='mmkd_ext.TentDistiller'))
    trained = sum(p.numel() for p in model.distiller.trained().values())
    assert f'{trained:,} of' in note


def test_what_trains_nothing_needs_no_optimizer():
    assert checked(dict(type='mmkd_ext.SourceDistiller')).ok


@pytest.mark.parametrize(('settings', 'path', 'message'), [
    (dict(optim_wrapper=None), 'test_cfg.optim_wrapper', 'TentDistiller` trains'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adm'))),
     'test_cfg.optim_wrapper.optimizer.type', 'Did you mean'),
    (dict(rouns=3), 'test_cfg.rouns', 'Did you mean `rounds`'),
    (dict(reset='guarded'), 'test_cfg.reset', 'no guard'),
    (dict(order=['dusk']), 'test_cfg.order', "no domain 'dusk'"),
    (dict(distiller=dict(type='mmkd_ext.TentDistiller', statistcs='batch')),
     'model.distiller.statistcs', 'Did you mean `statistics`'),
    (dict(architecture=toys.segmentor(norm='GN')), 'model', 'has none'),
])  # fmt: skip
def test_problems_stand_at_their_place(settings, path, message):
    found = problems(checked(**settings))
    assert path in found, found
    assert message in found[path]


def test_a_wrong_argument_of_the_model_hides_no_other_mistake():
    cfg = runs.config('nowhere', 'nowhere')
    cfg.model.gaurd = dict(type='mmkd_ext.StreamGuard')
    cfg.model.distiller.statistcs = 'batch'
    found = problems(check_config(cfg, data=False))
    assert set(found) == {'model.gaurd', 'model.distiller.statistcs'}
    assert 'Did you mean `guard`' in found['model.gaurd']


def test_a_domain_is_checked_like_any_data():
    cfg = runs.config('nowhere', 'nowhere')
    cfg.test_cfg.domains[1].dataloader.dataset.type = 'mmseg.CityscapeDataset'
    found = problems(check_config(cfg, data=False))
    assert (
        'mmseg.CityscapesDataset'
        in found['test_cfg.domains[1].dataloader.dataset.type']
    )


def test_each_domain_without_pictures_is_told(tmp_path):
    cfg = runs.config(runs.draw(tmp_path), 'nowhere')
    assert check_config(cfg).ok
    shutil.rmtree(tmp_path / 'night')
    found = problems(check_config(cfg))
    assert list(found) == ['test_cfg.domains[1]']
    assert 'Domain `night`' in found['test_cfg.domains[1]']
    assert check_config(cfg, data=False).ok


def test_another_loop_is_told():
    cfg = runs.config('nowhere', 'nowhere')
    cfg.test_cfg = dict(type='TestLoop')
    assert 'ContinualAdaptLoop' in problems(check_config(cfg))['test_cfg']
