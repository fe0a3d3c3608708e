"""The loop of a stream: order, cells, resets, resume, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import adapt_runs as runs
import adapt_toys as toys
import numpy as np
import pytest
import torch

from mmkd_ext.errors import CheckpointError, ConfigError, DataError

pytestmark = [pytest.mark.mmseg, pytest.mark.usefixtures('_one_thread')]
SOURCE = dict(type='mmkd_ext.SourceDistiller')
#: Everything that has a state: moments, statistics, masks, random numbers.
BUSY = dict(type='mmkd_ext.TentDistiller', statistics='ema', restore=0.2)
TIMES = ('images_per_second', 'peak_memory_mb')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Two domains of three images, and a source checkpoint."""
    root = tmp_path_factory.mktemp('stream')
    runs.draw(root / 'data', images=3)
    return root / 'data', runs.source(root / 'source.pth')


def results(folder):
    """The result file, without what a clock or a build says."""
    found = json.loads((Path(folder) / 'results.json').read_text())
    for cell in found['cells']:
        for name in TIMES:
            cell.pop(name)
    return found


def predictions(folder):
    return {p.name: np.load(p) for p in sorted(Path(folder).glob('*.npy'))}


def assert_same_predictions(ours, theirs):
    ours, theirs = predictions(ours), predictions(theirs)
    assert ours.keys() == theirs.keys()
    assert ours
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


# ---- what a stream yields ---------------------------------------------------------


@pytest.fixture(scope='module')
def source_run(data, tmp_path_factory):
    work = tmp_path_factory.mktemp('source_run')
    root, checkpoint = data
    cfg = runs.config(
        root, work, SOURCE, source_eval=dict(dataloader=runs.loader(root, 'fog')),
        pictures=2,
    )  # fmt: skip
    return runs.run(cfg, checkpoint), results(work), work


def test_the_source_is_constant_over_rounds(source_run):
    _, found, _ = source_run
    cells = [{k: v for k, v in c.items() if k != 'round'} for c in found['cells']]
    first, second = cells[:2], cells[2:]
    assert first == second
    assert {row['mIoU'] for row in found['source_eval']} == {first[0]['mIoU']}
    assert [row['round'] for row in found['source_eval']] == [0, 1, 2]


def test_the_source_is_tested_every_few_rounds_and_after_the_last(data, tmp_path):
    root, checkpoint = data
    tested = dict(dataloader=runs.loader(root, 'fog'), interval=2)
    runs.run(
        runs.config(root, tmp_path, SOURCE, source_eval=tested, rounds=5), checkpoint
    )
    assert [row['round'] for row in results(tmp_path)['source_eval']] == [0, 2, 4, 5]


def test_cells_say_what_mmseg_says(source_run):
    runner, found, _ = source_run
    assert [(c['round'], c['domain']) for c in found['cells']] == [
        (1, 'fog'), (1, 'night'), (2, 'fog'), (2, 'night'),
    ]  # fmt: skip
    for cell in found['cells']:
        for name in ('mIoU', 'mAcc', 'aAcc'):
            # mmseg rounds to two digits
            assert cell[name] == pytest.approx(cell['metrics'][name], abs=0.0051)
        assert cell['images'] == 3
        assert (cell['updates'], cell['forwards'], cell['backwards']) == (0, 1, 0)
    mean = sum(c['mIoU'] for c in found['cells']) / 4
    assert runner.metrics['mIoU'] == pytest.approx(mean, abs=1e-3)


