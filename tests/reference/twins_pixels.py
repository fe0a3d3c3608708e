"""Slow twins of what compares class scores pixel by pixel: plain loops over the map.

Written from the equations, without looking at the fast ones; no tensors, no numpy. Maps
are indexed ``[n][k][h][w]``, labels ``[n][h][w]``.
"""

from __future__ import annotations

from math import exp, log


def softened(values, tau):
    """Returns ``softmax(values / tau)`` of a flat list."""
    powers = [exp(value / tau) for value in values]
    return [power / sum(powers) for power in powers]


def dkd(student, teacher, labels, alpha, beta, tau, ignore):
    """DKD's Eq. (7) at each labelled pixel, their mean."""
    found = []
    for n, image in enumerate(labels):
        for h, line in enumerate(image):
            for w, y in enumerate(line):
                if y == ignore:
                    continue
                q, p = (
                    softened([plane[h][w] for plane in side[n]], tau)
                    for side in (student, teacher)
                )
                target = p[y] * log(p[y] / q[y])
                target += (1 - p[y]) * log((1 - p[y]) / (1 - q[y]))
                other = 0.0
                for k in range(len(p)):
                    if k != y:
                        hat_p, hat_q = p[k] / (1 - p[y]), q[k] / (1 - q[y])
                        other += hat_p * log(hat_p / hat_q)
                found.append(tau**2 * (alpha * target + beta * other))
    return sum(found) / len(found)


def dist(student, teacher, beta, gamma, tau):
    """DIST's Eq. (10), each pixel a sample with its classes."""

    def rows(side):
        return [
            softened([plane[h][w] for plane in image], tau)
            for image in side
            for h in range(len(image[0]))
            for w in range(len(image[0][0]))
        ]

    def apart(a, b):
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        dot = square_a = square_b = 0.0
        for x, y in zip(a, b):
            dot += (x - mean_a) * (y - mean_b)
            square_a += (x - mean_a) ** 2
            square_b += (y - mean_b) ** 2
        return 1 - dot / (square_a**0.5 * square_b**0.5 + 1e-8)

    s, t = rows(student), rows(teacher)
    within_samples = [apart(a, b) for a, b in zip(s, t)]
    within_classes = [apart(a, b) for a, b in zip(list(zip(*s)), list(zip(*t)))]
    return tau**2 * (
        beta * sum(within_samples) / len(within_samples)
        + gamma * sum(within_classes) / len(within_classes)
    )
