"""What tests of methods share: noise, samples, small parts of slow twins."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from math import exp, log, sqrt
from types import SimpleNamespace

import torch
from hypothesis import settings
from hypothesis import strategies as st

CALM = settings(derandomize=True, deadline=None, max_examples=30, database=None)
SEEDS = st.integers(0, 2**31)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def doubles(*shape, seed=0, dtype=torch.float64, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return spread * x.to(dtype)


def two_sides(*shape, seed=0, spread=1.0):
    """Student and teacher."""
    return [*doubles(2, *shape, seed=seed, spread=spread)]


def rows_of(x):
    """The pixels ``(n*h*w c)`` of maps."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def random_labels(*shape, high=4, seed=0, generator=None):
    """Labels from 0 to below `high`, and 255."""
    generator = generator or torch.Generator().manual_seed(seed)
    labels = torch.randint(0, high + 1, shape, generator=generator)
    return labels.masked_fill(labels == high, 255)


def sample(labels):
    """One of a segmentor, of a label map ``[1][h][w]``."""
    return SimpleNamespace(gt_sem_seg=SimpleNamespace(data=torch.as_tensor(labels)))


def labelled(labels):
    """Samples of a segmentor, of label maps ``[n][h][w]``."""
    return {'data_samples': [sample(torch.as_tensor(one)[None]) for one in labels]}


def layers(student, teacher):
    """Draws one map for each shape of both sides."""
    def draw(generator):
        return tuple(tuple(torch.randn(shape, generator=generator) for shape in side)
                     for side in (student, teacher))
    return draw


def boxed(*boxes, frame=(64, 96), image=None):
    """The sample of a detector."""
    return SimpleNamespace(
        gt_instances=SimpleNamespace(bboxes=torch.tensor(boxes).float().reshape(-1, 4)),
        metainfo=dict(batch_input_shape=frame, img_shape=image or frame))


def on_processes(script, folder, names, *arguments):
    """Runs ``python -c script NAME arguments folder/NAME`` for all at once.

    Returns:
        What each has saved there, in the order of the names.
    """
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port = str(found.getsockname()[1])
    env = dict(os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT=port,
               OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    running = [subprocess.Popen(
        [sys.executable, '-c', script, name, *arguments, str(folder / name)], env=env,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for name in names]
    for process in running:
        printed = process.communicate(timeout=180)[0]
        assert process.returncode == 0, printed[-3000:]
    return [torch.load(folder / name, weights_only=True) for name in names]


def assert_equals_twin(fast, slow, tolerance=1e-11):
    slow = torch.tensor(slow, dtype=torch.float64).reshape(fast.shape)
    torch.testing.assert_close(fast.detach().double(), slow, rtol=tolerance,
                               atol=tolerance)


# ---- lists ---------------------------------------------------------------------------


def softened(values, tau=1.0):
    """Returns ``softmax(values / tau)`` of a flat list."""
    powers = [exp((value - max(values)) / tau) for value in values]
    return [power / sum(powers) for power in powers]


def kl(p, q):
    """Returns ``KL(p || q)`` of two flat lists."""
    return sum(a * log(a / b) for a, b in zip(p, q))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def cosine(a, b):
    lengths = sqrt(dot(a, a)) * sqrt(dot(b, b))
    return dot(a, b) / lengths if lengths else 0.0


# ---- maps ----------------------------------------------------------------------------


def columns(image):
    """Returns the feature of each position of an image, row by row."""
    return [list(column) for rows in zip(*image) for column in zip(*rows)]


def as_map(values, image):
    """Arranges one value for each position as the image is."""
    width = len(image[0][0])
    return [values[i:i + width] for i in range(0, len(values), width)]


def mean_square(one, other):
    """Mean squared difference of two maps ``[h][w]``."""
    found = [(a - b) ** 2 for x, y in zip(one, other) for a, b in zip(x, y)]
    return sum(found) / len(found)


def slow_spatial_attention(feature, tau):
    """FGD, spatial attention ``[n][h][w]``."""
    result = []
    for image in feature:
        strength = [sum(map(abs, column)) / len(image) for column in columns(image)]
        shares = softened(strength, tau)
        result.append(as_map([len(shares) * share for share in shares], image))
    return result


def slow_channel_attention(feature, tau):
    """FGD, channel attention ``[n][c]``."""
    result = []
    for image in feature:
        values = [[abs(v) for row in channel for v in row] for channel in image]
        shares = softened([sum(v) / len(v) for v in values], tau)
        result.append([len(image) * share for share in shares])
    return result


# ---- boxes ---------------------------------------------------------------------------


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def shared(a, b):
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def iou(a, b):
    union = area(a) + area(b) - shared(a, b)
    return shared(a, b) / union if union > 0 else 0.0


def counts(box, size):
    """Whether a box has area and reaches into its image."""
    x0, y0, x1, y1 = box
    return x1 > x0 and y1 > y0 and x1 > 0 and y1 > 0 and x0 < size[1] and y0 < size[0]


def zeros(map_size):
    return [[0.0] * map_size[1] for _ in range(map_size[0])]