def test_the_result_file_tells_the_settings(source_run):
    _, found, work = source_run
    settings = found['settings']
    assert found['complete']
    assert settings['method'] == 'SourceDistiller'
    assert settings['order'] == ['fog', 'night']
    assert settings['protocol'] == 'predict_then_adapt'
    assert (settings['seed'], settings['rounds'], settings['reset']) == (3, 2, 'never')
    assert len(settings['source']) == 16
    assert found['classes'] == list(runs.CLASSES)
    # two of the three pictures of each domain, in the first and the last round
    assert [(p['round'], p['domain'], p['index']) for p in found['pictures']] == [
        (1, 'fog', 0), (1, 'fog', 2), (1, 'night', 0), (1, 'night', 2),
        (2, 'fog', 0), (2, 'fog', 2), (2, 'night', 0), (2, 'night', 2),
    ]  # fmt: skip
    for shown in found['pictures']:
        # the source, before and after
        assert shown['before'] == shown['after']
        assert shown['truth'].startswith('data:image/png;base64,')
    # the large state has gone, the adapted model is there
    assert {p.name for p in work.glob('*.*') if p.is_file() and p.suffix != '.py'} == {
        'results.json', 'adapted.pth', 'stream_state.pth',
    }  # fmt: skip
    assert 'model' not in torch.load(work / 'stream_state.pth', weights_only=True)


def test_poisoned_labels_change_no_prediction(data, tmp_path):
    root, checkpoint = data
    shutil.copytree(root, tmp_path / 'poison')
    import cv2

    for path in (tmp_path / 'poison').rglob('ann/*.png'):
        cv2.imwrite(str(path), np.zeros((32, 64), np.uint8))
    found = []
    for name, where in (('true', root), ('poisoned', tmp_path / 'poison')):
        cfg = runs.config(where, tmp_path / name, BUSY, keep=tmp_path / f'{name}_p')
        runs.run(cfg, checkpoint)
        found.append([c['mIoU'] for c in results(tmp_path / name)['cells']])
    assert_same_predictions(tmp_path / 'true_p', tmp_path / 'poisoned_p')
    # the metrics do see them
    assert found[0] != found[1]


def test_what_adapts_is_shown_no_truth_and_no_way_to_it(data, tmp_path, monkeypatch):
    from mmkd_ext.adaptation import ContinualAdaptation

    seen = []
    original = ContinualAdaptation.adapt_step

    def spied(self, batch, *args, **kwargs):
        seen.extend(batch['data_samples'])
        return original(self, batch, *args, **kwargs)

    monkeypatch.setattr(ContinualAdaptation, 'adapt_step', spied)
    runs.run(runs.config(data[0], tmp_path, BUSY, rounds=1), data[1])
    assert len(seen) == 6
    assert not any(sample.keys() for sample in seen)
    assert not any('ann' in str(sample.metainfo.values()) for sample in seen)


def test_each_image_depends_on_its_place_and_not_on_the_workers(data, tmp_path):
    root, checkpoint = data
    for workers in (0, 2):
        work, keep = tmp_path / f'w{workers}', tmp_path / f'p{workers}'
        cfg = runs.config(root, work, BUSY, keep=keep, rounds=1)
        for domain in cfg.test_cfg.domains:
            domain.dataloader.num_workers = workers
            domain.dataloader.sampler.shuffle = True
            domain.dataloader.dataset.pipeline.insert(
                1, dict(type='mmseg.PhotoMetricDistortion')
            )
        runs.run(cfg, checkpoint)
    assert_same_predictions(tmp_path / 'p0', tmp_path / 'p2')


# ---- resume -----------------------------------------------------------------------

DETAILS = dict(save=dict(interval=2), reset=dict(every=5))


@pytest.fixture(scope='module')
def straight(data, tmp_path_factory):
    """A run that was never stopped: 12 images, a random pipeline, a reset."""
    folder = tmp_path_factory.mktemp('straight')
    runs.run(busy_config(data, folder), data[1])
    return folder


def busy_config(data, folder, **more):
    root, _ = data
    cfg = runs.config(
        root, folder / 'work', BUSY, keep=folder / 'predictions',
        source_eval=dict(dataloader=runs.loader(root, 'night')), **DETAILS, **more,
    )  # fmt: skip
    for domain in cfg.test_cfg.domains:
        domain.dataloader.dataset.pipeline.insert(
            1, dict(type='mmseg.PhotoMetricDistortion')
        )
    return cfg


