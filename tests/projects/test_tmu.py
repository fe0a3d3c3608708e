"""Memory transfer: toy videos, the cell by hand, the metric, and a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext.errors import ConfigError, ShapeError
from projects.tmu import (
    ConvLSTM,
    MemoryCell,
    MemoryLoss,
    MovingSprites,
    NextFrameError,
    bounce,
)

pytest.importorskip('sklearn', reason='digits')
CONFIGS = Path(__file__).parents[2] / 'projects/tmu/configs'


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_thing_moves_aslant_and_turns_at_the_walls():
    directions = set()
    for seed in range(20):
        path = bounce(np.random.default_rng(seed), 30, 8)
        steps = np.diff(path, axis=0)
        directions.add(tuple(steps[0]))
        assert (path.min(), path.max()) == (0, 8)
        assert (np.abs(steps) == 1).all()
        turned = steps[1:] != steps[:-1]
        assert np.array_equal(turned, np.isin(path[1:-1], (0, 8)))
    assert directions == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


@pytest.mark.parametrize('kind', ['digits', 'boxes', 'blobs'])
def test_a_video_is_made_from_its_index_alone(kind):
    one, two = MovingSprites(kind), MovingSprites(kind, length=7)
    assert torch.equal(one[5]['inputs'], two[5]['inputs'])
    assert not torch.equal(one[5]['inputs'], one[6]['inputs'])
    other = MovingSprites(kind, split='test')[5]['inputs']
    assert not torch.equal(one[5]['inputs'], other)
    assert one[5]['inputs'].shape == (8, 16, 16)
    assert 0 <= one[5]['inputs'].min() < one[5]['inputs'].max() <= 1
    if kind == 'digits':
        assert len(one._digits) == 1437  # the others are in test videos


def step(bank, merge='sum', gate=0.0):
    """One step of a cell whose gates of the bank have this bias and no weights."""
    torch.manual_seed(0)
    cell = MemoryCell(4, bank, merge)
    with torch.no_grad():
        cell.gates.weight[16:], cell.gates.bias[16:] = 0, gate
    given = noise(2, 1, 5, 5), noise(2, 4, 5, 5, seed=1), noise(2, 4, 5, 5, seed=2)
    i, f, o, g = cell.gates(torch.cat(given[:2], 1))[:, :16].chunk(4, 1)
    own = torch.sigmoid(f + 1) * given[2] + torch.sigmoid(i) * torch.tanh(g)
    return cell(*given), own, torch.sigmoid(o) * torch.tanh(own), cell


def test_without_a_bank_it_is_a_plain_convlstm():
    (hidden, memory, copies), own, expected, _ = step(0)
    torch.testing.assert_close(memory, own)
    torch.testing.assert_close(hidden, expected)
    assert copies == ()


def test_closed_gates_of_two_teachers_make_three_times_the_memory():
    (hidden, memory, _), own, expected, _ = step(2, gate=-50.0)
    torch.testing.assert_close(memory, 3 * own)
    torch.testing.assert_close(hidden, expected)  # of the memory before the bank
    torch.testing.assert_close(step(2, 'mean', -50.0)[0][1], own)


def test_open_gates_take_the_copies_which_are_normalised():
    (_, memory, copies), own, _, cell = step(2, gate=50.0)
    torch.testing.assert_close(memory, own + copies[0] + copies[1])
    raw = torch.einsum('dc,nchw->ndhw', cell.copies[1][0].weight[:, :, 0, 0], own)
    mean = raw.mean((1, 2, 3), keepdim=True)
    deviation = raw.var((1, 2, 3), unbiased=False, keepdim=True).add(1e-5).sqrt()
    torch.testing.assert_close(copies[1], (raw - mean) / deviation)


def test_after_its_window_a_network_reads_what_it_has_predicted():
    torch.manual_seed(0)
    model, video = ConvLSTM(window=3, width=4), noise(2, 6, 9, 9)
    changed = video.clone()
    changed[:, 3:] += 1
    free, read = (
        [model.unroll(one, given) for one in (video, changed)] for given in (3, 6))
    assert torch.equal(*free)
    assert not torch.allclose(*read)
    assert torch.equal(free[0][:, :3], read[0][:, :3])
    found = model(video, mode='predict')[1]
    assert torch.equal(found['frames'], free[0][1, 2:])
    assert torch.equal(found['truth'], video[1, 3:])
    assert torch.equal(found['last'], video[1, 2:3])


def test_the_error_of_a_frame_is_the_sum_over_its_pixels():
    metric = NextFrameError()
    truth = torch.zeros(2, 3, 3)
    metric.process(None, [
        dict(frames=truth + 1, truth=truth, last=truth[:1] + 2),
        dict(frames=truth, truth=truth, last=truth[:1])])
    assert metric.compute_metrics(metric.results) == {
        'MSE': 4.5, 'MSE of the last': 18.0}


@pytest.mark.parametrize('mode', ['loss', 'predict'])
def test_a_video_shorter_than_the_window_is_told(mode):
    with pytest.raises(ConfigError, match=r'`model.window`.*at least 4.*3, 9, 9'):
        ConvLSTM(window=3, width=4)(noise(1, 3, 9, 9), mode=mode)


def distillation():
    config = Config.fromfile(CONFIGS / 'tmu_digits.py')
    for teacher in config.model.teachers.values():
        teacher.ckpt = None
    return config


def test_a_bank_of_another_width_is_told_with_its_link():
    from mmkd_ext.registry import MODELS

    config = distillation()
    config.model.teachers.blobs.model.width = 12
    with pytest.raises(ConfigError, match='same `width`') as caught:
        MODELS.build(config.model)
    (problem,) = caught.value.problems
    assert problem.path.startswith('model.distiller.links.loss_blobs')
    with pytest.raises(ShapeError, match='12'):
        MemoryLoss().check_pair(noise(1, 16, 3, 3), noise(1, 12, 3, 3))


def run(config, folder):
    config.merge_from_dict({
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'param_scheduler': [],
        'train_dataloader.dataset.length': 4, 'train_dataloader.batch_size': 2,
        'val_dataloader.dataset.length': 2, 'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.interval': 1, 'visualizer': None,
        'work_dir': str(folder), 'log_level': 'WARNING'})
    runner = Runner.from_cfg(config)
    return runner.train(), runner.message_hub.log_scalars


def test_memories_of_both_teachers_are_learned_and_the_student_runs_alone(
        tmp_path, monkeypatch):
    monkeypatch.setattr(
        Config, 'pretty_text', property(lambda config: repr(config._cfg_dict)))
    _, scalars = run(Config.fromfile(CONFIGS / 'convlstm_digits.py'), tmp_path / 'one')
    config = distillation()
    config.model.teachers.boxes.ckpt = str(tmp_path / 'one/iter_2.pth')
    model, scalars = run(config, tmp_path / 'two')
    for name in ('loss_boxes', 'loss_blobs'):
        assert 0 < scalars[f'train/distill.{name}'].current() < float('inf')
    assert 0 < scalars['val/video/MSE'].current() < float('inf')
    state = torch.load(tmp_path / 'two/iter_2_student.pth', weights_only=False)
    alone = ConvLSTM(bank=2)
    alone.load_state_dict(state['state_dict'])
    video = MovingSprites(split='test')[0]['inputs'][None]
    found = model.eval()(video, mode='predict')[0]['frames']
    assert torch.equal(found, alone(video, mode='predict')[0]['frames'])


def test_a_link_is_the_mean_error_of_each_step_summed_over_steps():
    from mmkd_ext.registry import MODELS

    model = MODELS.build(distillation().model)
    video = torch.stack([MovingSprites(length=2)[i]['inputs'] for i in range(2)])
    losses = model.loss(video)

    def memories(network, given, part):
        seen = []
        handle = network.cell.register_forward_hook(
            lambda _module, _inputs, found: seen.append(part(found)))
        network.unroll(video, given)
        handle.remove()
        return seen

    student = memories(model.student, 3, lambda found: found[2][1])
    teacher = memories(model.teachers['blobs'].module, 8, lambda found: found[1])
    expected = sum((s - t).square().mean() for s, t in zip(student, teacher))
    torch.testing.assert_close(losses['distill.loss_blobs'], 0.001 * expected)
