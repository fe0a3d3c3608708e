"""Slow twins of an adversary's objectives and of its parts: plain loops.

Written from the equations; no tensors, no numpy. Maps are indexed ``[c][h][w]``.
"""

from __future__ import annotations

from math import ceil, exp, floor, sqrt


def hinge_critic(real, fake):
    return [max(0.0, 1 - r) + max(0.0, 1 + f) for r, f in zip(real, fake)]


def wasserstein_critic(real, fake):
    return [f - r for r, f in zip(real, fake)]


def gradient_penalty(critic, real, fake, places, step=1e-5):
    """The slope of each entry by central differences; entries are flat lists."""
    found = []
    for t, s, place in zip(real, fake, places):
        x = [place * a + (1 - place) * b for a, b in zip(t, s)]
        slope = []
        for i in range(len(x)):
            ahead = critic([*x[:i], x[i] + step, *x[i + 1 :]])
            behind = critic([*x[:i], x[i] - step, *x[i + 1 :]])
            slope.append((ahead - behind) / (2 * step))
        found.append((sqrt(sum(g * g for g in slope)) - 1) ** 2)
    return found


def averaged(image, height, width):
    """Each new pixel is the mean of the pixels that it covers, also in part."""
    rows, cols = len(image[0]), len(image[0][0])

    def mean(channel, y, x):
        ys = range(floor(y * rows / height), ceil((y + 1) * rows / height))
        xs = range(floor(x * cols / width), ceil((x + 1) * cols / width))
        values = [channel[i][j] for i in ys for j in xs]
        return sum(values) / len(values)

    return [
        [[mean(channel, y, x) for x in range(width)] for y in range(height)]
        for channel in image
    ]


def normalised(batch, eps=1e-5):
    """Each channel of a batch has mean 0 and variance 1."""
    found = [[] for _ in batch]
    for c in range(len(batch[0])):
        values = [v for image in batch for row in image[c] for v in row]
        mean = sum(values) / len(values)
        spread = sqrt(sum((v - mean) ** 2 for v in values) / len(values) + eps)
        for image, out in zip(batch, found):
            out.append([[(v - mean) / spread for v in row] for row in image[c]])
    return found


def halved(image, weight, bias, *, up):
    """A 4x4 convolution at every second pixel, beginning one before the first.

    The last of an odd number of pixels counts if `up`, or if it is the only one.
    """
    rows, cols = len(image[0]), len(image[0][0])
    half = ceil if up else floor

    def at(channel, y, x):
        return channel[y][x] if 0 <= y < rows and 0 <= x < cols else 0.0

    def value(kernel, offset, y, x):
        return offset + sum(
            kernel[c][i][j] * at(channel, 2 * y + i - 1, 2 * x + j - 1)
            for c, channel in enumerate(image)
            for i in range(4)
            for j in range(4)
        )

    return [
        [
            [value(kernel, offset, y, x) for x in range(max(1, half(cols / 2)))]
            for y in range(max(1, half(rows / 2)))
        ]
        for kernel, offset in zip(weight, bias)
    ]


def leaky(image, slope=0.1):
    return [
        [[v if v > 0 else slope * v for v in row] for row in channel]
        for channel in image
    ]


def mixed(positions, weight, bias):
    """A 1x1 convolution, over a list of positions."""
    return [
        [
            offset + sum(w * v for w, v in zip(row, x))
            for row, offset in zip(weight, bias)
        ]
        for x in positions
    ]


def attended(image, query, key, value, gamma):
    """Self-attention; each of the three is a pair of weight and bias."""
    rows, cols = len(image[0]), len(image[0][0])
    positions = [
        [channel[y][x] for channel in image] for y in range(rows) for x in range(cols)
    ]
    asks, answers, values = (mixed(positions, *w) for w in (query, key, value))
    out = []
    for ask, x in zip(asks, positions):
        strength = [exp(sum(a * b for a, b in zip(ask, answer))) for answer in answers]
        total = sum(strength)
        seen = [
            sum(s * v[c] for s, v in zip(strength, values)) / total
            for c in range(len(x))
        ]
        out.append([a + gamma * b for a, b in zip(x, seen)])
    return [
        [[out[y * cols + x][c] for x in range(cols)] for y in range(rows)]
        for c in range(len(image))
    ]


def mean_score(image, weight, bias):
    """The mean over positions of a 1x1 convolution to one channel."""
    scores = [
        bias + sum(w * channel[y][x] for w, channel in zip(weight, image))
        for y in range(len(image[0]))
        for x in range(len(image[0][0]))
    ]
    return sum(scores) / len(scores)


def window_scores(image, weight, bias):
    """A 4x4 convolution to one channel; what is smaller is filled up with zeros."""
    rows, cols = len(image[0]), len(image[0][0])

    def at(channel, y, x):
        return channel[y][x] if y < rows and x < cols else 0.0

    return [
        bias
        + sum(
            weight[c][i][j] * at(channel, y + i, x + j)
            for c, channel in enumerate(image)
            for i in range(4)
            for j in range(4)
        )
        for y in range(max(1, rows - 3))
        for x in range(max(1, cols - 3))
    ]