@pytest.mark.parametrize('stop', range(1, 13))
def test_stopped_at_any_image_and_resumed_it_is_bit_identical(
    stop, data, straight, tmp_path
):
    cfg = busy_config(data, tmp_path, hooks=[dict(type='StopAt', images=stop)])
    with pytest.raises(runs.Stop):
        runs.run(cfg, data[1])
    torch.manual_seed(99)  # the resumed process has its own numbers until it loads
    runner = runs.run(busy_config(data, tmp_path, resume=True), data[1])
    assert_same_predictions(tmp_path / 'predictions', straight / 'predictions')
    assert results(tmp_path / 'work') == results(straight / 'work')
    adapted = [
        torch.load(folder / 'work' / 'adapted.pth', weights_only=True)['state_dict']
        for folder in (tmp_path, straight)
    ]
    for name, value in adapted[0].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, adapted[1][name]), name
    assert runner.metrics


def test_it_does_not_run_again_what_was_saved(data, tmp_path):
    cfg = busy_config(data, tmp_path, hooks=[dict(type='StopAt', images=8)])
    with pytest.raises(runs.Stop):
        runs.run(cfg, data[1])
    before = {p.name for p in (tmp_path / 'predictions').glob('*')}
    shutil.rmtree(tmp_path / 'predictions')
    runs.run(busy_config(data, tmp_path, resume=True), data[1])
    again = {p.name for p in (tmp_path / 'predictions').glob('*')}
    # saved after 6 images, at the end of a domain: image 7 and 8 of 12 come again
    assert len(before & again) == 2
    assert len(again) == 6


def test_a_complete_stream_is_not_run_again(data, tmp_path):
    runs.run(busy_config(data, tmp_path), data[1])
    expected = (tmp_path / 'work' / 'results.json').read_text()
    shutil.rmtree(tmp_path / 'predictions')
    runner = runs.run(busy_config(data, tmp_path, resume=True), data[1])
    assert not list((tmp_path / 'predictions').glob('*'))
    assert (tmp_path / 'work' / 'results.json').read_text() == expected
    assert runner.metrics['mIoU'] > 0


def test_accumulated_gradients_are_resumed(data, tmp_path):
    wrapper = dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=4)
    for name, stops in (('a', []), ('b', [dict(type='StopAt', images=3)])):
        settings = dict(
            optim_wrapper=wrapper,
            rounds=1,
            keep=tmp_path / f'{name}_p',
            save=dict(interval=1),
        )
        cfg = runs.config(data[0], tmp_path / name, BUSY, hooks=stops, **settings)
        if stops:
            with pytest.raises(runs.Stop):
                runs.run(cfg, data[1])
            cfg = runs.config(data[0], tmp_path / name, BUSY, resume=True, **settings)
        runs.run(cfg, data[1])
    assert_same_predictions(tmp_path / 'a_p', tmp_path / 'b_p')


def stopped(data, folder, **more):
    cfg = runs.config(
        data[0],
        folder,
        BUSY,
        hooks=[dict(type='StopAt', images=3)],
        save=dict(interval=1),
        **more,
    )
    with pytest.raises(runs.Stop):
        runs.run(cfg, data[1])


def test_another_config_is_refused_with_the_settings_that_differ(data, tmp_path):
    stopped(data, tmp_path)
    cfg = runs.config(data[0], tmp_path, dict(BUSY, restore=0.3), lr=0.5, resume=True)
    with pytest.raises(CheckpointError) as error:
        runs.run(cfg, data[1])
    for setting in ('distiller.restore', 'optim_wrapper.optimizer.lr'):
        assert f'{setting}` was' in str(error.value)


def test_another_source_is_refused(data, tmp_path):
    stopped(data, tmp_path)
    other = runs.source(tmp_path / 'other.pth', seed=1)
    cfg = runs.config(data[0], tmp_path, BUSY, resume=True)
    with pytest.raises(CheckpointError, match='source'):
        runs.run(cfg, other)


@pytest.mark.parametrize('damage', ['short', 'other', 'empty'])
def test_a_damaged_state_is_refused(damage, data, tmp_path):
    stopped(data, tmp_path)
    file = tmp_path / 'stream_state.pth'
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == 'short' else b'')
    if damage == 'other':
        torch.save({'state_dict': {}}, file)
    cfg = runs.config(data[0], tmp_path, BUSY, resume=True)
    with pytest.raises(CheckpointError, match=r'stream_state\.pth'):
        runs.run(cfg, data[1])


