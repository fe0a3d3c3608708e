"""A stream by the command line: run, killed, resumed, exported, tested as plain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import adapt_runs as runs
import adapt_toys as toys
import numpy as np
import pytest
import torch

from mmkd_ext.cli import export, test

pytestmark = pytest.mark.mmseg
TOOLS = Path(__file__).parents[2] / 'tools'
METHOD = dict(type='mmkd_ext.TentDistiller', statistics='ema', restore=0.1)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Pictures, a source checkpoint and a run that was not stopped."""
    root = tmp_path_factory.mktemp('adaptation')
    runs.draw(root / 'data', images=2)
    checkpoint = runs.source(root / 'source.pth')
    cfg = config(root, root / 'straight')
    cfg.dump(str(root / 'straight.py'))
    assert test.main([str(root / 'straight.py'), checkpoint]) == 0
    return root


def config(root, work, **more):
    return runs.config(
        root / 'data', work / 'work', METHOD, keep=work / 'predictions',
        save=dict(interval=1), **more,
    )  # fmt: skip


def predictions(folder):
    return {p.name: np.load(p) for p in sorted((folder / 'predictions').glob('*'))}


def cells(folder):
    found = json.loads((folder / 'work' / 'results.json').read_text())['cells']
    for cell in found:
        del cell['images_per_second']
    return found


def test_a_killed_stream_is_resumed_bit_for_bit(place, tmp_path):
    checkpoint = str(place / 'source.pth')
    cfg = config(place, tmp_path, hooks=[dict(type='StopAt', images=4, kill=True)])
    cfg.dump(str(tmp_path / 'killed.py'))
    command = [sys.executable, str(TOOLS / 'test.py'), 'killed.py', checkpoint]
    done = subprocess.run(
        command, cwd=tmp_path, env=runs.environment(), capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    assert len(predictions(tmp_path)) == 4
    assert not (tmp_path / 'work' / 'adapted.pth').exists()

    config(place, tmp_path).dump(str(tmp_path / 'again.py'))
    assert test.main([str(tmp_path / 'again.py'), checkpoint, '--resume']) == 0
    ours, theirs = predictions(tmp_path), predictions(place / 'straight')
    assert len(ours) == 8
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert cells(tmp_path) == cells(place / 'straight')
    assert not list((tmp_path / 'work').glob('.*.part'))


def test_the_adapted_student_exports_and_tests_as_a_plain_model(
    place, tmp_path, monkeypatch
):
    adapted = place / 'straight' / 'work' / 'adapted.pth'
    plain = tmp_path / 'plain.pth'
    arguments = [str(adapted), '--out', str(plain), '--config']
    assert export.main([*arguments, str(place / 'straight.py')]) == 0

    from mmseg.registry import MODELS

    content = torch.load(plain, weights_only=True)
    model = MODELS.build(toys.segmentor()).eval()
    model.load_state_dict(content['state_dict'], strict=True)
    assert 'ContinualAdapt' not in content['meta']['cfg']
    before = torch.load(place / 'source.pth', weights_only=True)['state_dict']
    assert any(not torch.equal(v, before[k]) for k, v in content['state_dict'].items())

    # the ordinary test of the ordinary model
    cfg = config(place, tmp_path)
    cfg.model = toys.segmentor()
    cfg.test_dataloader = runs.loader(place / 'data', 'fog')
    cfg.test_cfg = dict(type='TestLoop')
    cfg.custom_hooks = []
    cfg.dump(str(tmp_path / 'plain.py'))
    for checkpoint in (plain, adapted):
        assert test.main([str(tmp_path / 'plain.py'), str(checkpoint)]) == 0
    found = [
        json.loads(p.read_text())['mIoU']
        for p in sorted((tmp_path / 'work').glob('*/*.json'))]
    assert found
    assert len(set(found)) == 1


@pytest.mark.slow
def test_two_processes_run_a_stream_each(place, tmp_path):
    cfg = config(place, tmp_path, streams=[3, dict(seed=4, order='reversed')])
    cfg.dump(str(tmp_path / 'two.py'))
    checkpoint = str(place / 'source.pth')
    command = ['bash', str(TOOLS / 'dist_test.sh'), 'two.py', checkpoint, '2']
    environment = {**runs.environment(), 'PYTHON': sys.executable, 'PORT': '29643'}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = [
        json.loads((tmp_path / 'work' / name / 'results.json').read_text())
        for name in ('seed3', 'seed4_reversed')]
    assert all(one['complete'] for one in found)
    # each is what it is alone
    alone = cells(place / 'straight')
    for cell in found[0]['cells']:
        del cell['images_per_second']
    assert found[0]['cells'] == alone
    assert found[1]['settings']['order'] == ['night', 'fog']


def test_streets_in_weather_with_the_shipped_stream(tmp_path, small_streets):
    from mmengine.config import Config

    # every second of the 40 pictures that are drawn by default
    base = TOOLS.parent / 'configs/_base_/streams/streets-fog-night-rain-snow.py'
    text = Config.fromfile(base).pretty_text
    text = text.replace('data/streets/', f'{small_streets}/')
    cfg = Config.fromstring(text, '.py')
    for domain in cfg.test_cfg.domains:
        assert domain.dataset.pop('indices') == list(range(0, 40, 2))
    cfg.update(
        default_scope='mmseg', work_dir=str(tmp_path / 'work'), log_level='ERROR',
        model=dict(
            type='mmkd_ext.ContinualAdaptation',
            architecture=toys.segmentor(classes=19, width=4),
            distiller=dict(type='mmkd_ext.TentDistiller')))
    cfg.test_cfg.update(
        rounds=1, optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)))
    cfg.dump(str(tmp_path / 'streets.py'))
    checkpoint = runs.source(tmp_path / 's.pth', classes=19, width=4)
    assert test.main([str(tmp_path / 'streets.py'), checkpoint]) == 0
    found = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert [c['domain'] for c in found['cells']] == ['fog', 'night', 'rain', 'snow']
    assert [c['images'] for c in found['cells']] == [4] * 4
    assert [row['round'] for row in found['source_eval']] == [0, 1]


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'No weights'),
    (['gone.pth'], "'gone.pth' does not exist"),
    (['{source}', '--out', 'x.pkl'], '`--out` keeps the predictions of one test')])
def test_the_tool_tells_what_is_wrong(arguments, message, place, capsys):
    arguments = [a.format(source=place / 'source.pth') for a in arguments]
    assert test.main([str(place / 'straight.py'), *arguments]) == 2
    assert message in capsys.readouterr().err
