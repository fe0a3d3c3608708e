"""Clear day, fog, night, rain and snow, and the camera that records them.

Weather works on what the renderer knows of each pixel: its distance, its place in the
world and its own colour. What lies in the world (puddles, snow) stays where it is from
frame to frame; what falls and what the sensor adds is new in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmkd_ext.datasets import overlays
from projects.toy_streets import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from projects.toy_streets.render import View
    from projects.toy_streets.world import Street

    Array = np.ndarray

GROUND = (draw.ROAD, draw.SIDEWALK, draw.TERRAIN)


def record(view: View, street: Street, weather: str, rng: Generator) -> Array:
    """Returns the picture ``(h w 3)``, ``uint8``, as a camera records it.

    Args:
        view: What there is to see.
        street: Where; the strength of its weather is one for all frames.
        weather: A key of `WEATHERS`.
        rng: Chance of this frame.
    """
    image, gain, grain, blur = WEATHERS[weather](view, street, rng)
    return _camera(image, rng, gain=gain, grain=grain, blur=blur)


def _camera(
    image: Array, rng: Generator, *, gain: float, grain: float, blur: float
) -> Array:
    """Returns the picture ``uint8`` as a camera records it.

    Args:
        image: Light that arrives.
        rng: Chance of this frame.
        gain: Factor on all light; corners get less.
        grain: Noise that does not depend on the light, in levels.
        blur: Width of the lens' blur in pixels.
    """
    h, w = image.shape[:2]
    across = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    image = image * (gain * (1 - 0.10 * (across**2 + down**2)))[..., None]
    if blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image = image + noise * (grain + 0.022 * np.sqrt(np.clip(image, 0, 255) * 16))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def strength(street: Street, slot: int) -> float:
    """Returns a number of the street, 0 to 1, the same for all its frames."""
    return float(street.offsets[slot] / 512)


def _tile(
    view: View, street: Street, scale: float, slot: int, kind: str = 'fractal'
) -> Array:
    """Returns noise that lies still in the world, on ground and fronts alike."""
    ox, oz = street.offsets[slot], street.offsets[(slot + 3) % 8]
    x = ((view.x + view.y * 0.7) * scale + ox).astype(np.int32) & 511
    z = ((view.z + view.y * 0.7) * scale + oz).astype(np.int32) & 511
    return overlays.noise(kind)[z, x]


def _overcast(view: View, street: Street, level: float) -> Array:
    """Returns the picture without sun: flat light, a bare grey sky."""
    light = street.light
    flat = view.albedo * (0.55 + 0.25 * light.ambient)
    image = 0.25 * view.colour + 0.75 * flat
    sky = view.label == draw.SKY
    cloud = 0.12 * (image[sky] - image[sky].mean() if sky.any() else 0.0)
    image[sky] = np.array((level - 6, level - 2, level + 2)) + cloud
    return image


def clear(
    view: View, street: Street, _rng: Generator
) -> tuple[Array, float, float, float]:
    """Returns the picture by day, gain, grain and blur of the camera."""
    light = street.light
    image = overlays.veil(
        view.colour, view.depth, np.array(light.haze, np.float32), 0.0012
    )
    return image, light.gain, light.grain, light.blur


def fog(
    view: View, street: Street, rng: Generator
) -> tuple[Array, float, float, float]:
    """Returns the street in fog that hides all beyond 20 to 60 m."""
    level = 150 + 70 * strength(street, 0)
    image = _overcast(view, street, level)
    air = np.array((level - 4, level, level + 3), np.float32)
    beta = 0.022 + 0.045 * strength(street, 1) ** 1.5
    drift = 1 + 0.12 * _tile(view, street, 0.9, 2)
    image = overlays.veil(image, view.depth, air, beta)
    image = image + (air - image) * np.clip(0.05 * drift, 0, 0.3)[..., None]
    return image, float(rng.normal(0.95, 0.02)), 3.0, 0.7


def night(
    view: View, street: Street, rng: Generator
) -> tuple[Array, float, float, float]:
    """Returns the street by the light of lamps, windows and headlights."""
    sky = view.label == draw.SKY
    dim = 0.05 + 0.05 * strength(street, 0)
    light = np.ones((*view.label.shape, 3), np.float32) * np.array(
        (dim * 0.9, dim, dim * 1.35), np.float32
    )
    sodium = np.array(
        (1.0, 0.74, 0.42) if strength(street, 1) < 0.65 else (0.86, 0.92, 1.0),
        np.float32,
    )
    for lamp in view.lamps:
        if lamp[2] < 90:
            gap = ((view.camera - lamp.astype(np.float32)) ** 2).sum(-1)
            below = np.clip((lamp[1] - view.camera[..., 1] + 0.6) / 2, 0, 1)
            light += (below * 7.5 / (12.0 + gap))[..., None] * sodium
    right, up, ahead = (view.camera[..., i] for i in range(3))
    cone = np.exp(-((right / (0.35 * ahead + 1.2)) ** 2)) / (1 + (ahead / 15) ** 2)
    cone *= np.clip(1.2 - np.maximum(up + 0.5, 0) / (0.05 * ahead + 0.4), 0, 1)
    light += 0.75 * cone[..., None] * np.array((1.0, 0.95, 0.82), np.float32)
    image = view.albedo * np.minimum(light, 1.4)
    glow = strength(street, 2)
    image[sky] = np.array((10 + 22 * glow, 11 + 14 * glow, 20 + 8 * glow))
    own = view.albedo * view.emission[..., None] * 1.25
    house = view.label == draw.BUILDING
    own[house] = view.emission[house][:, None] * np.array((235.0, 190.0, 120.0))
    image = image + own
    h = view.label.shape[0]
    halo = cv2.GaussianBlur(own, (0, 0), h / 42) * 1.6
    halo += cv2.GaussianBlur(own, (0, 0), h / 14) * 1.2
    image = image + halo
    gain = float(0.95 + 0.45 * strength(street, 3) + rng.normal(0, 0.015))
    return image, gain, 7.0 + 6.0 * strength(street, 4), 0.75


def rain(
    view: View, street: Street, rng: Generator
) -> tuple[Array, float, float, float]:
    """Returns the street in rain: mirrors on the road, streaks, drops on the lens."""
    level = 120 + 55 * strength(street, 0)
    image = _overcast(view, street, level) * 0.8
    road = np.isin(view.label, GROUND)
    image[road] *= 0.72
    image = _mirror(image, view, street, road)
    image = overlays.veil(
        image,
        view.depth,
        np.full(3, level * 0.9, np.float32),
        0.008 + 0.012 * strength(street, 1),
    )
    image = overlays.streaks(image, rng, count=0.008 + 0.012 * strength(street, 2))
    drops = int(rng.integers(4, 10 + int(12 * strength(street, 6))))
    image = overlays.drops(image, rng, drops)
    return image, float(rng.normal(0.92, 0.02)), 4.5, 0.85


def _mirror(image: Array, view: View, street: Street, road: Array) -> Array:
    """Returns the picture with what stands above the wet road shown in it."""
    h, w = road.shape
    rows = np.arange(h)
    source = np.clip(np.rint(2 * view.horizon - rows), 0, h - 1).astype(int)
    wobble = np.rint(1.3 * _tile(view, street, 30, 0, 'grain')).astype(int)
    above = cv2.blur(image, (3, 9))
    columns = np.clip(np.arange(w)[None, :] + wobble, 0, w - 1)
    mirror = above[source[:, None], columns]
    puddle = np.clip(0.42 + 0.28 * _tile(view, street, 8, 3), 0.12, 0.85)
    share = (puddle * (0.45 + 0.4 * strength(street, 5)) * road)[..., None]
    return image * (1 - share) + mirror * share


def snow(
    view: View, street: Street, rng: Generator
) -> tuple[Array, float, float, float]:
    """Returns the street under snow, with flakes in the air."""
    level = 172 + 48 * strength(street, 0)
    image = _overcast(view, street, level)
    cover = _cover(view, street)[..., None]
    grain = 1 + 0.04 * _tile(view, street, 20, 1)[..., None]
    white = np.array((214.0, 220.0, 230.0)) * (0.72 + 0.28 * level / 220) * grain
    image = image * (1 - cover) + white * cover
    air = np.array((level - 2, level, level + 4), np.float32)
    image = overlays.veil(image, view.depth, air, 0.006 + 0.014 * strength(street, 1))
    image = overlays.flakes(image, rng, 0.004 + 0.010 * strength(street, 2))
    return image, float(rng.normal(0.98, 0.02)), 3.0, 0.6


def _cover(view: View, street: Street) -> Array:
    """Returns how much snow lies on each pixel, 0 to 1."""
    label, depth = view.label, view.depth
    lie = strength(street, 7)
    uneven = _tile(view, street, 6, 0)
    cover = np.zeros(label.shape, np.float32)
    cover[label == draw.TERRAIN] = 0.95
    walk = label == draw.SIDEWALK
    cover[walk] = (0.35 + 0.6 * lie + 0.28 * uneven)[walk]
    road = label == draw.ROAD
    tracks = np.cos((np.abs(view.x) - 1.65) * 2 * np.pi / 1.5)
    slush = 0.1 + 0.75 * lie + 0.22 * uneven - 0.25 * tracks
    slush = np.where(np.abs(view.x) < 7.0, slush, 0.2 + 0.6 * lie + 0.22 * uneven)
    cover[road] = slush[road]
    green = label == draw.VEGETATION
    cover[green] = (0.30 + 0.35 * lie + 0.4 * _tile(view, street, 24, 2))[green]
    # tops: solid things just under something farther away
    above = np.roll(depth, 1, axis=0)
    edge = (above > depth * 1.08 + 0.5) & ~np.isin(label, (*GROUND, draw.SKY))
    edge[0] = False
    thick = edge | np.roll(edge, 1, axis=0)
    if label.shape[0] >= 96:
        thick |= np.roll(edge, 2, axis=0) & (depth < 25)
    solid = thick & ~np.isin(label, (draw.PERSON, draw.SKY))
    cover[solid] = np.maximum(cover[solid], 0.75)
    return np.clip(cover, 0, 0.97)


WEATHERS: dict[str, Callable[..., tuple[Array, float, float, float]]] = {
    'clear': clear,
    'fog': fog,
    'night': night,
    'rain': rain,
    'snow': snow,
}
