"""Slow twins of the feature losses: plain loops over nested lists.

Written from the papers, without looking at the fast ones; no tensors, no numpy.
Lists are indexed ``[n][c][h][w]``.
"""

from __future__ import annotations

from math import sqrt


def numbers_of(channel, maps):
    """All values of a channel, over the batch."""
    return [v for image in maps for row in image[channel] for v in row]


def standardised(maps, eps):
    """PKD: each channel to mean 0 and unbiased standard deviation 1 over the batch."""
    scaled = [[None] * len(maps[0]) for _ in maps]
    for c in range(len(maps[0])):
        values = numbers_of(c, maps)
        mean = sum(values) / len(values)
        squares = sum((v - mean) ** 2 for v in values)
        deviation = sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0
        for n in range(len(maps)):
            scaled[n][c] = [[(v - mean) / (deviation + eps) for v in row]
                            for row in maps[n][c]]
    return scaled


def mean_square(one, other):
    """Mean squared difference of two maps ``[h][w]``."""
    found = [(a - b) ** 2 for x, y in zip(one, other) for a, b in zip(x, y)]
    return sum(found) / len(found)


def correlation_distance(student, teacher, eps):
    """PKD: half the mean squared difference of the standardised maps, ``[n][c]``."""
    student, teacher = standardised(student, eps), standardised(teacher, eps)
    return [[mean_square(s, t) / 2 for s, t in zip(*images)]
            for images in zip(student, teacher)]


def pearson(xs, ys):
    """Correlation of two flat lists, from its definition."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    both = sum((a - x) * (b - y) for a, b in zip(xs, ys))
    return both / sqrt(sum((a - x) ** 2 for a in xs) * sum((b - y) ** 2 for b in ys))


def pooled(plane, cells):
    """Adaptive average pooling of ``[h][w]`` to a square of cells."""
    height, width = len(plane), len(plane[0])

    def span(i, size):
        # from the floor of the first fraction to the ceiling of the next
        return range(i * size // cells, -((-(i + 1) * size) // cells))

    return [[sum(plane[y][x] for y in span(i, height) for x in span(j, width))
             / (len(span(i, height)) * len(span(j, width)))
             for j in range(cells)] for i in range(cells)]


def context_error(student, teacher, grids, limit):
    """ReviewKD's hierarchical context loss of one map ``[h][w]``.

    Grids must have fewer cells along a side than ``limit(height, width)``.
    """
    loss, weight, total = mean_square(student, teacher), 1.0, 1.0
    for cells in grids:
        if cells >= limit(len(student), len(student[0])):
            continue
        weight /= 2
        loss += weight * mean_square(pooled(student, cells), pooled(teacher, cells))
        total += weight
    return loss / total


def pooled_error(student, teacher, grids, limit=min):
    """ReviewKD for each map, ``[n][c]``; by ``limit=lambda h, w: h`` as published."""
    return [[context_error(s, t, grids, limit) for s, t in zip(*images)]
            for images in zip(student, teacher)]


def random_mask(uniform, ratio, over):
    """MGD: zeros and ones from uniform numbers, nested as those."""
    if isinstance(uniform, list):
        return [random_mask(u, ratio, over) for u in uniform]
    if over == 'spatial':
        return 0.0 if uniform > 1 - ratio else 1.0
    return 0.0 if uniform < ratio else 1.0


def convolved(maps, weight, bias):
    """Cross-correlation with zeros around, ``weight[out][in][k][k]``, for one image."""
    height, width = len(maps[0]), len(maps[0][0])
    reach = len(weight[0][0]) // 2

    def at(plane, y, x):
        return plane[y][x] if 0 <= y < height and 0 <= x < width else 0.0

    return [[[bias[o] + sum(
        weight[o][i][dy + reach][dx + reach] * at(maps[i], y + dy, x + dx)
        for i in range(len(maps))
        for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1))
        for x in range(width)] for y in range(height)] for o in range(len(weight))]


def generated(maps, mask, first, second):
    """MGD's generator for one image: convolution, ReLU, convolution.

    ``mask`` is ``[1][h][w]``; ``first`` and ``second`` are pairs of weight and bias.
    """
    masked = [[[v * m for v, m in zip(row, keep)] for row, keep in zip(plane, mask[0])]
              for plane in maps]
    hidden = [[[max(v, 0.0) for v in row] for row in plane]
              for plane in convolved(masked, *first)]
    return convolved(hidden, *second)