def test_a_full_disk_loses_nothing_and_stops_nothing(data, tmp_path, monkeypatch):
    from mmkd_ext.engine import stream_state

    written, original = [], stream_state.atomic_write

    def full(path, content):
        if Path(path).name != 'stream_state.pth':
            return original(path, content)
        written.append(path)
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(stream_state, 'atomic_write', full)
    runs.run(runs.config(data[0], tmp_path, BUSY, rounds=1), data[1])
    assert written
    assert len(results(tmp_path)['cells']) == 2


# ---- order, resets, streams -------------------------------------------------------


def test_the_order_can_be_reversed_or_named(data, tmp_path):
    for order, first in (('reversed', 'night'), (['night', 'fog', 'night'], 'night')):
        runs.run(runs.config(data[0], tmp_path, SOURCE, order=order, rounds=1), data[1])
        found = results(tmp_path)
        assert found['cells'][0]['domain'] == first
        assert len(found['cells']) == (2 if order == 'reversed' else 3)


@pytest.mark.parametrize(
    ('reset', 'steps'),
    [('never', []), ('domain', [3, 6, 9]), ('round', [6]), (dict(every=4), [4, 8])],
)
def test_resets_come_when_asked(reset, steps, data, tmp_path):
    runs.run(runs.config(data[0], tmp_path, BUSY, reset=reset), data[1])
    found = results(tmp_path)
    assert [e['step'] for e in found['events'] if e['action'] == 'reset'] == steps
    assert sum(cell['resets'] for cell in found['cells']) == len(steps)


def test_a_reset_every_round_makes_the_rounds_equal(data, tmp_path):
    distiller = dict(type='mmkd_ext.TentDistiller', statistics='ema')
    runs.run(runs.config(data[0], tmp_path, distiller, reset='round'), data[1])
    cells = results(tmp_path)['cells']
    assert [c['mIoU'] for c in cells[:2]] == [c['mIoU'] for c in cells[2:]]


def test_several_streams_by_one_command_equal_each_alone(data, tmp_path):
    cfg = runs.config(
        data[0], tmp_path, BUSY, rounds=1, streams=[4, dict(seed=5, order='reversed')]
    )
    runner = runs.run(cfg, data[1])
    assert {'seed4/mIoU', 'seed5_reversed/fog/mIoU'} <= set(runner.metrics)
    alone = runs.config(
        data[0], tmp_path / 'alone', BUSY, rounds=1, seed=5, order='reversed'
    )
    runs.run(alone, data[1])
    together = results(tmp_path / 'seed5_reversed')
    assert together['cells'] == results(tmp_path / 'alone')['cells']
    assert together['settings']['seed'] == 5
    assert results(tmp_path / 'seed4')['cells'] != together['cells']


# ---- bad input --------------------------------------------------------------------


