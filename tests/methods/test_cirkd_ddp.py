"""CIRKD on two processes, over gloo on the CPU: memories are equal, gradients too."""

from __future__ import annotations

import pytest
import torch
from slow_parts import on_processes

# Each process has an image of its own; rank None has both, and no process group. The
# second image has fewer labels in each step, and none in the third one.
SCRIPT = """
import sys
from types import SimpleNamespace
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from mmkd_ext.methods import (CIRKDChannelMemoryLoss, CIRKDPixelMemoryLoss,
                              CIRKDRegionMemoryLoss)
from mmkd_ext.methods._memory import KeyMemory

drawn, draw = [], KeyMemory.draw
KeyMemory.draw = lambda *them: drawn.append(draw(*them)) or drawn[-1]
rank, out = sys.argv[1:]
torch.set_num_threads(1)
mine = slice(None)
if rank != 'None':
    dist.init_process_group('gloo', rank=int(rank), world_size=2)
    mine = slice(int(rank), int(rank) + 1)

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(2, 3, 1)
        self.losses = torch.nn.ModuleList([
            CIRKDPixelMemoryLoss(3, channels=3, size=31, new_keys=100, samples=100),
            CIRKDPixelMemoryLoss(3, channels=3, size=9, new_keys=2, samples=3),
            CIRKDRegionMemoryLoss(3, channels=3, size=4),
            CIRKDChannelMemoryLoss((2, 2), size=10, new_keys=4)])

    def forward(self, student, teacher, samples):
        student = self.conv(student)
        return sum(loss(student, teacher, data_samples=samples) for loss in
                   self.losses[:3]) + self.losses[3](student, teacher)

model = Model()
whole = model if rank == 'None' else DistributedDataParallel(
    model, broadcast_buffers=False)
for step in range(4):
    generator = torch.Generator().manual_seed(step)
    student = torch.randn(2, 2, 4, 5, generator=generator)
    teacher = torch.randn(2, 3, 4, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator)
    labels[1, :1 + step] = 255
    if step == 2:
        labels[1] = 255
    samples = [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=x)) for x in labels]
    model.zero_grad()
    whole(student[mine], teacher[mine], samples[mine]).backward()
torch.save(dict(gradient=model.conv.weight.grad, **model.losses.state_dict(),
                **{f'drawn.{i}': keys for i, keys in enumerate(drawn)}), out)
"""


@pytest.fixture(scope='module')
def states(tmp_path_factory):
    return on_processes(SCRIPT, tmp_path_factory.mktemp('cirkd'), ['0', '1', 'None'])


def test_processes_have_equal_memories_and_gradients(states):
    first, second, _ = states
    for name, value in first.items():
        if 'drawn' not in name:
            assert torch.equal(value, second[name]), name
    assert first['gradient'].any()
    assert all(first[f'{i}.memory.filled'].all() for i in range(4))


def test_processes_compare_with_the_same_keys(states):
    # as many labels on one process as on the other are the exception
    first, second, _ = states
    drawn = [name for name in first if 'drawn' in name]
    assert len(drawn) == 16
    for name in drawn:
        assert torch.equal(first[name], second[name]), name


def test_two_processes_remember_what_one_with_both_images_would(states):
    one, _, single = states
    # all regions, in the same order; as many of a few pixels
    for name in ('keys', 'pointer', 'filled'):
        torch.testing.assert_close(one[f'2.memory.{name}'], single[f'2.memory.{name}'])
        if name != 'keys':
            assert torch.equal(one[f'0.memory.{name}'], single[f'0.memory.{name}'])
            assert torch.equal(one[f'1.memory.{name}'], single[f'1.memory.{name}'])
    # channels are chosen among those of all
    torch.testing.assert_close(one['3.memory.keys'], single['3.memory.keys'])
    assert one['0.memory.steps'] == 4
