"""Slow twins of affinities, directions, attention and class similarity: plain loops.

Written from the equations, without looking at the fast ones; no tensors, no numpy.
Lists are indexed ``[n][c][h][w]``.
"""

from __future__ import annotations

from math import inf, sqrt


def columns(image):
    """Returns the feature of each position of an image, row by row."""
    height, width = len(image[0]), len(image[0][0])
    return [[channel[y][x] for channel in image]
            for y in range(height) for x in range(width)]


def as_map(values, image):
    """Arranges one value for each position as the image is."""
    width = len(image[0][0])
    return [values[i:i + width] for i in range(0, len(values), width)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def cosine(a, b):
    lengths = sqrt(dot(a, a)) * sqrt(dot(b, b))
    return dot(a, b) / lengths if lengths else 0.0


def affinity(image):
    """The matrix of the cosines between all positions."""
    positions = columns(image)
    return [[cosine(a, b) for b in positions] for a in positions]


def affinity_row_distance(student, teacher):
    """KA's affinity term, row by row and without 1 / m: ``[n][h][w]``."""
    return [as_map([sqrt(sum((a - b)**2 for a, b in zip(row_s, row_t)))
                    for row_s, row_t in zip(affinity(s), affinity(t))], s)
            for s, t in zip(student, teacher)]


def affinity_squared_distance(student, teacher):
    """SKDS' pair-wise term without its division: ``[n]``."""
    return [sum((a - b)**2 for row_s, row_t in zip(affinity(s), affinity(t))
                for a, b in zip(row_s, row_t))
            for s, t in zip(student, teacher)]


def norm(values, order):
    if order == inf:
        return max(abs(value) for value in values)
    return sum(abs(value)**order for value in values)**(1 / order)


def unit_distance(student, teacher, p, q):
    """KA's adapter term at each position: ``[n][h][w]``."""
    def unit(values):
        length = norm(values, q)
        return [value / length if length else 0.0 for value in values]

    return [as_map([norm([x - y for x, y in zip(unit(a), unit(b))], p)
                    for a, b in zip(columns(s), columns(t))], s)
            for s, t in zip(student, teacher)]


def attention_distance(student, teacher, p):
    """AT at each position: ``[n][h][w]``."""
    def attention(image):
        sums = [sum(abs(value)**p for value in position) for position in columns(image)]
        length = sqrt(dot(sums, sums))
        return [value / length if length else 0.0 for value in sums]

    return [as_map([(a - b)**2 for a, b in zip(attention(s), attention(t))], s)
            for s, t in zip(student, teacher)]


def class_similarity(feature, labels, num_classes):
    """IFVD's variation map, class by class: ``[n][h][w]``."""
    result = []
    for image, truth in zip(feature, labels):
        positions = columns(image)
        classes = [label for row in truth for label in row]
        centres = list(positions)
        for k in range(num_classes):
            members = [f for f, label in zip(positions, classes) if label == k]
            for i, label in enumerate(classes):
                if label == k:
                    centres[i] = [sum(f[c] for f in members) / len(members)
                                  for c in range(len(image))]
        result.append(as_map(
            [1.0 if not 0 <= label < num_classes else cosine(f, centre)
             for f, centre, label in zip(positions, centres, classes)], image))
    return result