def test_an_image_that_cannot_be_decoded_is_left_out_and_counted(data, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(data[0], root)
    (root / 'fog' / 'img' / '1.png').write_bytes(b'no picture')
    runs.run(runs.config(root, tmp_path / 'w', BUSY, rounds=1), data[1])
    found = results(tmp_path / 'w')
    fog, night = found['cells']
    assert (fog['images'], fog['undecodable'], fog['updates']) == (2, 1, 2)
    assert night['undecodable'] == 0
    event = found['events'][0]
    assert (event['action'], event['index'], event['domain']) == (
        'undecodable', 1, 'fog',
    )  # fmt: skip


def test_a_domain_without_one_readable_image_is_an_error(data, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(data[0], root)
    for path in (root / 'night' / 'img').glob('*'):
        path.write_bytes(b'')
    with pytest.raises(DataError, match='`night`'):
        runs.run(runs.config(root, tmp_path / 'w', SOURCE), data[1])
    # what was found before is not lost
    assert len(results(tmp_path / 'w')['cells']) == 1


@pytest.mark.parametrize('kind', ['missing', 'empty'])
def test_a_missing_or_empty_domain_is_named_before_the_stream_starts(
    kind, data, tmp_path
):
    root = tmp_path / 'data'
    shutil.copytree(data[0], root)
    shutil.rmtree(root / 'night')
    if kind == 'empty':
        (root / 'night' / 'img').mkdir(parents=True)
    with pytest.raises(DataError, match='Domain `night`'):
        runs.run(runs.config(root, tmp_path / 'w', SOURCE), data[1])
    assert not (tmp_path / 'w' / 'results.json').exists()


@pytest.mark.parametrize(
    ('model', 'source', 'error', 'words'),
    [
        (dict(classes=7), dict(classes=7), ConfigError, '5 classes'),
        (dict(width=4), {}, CheckpointError, 'another width'),
    ],
)
def test_a_model_that_does_not_fit(model, source, error, words, data, tmp_path):
    architecture = toys.segmentor(**model)
    cfg = runs.config(data[0], tmp_path, SOURCE, architecture=architecture)
    checkpoint = runs.source(tmp_path / 's.pth', **source)
    with pytest.raises(error, match=words):
        runs.run(cfg, checkpoint)


def test_images_of_other_sizes_in_one_stream(data, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(data[0] / 'fog', root / 'fog')
    runs.draw(root, domains=('night',), images=2, size=(48, 40))
    runs.run(runs.config(root, tmp_path / 'w', BUSY, rounds=1), data[1])
    assert [c['images'] for c in results(tmp_path / 'w')['cells']] == [3, 2]


@pytest.mark.parametrize(
    ('loop', 'words'),
    [
        (dict(domains=[]), 'domains'),
        (dict(domains=[dict(nme='fog')]), '`name`'),
        (dict(order=['fog', 'nihgt']), '`night`'),
        (dict(reset='rond'), '`round`'),
        (dict(reset=dict(every=0)), 'every'),
        (dict(reset='guarded'), 'guard'),
        (dict(rounds=0), '`test_cfg.rounds`'),
        (dict(optim_wrapper=None), '`test_cfg.optim_wrapper'),
        (dict(optim_wrapper=dict(optimizer=dict(type='Adm'))), 'cannot be built'),
        (dict(save=dict(every=3)), r'`test_cfg\.save\.every`'),
        (dict(source_eval=dict(interval='epoch')), 'source_eval'),
        (dict(streams=[1, 1]), 'share a folder'),
        (dict(streams=[dict(sed=1)]), '`seed`'),
        (dict(sampler='InfiniteSampler'), 'InfiniteSampler'),
    ],
)
def test_wrong_settings_are_named(loop, words, data, tmp_path):
    cfg = runs.config(data[0], tmp_path, BUSY)
    sampler = loop.get('sampler')
    for key, value in loop.items():
        if key != 'sampler':
            cfg.test_cfg[key] = value
    if sampler is not None:
        cfg.test_cfg.domains[0].dataloader.sampler = dict(type=sampler)
    with pytest.raises(ConfigError, match=words):
        runs.run(cfg, data[1])


def test_domains_may_share_a_template(data, tmp_path):
    cfg = runs.config(data[0], tmp_path, SOURCE, rounds=1)
    cfg.test_dataloader = runs.loader(data[0], '{domain}')
    cfg.test_cfg.domains = ['fog', dict(name='night')]
    runs.run(cfg, data[1])
    assert [c['domain'] for c in results(tmp_path)['cells']] == ['fog', 'night']


def test_two_processes_on_one_stream_are_refused(data, tmp_path, monkeypatch):
    from mmkd_ext.engine import continual_loop

    monkeypatch.setattr(continual_loop, 'get_dist_info', lambda: (0, 2))
    with pytest.raises(ConfigError, match='2 processes'):
        runs.run(runs.config(data[0], tmp_path, SOURCE), data[1])


def test_each_process_takes_its_share_of_the_streams(data, tmp_path, monkeypatch):
    from mmkd_ext.engine import continual_loop

    monkeypatch.setattr(continual_loop, 'get_dist_info', lambda: (1, 2))
    cfg = runs.config(data[0], tmp_path, SOURCE, rounds=1, streams=[0, 1, 2, 3])
    runs.run(cfg, data[1])
    assert sorted(p.name for p in tmp_path.glob('seed*')) == ['seed1', 'seed3']
