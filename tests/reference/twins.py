"""Slow twins: plain loops over nested lists, straight from the equations.

Written from the papers, without looking at the fast ones; no tensors, no numpy.
Lists are indexed ``[n][c][h][w]``.
"""

from __future__ import annotations

from math import exp, log


def softened(values, tau):
    """Returns ``softmax(values / tau)`` of a flat list."""
    powers = [exp(value / tau) for value in values]
    return [power / sum(powers) for power in powers]


def kl(p, q):
    """Returns ``KL(p || q)`` of two flat lists."""
    return sum(pi * log(pi / qi) for pi, qi in zip(p, q))


def channel_divergence(student, teacher, tau):
    """CWD, Eq. (2) to (4) without the mean over channels: ``[n][c]``."""
    return [[tau**2 * kl(softened([v for row in teacher[n][c] for v in row], tau),
                         softened([v for row in student[n][c] for v in row], tau))
             for c in range(len(student[n]))]
            for n in range(len(student))]


def classes(values, tau):
    """Returns the distribution of classes; of a single score, of yes and no."""
    if len(values) == 1:
        yes = 1 / (1 + exp(-values[0] / tau))
        return [yes, 1 - yes]
    return softened(values, tau)


def class_divergence(student, teacher, tau):
    """KD of each pixel, ``[n][h][w]``."""
    height, width = len(student[0][0]), len(student[0][0][0])
    return [[[tau**2 * kl(classes([channel[y][x] for channel in teacher[n]], tau),
                          classes([channel[y][x] for channel in student[n]], tau))
              for x in range(width)]
             for y in range(height)]
            for n in range(len(student))]


def class_divergence_of_samples(student, teacher, tau):
    """KD of each sample, ``[n]``."""
    return [tau**2 * kl(classes(t, tau), classes(s, tau))
            for s, t in zip(student, teacher)]


def squared_error(student, teacher):
    """Squared differences, nested as the inputs."""
    if isinstance(student, list):
        return [squared_error(s, t) for s, t in zip(student, teacher)]
    return (student - teacher) * (student - teacher)
