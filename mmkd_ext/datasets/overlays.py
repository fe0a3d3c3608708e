"""Layers of weather over a picture: haze, rain, drops, flakes; and soft noise.

Shared by `mmkd_ext.datasets.corruptions`, which has nothing but the picture, and by
the toy streets of ``projects/toy_streets``, which know each pixel's distance.
Pictures are ``float32`` ``(h w 3)`` in red, green, blue, 0 to 255.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

    Array = np.ndarray


@functools.cache
def noise(kind: str) -> Array:
    """Returns a periodic tile ``(512 512)`` of values around 0, spread about 1.

    Args:
        kind: ``'fractal'`` (clouds, plaster, leaves), ``'grain'`` (asphalt).
    """
    rng = np.random.Generator(np.random.PCG64({'fractal': 11, 'grain': 12}[kind]))
    tile = np.zeros((512, 512), np.float32)
    first = 2 if kind == 'fractal' else 6
    for octave in range(first, 10):
        cells = 2**octave
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        wide = np.pad(grid, 1, mode='wrap')
        scale = 512 // cells
        full = cv2.resize(
            wide, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR
        )
        full = full[scale : scale + 512, scale : scale + 512]
        tile += full * (0.62 ** (octave - first))
    tile -= tile.mean()
    tile /= tile.std()
    return tile


def patch(rng: Generator, h: int, w: int, kind: str = 'fractal') -> Array:
    """Returns a random cut-out ``(h w)`` of a noise tile."""
    y, x = rng.integers(0, 512, 2)
    rows = np.arange(y, y + h) & 511
    cols = np.arange(x, x + w) & 511
    return noise(kind)[rows[:, None], cols]


def veil(image: Array, depth: Array, air: Array, beta: float) -> Array:
    """Returns the picture behind air that scatters ``beta`` of the light a metre."""
    seen = np.exp(-beta * np.minimum(depth, 400.0))[..., None]
    seen = cv2.blur(seen, (3, 3))[..., None]
    return image * seen + air * (1 - seen)


def streaks(image: Array, rng: Generator, count: float, thick: int = 1) -> Array:
    """Returns the picture with drops drawn long by their fall.

    Args:
        image: The picture.
        rng: Chance of this frame.
        count: Drops a pixel.
        thick: Width of a drop in pixels.
    """
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    number = int(count * h * w)
    x, y = rng.integers(0, w * 8, number), rng.integers(-h, h * 8, number)
    size = rng.uniform(0.025, 0.11, number) * h * 8
    slant = rng.normal(0.08, 0.03)
    shine = rng.integers(50, 170, number)
    for x0, y0, length, value in zip(x.tolist(), y.tolist(), size, shine.tolist()):
        end = (int(x0 - slant * length), int(y0 + length))
        cv2.line(layer, (x0, y0), end, value, thick, cv2.LINE_AA, 3)
    share = layer[..., None].astype(np.float32) / 255 * 0.55
    return image * (1 - share) + 205.0 * share


def drops(image: Array, rng: Generator, count: int) -> Array:
    """Returns the picture through drops on the lens, which turn it upside down."""
    h, w = image.shape[:2]
    image = image.copy()
    blurred = cv2.GaussianBlur(image, (0, 0), h / 40)[::-1]
    for _ in range(count):
        radius = float(rng.uniform(0.012, 0.05)) * h
        cx, cy = rng.uniform(0, w), rng.uniform(0, h)
        x0, x1 = max(0, int(cx - radius)), min(w, int(cx + radius) + 2)
        y0, y1 = max(0, int(cy - radius)), min(h, int(cy + radius) + 2)
        gap = np.hypot(
            np.arange(x0, x1)[None, :] - cx, (np.arange(y0, y1)[:, None] - cy) / 1.15
        )
        share = np.clip((radius - gap) / (0.35 * radius), 0, 1)[..., None] * 0.8
        area = image[y0:y1, x0:x1]
        image[y0:y1, x0:x1] = area * (1 - share) + blurred[y0:y1, x0:x1] * share
    return image


def flakes(image: Array, rng: Generator, count: float, scale: float = 1.0) -> Array:
    """Returns the picture with flakes of all sizes.

    Args:
        image: The picture.
        rng: Chance of this frame.
        count: Flakes a pixel.
        scale: Factor on their sizes.
    """
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    number = int(count * h * w)
    x, y = rng.integers(0, w * 8, number), rng.integers(0, h * 8, number)
    size = np.minimum(0.9 / rng.uniform(0.12, 1.6, number), 5.0) * h / 128 * 8 * 0.5
    for x0, y0, radius in zip(x.tolist(), y.tolist(), size):
        cv2.circle(
            layer, (x0, y0), max(2, int(scale * radius)), 230, -1, cv2.LINE_AA, 3
        )
    layer = cv2.GaussianBlur(layer, (0, 0), 0.6)
    share = layer[..., None].astype(np.float32) / 255 * 0.9
    return image * (1 - share) + 240.0 * share
