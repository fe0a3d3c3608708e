"""The progress of an adaptation, in a real stream of toy pictures."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mmseg
pytest.importorskip('mmseg')
import adapt_runs as runs  # noqa: E402
from mmengine.logging import MMLogger  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from mmkd_ext.engine.hooks import AdaptProgressHook  # noqa: E402
from mmkd_ext.errors import ConfigError  # noqa: E402


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    return runs.draw(tmp_path_factory.mktemp('pictures'))


def run(pictures, folder, hook, **settings):
    cfg = runs.config(pictures, folder, dict(type='mmkd_ext.SourceDistiller'),
                      rounds=2, **settings)
    cfg.log_level = 'INFO'
    cfg.visualizer = dict(type='Visualizer', vis_backends=[
        dict(type='LocalVisBackend')], name=cfg.experiment_name)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.test()
    return runner


def streams(runner):
    handlers = runner.logger.handlers
    return {h: h.stream for h in handlers if isinstance(h, logging.StreamHandler)}


def scalars(folder, name):
    log = next(Path(folder).glob('*/vis_data/scalars.json'))
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return {record['step']: record[name] for record in found if name in record}


def test_scalars_of_each_domain_end_with_the_figure_of_its_cell(pictures, tmp_path):
    run(pictures, tmp_path, dict(type='mmkd_ext.AdaptProgressHook', interval=2))
    cells = json.loads((tmp_path / 'results.json').read_text())['cells']
    mious = {(cell['round'], cell['domain']): cell['mIoU'] for cell in cells}
    # three pictures a domain: told after the second and after the last one
    fog = scalars(tmp_path, 'adapt/fog/mIoU')
    night = scalars(tmp_path, 'adapt/night/mIoU')
    assert list(fog) == [1, 2, 7, 8]
    assert list(night) == [4, 5, 10, 11]
    assert fog[2] == pytest.approx(mious[1, 'fog'])
    assert night[11] == pytest.approx(mious[2, 'night'])


def test_where_there_is_no_terminal_it_is_logged(pictures, tmp_path):
    run(pictures, tmp_path, dict(type='mmkd_ext.AdaptProgressHook', interval=3))
    text = next(tmp_path.glob('*/*.log')).read_text()
    assert 'round 1/2 fog 3/3, mIoU so far: fog ' in text
    assert 'round 2/2 night 3/3, mIoU so far: fog ' in text
    assert ', night ' in text.split('round 1/2 night 3/3')[1].splitlines()[0]


def test_several_streams_have_scalars_of_their_own(pictures, tmp_path):
    run(pictures, tmp_path, dict(type='mmkd_ext.AdaptProgressHook'),
        streams=[dict(seed=0, name='a'), dict(seed=1, order='reversed', name='b')])
    assert list(scalars(tmp_path, 'adapt/a/fog/mIoU')) == [2, 8]
    assert list(scalars(tmp_path, 'adapt/b/fog/mIoU')) == [5, 11]


def test_the_bar_lets_log_lines_pass_and_leaves_the_handlers_as_they_were(
    pictures, tmp_path, monkeypatch
):
    screen = io.StringIO()
    monkeypatch.setattr(sys, 'stdout', screen)
    monkeypatch.setenv('FORCE_COLOR', '1')
    class Spy(AdaptProgressHook):
        before = {}

        def before_test(self, runner):
            self.before.update(streams(runner))
            super().before_test(runner)

    runner = run(pictures, tmp_path, Spy(interval=1, bar=True))
    assert Spy.before
    assert streams(runner) == Spy.before
    assert 'round 2/2 night' in screen.getvalue()


def test_the_bar_is_gone_when_a_run_dies(pictures, tmp_path, monkeypatch):
    screen, at_exit = io.StringIO(), []
    monkeypatch.setattr(sys, 'stdout', screen)
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setattr('atexit.register', lambda call, *_: at_exit.append(call))
    hook = AdaptProgressHook(interval=1, bar=True)
    with pytest.raises(runs.Stop):
        run(pictures, tmp_path, hook, hooks=[dict(type='StopAt', images=2)])

    def goes_to_the_screen():
        handlers = MMLogger.get_current_instance().handlers
        return screen in [getattr(handler, 'stream', None) for handler in handlers]

    assert not goes_to_the_screen()
    (stop,) = (call for call in at_exit if getattr(call, '__self__', None) is hook)
    stop()
    assert goes_to_the_screen()


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r'AdaptProgressHook\.interval'):
        AdaptProgressHook(interval=0)


def test_the_loop_shows_its_progress_without_a_hook_in_the_config(pictures, tmp_path):
    cfg = runs.config(pictures, tmp_path, dict(type='mmkd_ext.SourceDistiller'),
                      log_interval=3, rounds=1)
    cfg.visualizer = dict(type='Visualizer', vis_backends=[
        dict(type='LocalVisBackend')], name=cfg.experiment_name)
    Runner.from_cfg(cfg).test()
    assert list(scalars(tmp_path, 'adapt/fog/mIoU')) == [2]
