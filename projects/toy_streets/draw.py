"""Sprites of the toy streets: flat pictures that the renderer stands up in 3-D.

A sprite is one ``uint8`` array ``(h w 6)``: red, green, blue, Cityscapes label id
(0 where there is nothing), emission at night, and 1 where it is opaque (a fence is
labelled also where one looks through it). Row 0 is the top, sizes are in metres, and
a `Brush` says how many pixels draw a metre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mmkd_ext.datasets.overlays import patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    Array = np.ndarray
    Colour = tuple[int, int, int]

ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE = 7, 8, 11, 12, 13, 17
LIGHT, SIGN, VEGETATION, TERRAIN, SKY = 19, 20, 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS, TRAIN = 24, 25, 26, 27, 28, 31
MOTORCYCLE, BICYCLE, EGO, STATIC = 32, 33, 1, 4

MASONRY = (
    (150, 82, 66),
    (168, 108, 84),
    (186, 160, 126),
    (202, 188, 160),
    (148, 146, 144),
    (112, 110, 112),
    (210, 206, 200),
    (176, 172, 150),
    (128, 96, 80),
    (190, 140, 96),
)
GREENS = ((62, 92, 42), (84, 108, 50), (52, 76, 46), (104, 116, 52), (120, 104, 54))
CLOTHES = (
    (30, 32, 40),
    (60, 62, 70),
    (32, 48, 92),
    (120, 34, 36),
    (70, 90, 60),
    (180, 176, 170),
    (150, 120, 80),
    (200, 160, 40),
    (96, 60, 110),
    (40, 100, 120),
)
SKIN = ((224, 184, 156), (196, 148, 116), (140, 96, 70), (92, 62, 46))
PAINT = (
    (24, 24, 28),
    (60, 62, 66),
    (128, 130, 134),
    (188, 190, 192),
    (228, 228, 228),
    (150, 24, 28),
    (28, 52, 116),
    (40, 84, 62),
    (168, 132, 44),
    (92, 60, 44),
    (70, 110, 150),
    (186, 90, 36),
)


class Brush(NamedTuple):
    """What every drawing needs: chance, and pixels a metre."""

    rng: Generator
    ppm: float = 24.0


class Sprite(NamedTuple):
    """A sprite and its coarser copies, one for each halving of the distance."""

    levels: tuple[Array, ...]

    @property
    def finest(self) -> Array:
        """The sprite as it was drawn."""
        return self.levels[0]


def sprite(pixels: Array, *, opaque: bool = False) -> Sprite:
    """Returns ``pixels`` with coarser copies; sharp outlines keep one level."""
    levels = [pixels]
    while opaque and len(levels) < 4 and min(levels[-1].shape[:2]) >= 8:
        last = levels[-1]
        size = (last.shape[1] // 2, last.shape[0] // 2)
        small = np.empty((size[1], size[0], 6), np.uint8)
        small[..., :3] = cv2.resize(
            np.ascontiguousarray(last[..., :3]), size, interpolation=cv2.INTER_AREA
        )
        small[..., 3:] = last[1::2, 1::2, 3:][: size[1], : size[0]]
        levels.append(small)
    return Sprite(tuple(levels))


def pick(rng: Generator, colours: tuple[Colour, ...], spread: float = 14) -> Array:
    """Returns one of ``colours``, slightly changed."""
    base = np.array(colours[rng.integers(len(colours))], np.float32)
    return np.clip(base + rng.normal(0, spread, 3) + rng.normal(0, spread), 6, 250)


def blank(h_m: float, w_m: float, ppm: float) -> Array:
    """Returns an empty sprite of a size in metres."""
    h, w = max(2, round(h_m * ppm)), max(2, round(w_m * ppm))
    pixels = np.zeros((h, w, 6), np.uint8)
    pixels[..., 5] = 1
    return pixels


class Pen:
    """Draws shapes in metres, from the lower left corner, into a sprite."""

    def __init__(self, pixels: Array, ppm: float) -> None:
        self.pixels = pixels
        self.ppm = ppm
        self._planes = [np.ascontiguousarray(pixels[..., :3])] + [
            np.ascontiguousarray(pixels[..., i]) for i in (3, 4)
        ]

    def _paint(
        self, draw: Callable[..., object], colour: Array, label: int, emit: int
    ) -> None:
        rgb, labels, emission = self._planes
        draw(rgb, tuple(float(c) for c in colour))
        draw(labels, label)
        draw(emission, emit)

    def _xy(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.ppm), round(self.pixels.shape[0] - 1 - y * self.ppm)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Array,
        label: int,
        emit: int = 0,
    ) -> None:
        """Fills a rectangle."""
        a, b = self._xy(x0, y0), self._xy(x1, y1)
        self._paint(lambda im, c: cv2.rectangle(im, a, b, c, -1), colour, label, emit)

    def poly(
        self,
        points: list[tuple[float, float]],
        colour: Array,
        label: int,
        emit: int = 0,
    ) -> None:
        """Fills a polygon."""
        at = np.array([self._xy(*p) for p in points], np.int32)
        self._paint(lambda im, c: cv2.fillPoly(im, [at], c), colour, label, emit)

    def disc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Array,
        label: int,
        emit: int = 0,
    ) -> None:
        """Fills an ellipse."""
        at = self._xy(x, y)
        axes = (max(1, round(rx * self.ppm)), max(1, round(ry * self.ppm)))
        self._paint(
            lambda im, c: cv2.ellipse(im, at, axes, 0, 0, 360, c, -1),
            colour,
            label,
            emit,
        )

    def line(
        self, points: list[tuple[float, float]], width: float, colour: Array, label: int
    ) -> None:
        """Draws a line of a width in metres."""
        at = np.array([self._xy(*p) for p in points], np.int32)
        thick = max(1, round(width * self.ppm))
        self._paint(
            lambda im, c: cv2.polylines(im, [at], False, c, thick), colour, label, 0
        )

    def ring(
        self, x: float, y: float, r: float, width: float, colour: Array, label: int
    ) -> None:
        """Draws a circle."""
        at, radius = self._xy(x, y), max(1, round(r * self.ppm))
        thick = max(1, round(width * self.ppm))
        self._paint(
            lambda im, c: cv2.circle(im, at, radius, c, thick), colour, label, 0
        )

    def done(self) -> Array:
        """Returns the sprite with all that was drawn."""
        self.pixels[..., :3] = self._planes[0]
        self.pixels[..., 3] = self._planes[1]
        self.pixels[..., 4] = self._planes[2]
        return self.pixels


def roughen(
    rng: Generator, pixels: Array, amount: float, kind: str = 'fractal'
) -> None:
    """Lays noise over the colours of a sprite, in place."""
    h, w = pixels.shape[:2]
    gain = 1 + amount * patch(rng, h, w, kind)[..., None]
    pixels[..., :3] = np.clip(pixels[..., :3] * gain, 0, 255).astype(np.uint8)


def masonry(brush: Brush, h_m: float, w_m: float, colour: Array, label: int) -> Array:
    """Returns bricks, plaster or slabs; house fronts and garden walls share it."""
    rng, ppm = brush
    pixels = blank(h_m, w_m, ppm)
    pixels[..., :3] = colour.astype(np.uint8)
    pixels[..., 3] = label
    style = rng.integers(4)
    if style == 0:  # bricks
        step = max(3, round(0.22 * ppm))
        pixels[::step, :, :3] = np.clip(colour * 0.8 + 14, 0, 255).astype(np.uint8)
    elif style == 1:  # slabs
        step = max(3, round(rng.uniform(0.9, 2.0) * ppm))
        joint = np.clip(colour * 0.78, 0, 255).astype(np.uint8)
        pixels[::step, :, :3] = joint
        pixels[:, ::step, :3] = joint
    roughen(rng, pixels, float(rng.uniform(0.04, 0.12)))
    stain = np.linspace(1.0, float(rng.uniform(0.78, 1.0)), pixels.shape[0])
    pixels[..., :3] = (pixels[..., :3] * stain[:, None, None]).astype(np.uint8)
    return pixels


def facade(
    brush: Brush, h_m: float, w_m: float, colour: Array, *, blind: bool = False
) -> Array:
    """Returns the front of a house: storeys of windows, shops, a roof."""
    rng, ppm = brush
    pixels = masonry(brush, h_m, w_m, colour, BUILDING)
    pen = Pen(pixels, ppm)
    roof = float(rng.uniform(0, 0.22)) * h_m if rng.random() < 0.6 else 0.25
    tiles = pick(rng, ((92, 54, 44), (70, 70, 74), (120, 74, 56), (54, 52, 52)))
    pen.box(0, h_m - roof, w_m, h_m, tiles, BUILDING)
    storey = float(rng.uniform(2.7, 3.6))
    ground = float(rng.uniform(3.2, 4.4))
    wide = float(rng.uniform(0.9, 2.2))
    pitch = wide + float(rng.uniform(0.7, 2.0))
    tall = float(rng.uniform(1.2, 2.0))
    frame = np.clip(colour + rng.choice([-60, 50, 80]), 0, 255)
    glass = pick(rng, ((46, 54, 66), (70, 84, 98), (36, 38, 44), (104, 120, 136)))
    columns = 0 if blind else int((w_m - 0.6) // pitch)
    margin = (w_m - columns * pitch + pitch - wide) / 2
    ledge = rng.random() < 0.4
    y = ground
    while y + tall + 0.5 < h_m - roof:
        if ledge:
            pen.box(0, y - 0.35, w_m, y - 0.2, frame, BUILDING)
        for column in range(columns):
            x = margin + column * pitch
            pen.box(x - 0.1, y, x + wide + 0.1, y + tall + 0.1, frame, BUILDING)
            lit = 210 if rng.random() < 0.22 else 0
            pane = np.clip(glass + rng.normal(0, 16), 0, 255)
            if rng.random() < 0.2:
                pane = np.array((186, 178, 162))
            pen.box(x, y + 0.1, x + wide, y + tall, pane, BUILDING, lit)
        y += storey
    if not blind and rng.random() < 0.55:
        _shops(rng, pen, w_m, ground)
    elif not blind:
        x = float(rng.uniform(0.3, max(0.4, w_m - 1.6)))
        pen.box(x, 0, x + 1.2, 2.3, pick(rng, PAINT), BUILDING)
        for column in range(columns):
            at = margin + column * pitch
            if abs(at - x) > 1.6:
                pen.box(at, 1.0, at + wide, 1.0 + tall, glass, BUILDING)
    return pen.done()


def _shops(rng: Generator, pen: Pen, w_m: float, ground: float) -> None:
    """Draws shop windows, awnings and shop signs on a ground floor."""
    x = 0.3
    while x < w_m - 1.5:
        wide = float(rng.uniform(2.0, 4.5))
        end = min(x + wide, w_m - 0.3)
        glass = pick(rng, ((58, 62, 70), (96, 96, 92), (130, 118, 96)))
        lit = 170 if rng.random() < 0.4 else 0
        pen.box(x, 0.4, end, ground - 0.9, glass, BUILDING, lit)
        if rng.random() < 0.7:
            awning = pick(
                rng,
                (
                    (160, 40, 40),
                    (40, 90, 60),
                    (40, 60, 130),
                    (210, 190, 60),
                    (220, 220, 215),
                ),
            )
            pen.box(
                x - 0.1,
                ground - 1.2,
                end + 0.1,
                ground - 0.5,
                awning,
                BUILDING,
                90 if lit else 0,
            )
        x = end + float(rng.uniform(0.4, 1.4))


def fence(brush: Brush, h_m: float, w_m: float) -> Array:
    """Returns bars, wire or planks; labelled as fence also between them."""
    rng, ppm = brush
    pixels = blank(h_m, w_m, ppm)
    pixels[..., 3] = FENCE
    pixels[..., 5] = 0
    colour = pick(
        rng,
        ((52, 54, 56), (118, 96, 70), (150, 150, 148), (60, 80, 60), (200, 198, 190)),
    )
    solid = np.append(colour.astype(np.uint8), [FENCE, 0, 1]).astype(np.uint8)
    style = rng.integers(3)
    gap = {0: 0.28, 1: 0.5, 2: 0.22}[int(style)]
    bar = {0: 0.08, 1: 0.05, 2: 0.17}[int(style)]
    step, thick = max(2, round(gap * ppm)), max(1, round(bar * ppm))
    for offset in range(thick):
        pixels[:, offset::step] = solid
    rails = (0.12, 0.55, 0.92) if style != 1 else np.arange(0.02, 1.0, 0.14)
    for rail in rails:
        row = int(rail * (pixels.shape[0] - 1))
        pixels[row : row + 2] = solid
    roughen(rng, pixels, 0.1)
    return pixels


def foliage(
    brush: Brush, h_m: float, w_m: float, colour: Array, *, shape: str
) -> Array:
    """Returns leaves: a crown, or a hedge whose top is ragged.

    Args:
        brush: Chance, and pixels a metre.
        h_m: Height in metres.
        w_m: Width in metres.
        colour: Mean colour.
        shape: ``'crown'``, ``'cone'`` or ``'hedge'``.
    """
    rng, ppm = brush
    pixels = blank(h_m, w_m, ppm)
    h, w = pixels.shape[:2]
    coarse, fine = patch(rng, h, w), patch(rng, h, w, 'grain')
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    up, across = 1 - y / h, x / w * 2 - 1
    if shape == 'hedge':
        inside = 0.86 - up + 0.09 * coarse
    elif shape == 'cone':
        inside = 0.95 - up - np.abs(across) * 0.95 + 0.10 * coarse
    else:
        inside = 0.86 - across**2 - (2 * up - 1) ** 2 + 0.22 * coarse
    light = 0.62 + 0.5 * up + 0.16 * coarse + 0.16 * fine
    pixels[..., :3] = np.clip(light[..., None] * colour, 0, 255).astype(np.uint8)
    pixels[..., 3] = np.where(inside > 0, VEGETATION, 0)
    return pixels


def bank(brush: Brush, h_m: float, w_m: float, colour: Array) -> Array:
    """Returns a slope of grass or earth, which is terrain and not vegetation."""
    pixels = foliage(brush, h_m, w_m, colour, shape='hedge')
    pixels[..., 3] = np.where(pixels[..., 3] > 0, TERRAIN, 0)
    return pixels


def trunk(brush: Brush, h_m: float, w_m: float) -> Array:
    """Returns the trunk of a tree, as upright and grey as a pole."""
    rng, ppm = brush
    pixels = blank(h_m, w_m, ppm)
    pixels[..., :3] = pick(rng, ((86, 70, 54), (104, 96, 84), (70, 62, 56)))
    pixels[..., 3] = VEGETATION
    roughen(rng, pixels, 0.15)
    return pixels


def post(brush: Brush, h_m: float, *, lamp: bool) -> Array:
    """Returns a pole, with an arm and a lamp if wanted."""
    rng, ppm = brush
    w_m = 2.4 if lamp else 0.3
    pen = Pen(blank(h_m, w_m, ppm), ppm)
    colour = pick(rng, ((92, 94, 96), (60, 66, 64), (140, 140, 138), (78, 66, 54)))
    thick = float(rng.uniform(0.10, 0.22))
    pen.box(w_m / 2 - thick / 2, 0, w_m / 2 + thick / 2, h_m - 0.1, colour, POLE)
    if lamp:
        side = float(rng.choice([-1, 1]))
        end = w_m / 2 + side * 1.1
        pen.line([(w_m / 2, h_m - 0.4), (end, h_m - 0.1)], 0.09, colour, POLE)
        pen.disc(end, h_m - 0.15, 0.28, 0.11, np.array((226, 214, 186)), POLE, 255)
    return pen.done()


def signal(brush: Brush, h_m: float) -> Array:
    """Returns a pole with a traffic light on top; one lamp is on."""
    rng, ppm = brush
    pen = Pen(blank(h_m, 0.8, ppm), ppm)
    dark = pick(rng, ((30, 32, 30), (44, 50, 46), (70, 66, 40)), 6)
    pen.box(0.33, 0, 0.47, h_m - 1.2, pick(rng, ((92, 94, 96), (60, 66, 64))), POLE)
    pen.box(0.14, h_m - 1.35, 0.66, h_m, dark, LIGHT)
    on = int(rng.choice([0, 0, 1, 2, 2]))
    lamps = ((226, 44, 36), (236, 180, 40), (60, 214, 120))
    for place, lamp in enumerate(lamps):
        colour = np.array(lamp) if place == on else dark * 0.6 + 8
        pen.disc(
            0.4,
            h_m - 0.26 - 0.41 * place,
            0.16,
            0.17,
            colour,
            LIGHT,
            255 if place == on else 0,
        )
    return pen.done()


def road_sign(brush: Brush, h_m: float) -> Array:
    """Returns a pole with one or two traffic signs."""
    rng, ppm = brush
    pen = Pen(blank(h_m, 1.2, ppm), ppm)
    pen.box(0.56, 0, 0.64, h_m - 0.4, pick(rng, ((120, 122, 122), (90, 92, 92))), POLE)
    y = h_m - 0.42
    for _ in range(int(rng.integers(1, 3))):
        _plate(rng, pen, y)
        y -= 0.8
        if y < 1.4:
            break
    return pen.done()


def _plate(rng: Generator, pen: Pen, y: float) -> None:
    """Draws one sign around height ``y``."""
    red, white, blue = (188, 30, 34), (232, 232, 228), (34, 74, 160)
    yellow = (228, 190, 48)
    style = int(rng.integers(6))
    if style == 0:
        pen.disc(0.6, y, 0.38, 0.38, np.array(red), SIGN)
        pen.disc(0.6, y, 0.27, 0.27, np.array(white), SIGN)
        pen.box(0.5, y - 0.12, 0.68, y + 0.12, np.array((40, 40, 40)), SIGN)
    elif style == 1:
        pen.poly(
            [(0.18, y - 0.32), (1.02, y - 0.32), (0.6, y + 0.4)], np.array(red), SIGN
        )
        pen.poly(
            [(0.36, y - 0.22), (0.84, y - 0.22), (0.6, y + 0.2)], np.array(white), SIGN
        )
    elif style == 2:
        pen.box(0.24, y - 0.36, 0.96, y + 0.36, np.array(blue), SIGN)
        pen.box(0.5, y - 0.2, 0.7, y + 0.2, np.array(white), SIGN)
    elif style == 3:
        pen.disc(0.6, y, 0.37, 0.37, np.array(blue), SIGN)
        pen.line([(0.45, y - 0.18), (0.75, y + 0.18)], 0.1, np.array(white), SIGN)
    elif style == 4:
        pen.poly(
            [(0.2, y), (0.6, y + 0.4), (1.0, y), (0.6, y - 0.4)], np.array(white), SIGN
        )
        pen.poly(
            [(0.3, y), (0.6, y + 0.3), (0.9, y), (0.6, y - 0.3)], np.array(yellow), SIGN
        )
    else:
        pen.box(
            0.06,
            y - 0.26,
            1.14,
            y + 0.26,
            pick(rng, (white, yellow, blue, (40, 110, 70))),
            SIGN,
        )
        pen.box(0.2, y - 0.06, 1.0, y + 0.06, np.array((40, 40, 48)), SIGN)


def pedestrian(look: int, ppm: float, *, step: int = 0) -> Array:
    """Returns a person of 1.75 m.

    Args:
        look: Number of the person: clothes, hair, skin.
        ppm: Pixels a metre.
        step: Phase of walking, 0 to 3.
    """
    rng = np.random.Generator(np.random.PCG64(look))
    pen = Pen(blank(1.8, 0.9, ppm), ppm)
    coat, legs = pick(rng, CLOTHES), pick(rng, CLOTHES)
    skin = pick(rng, SKIN, 6)
    hair = pick(rng, ((40, 30, 26), (90, 66, 40), (150, 130, 90), (60, 60, 62)), 8)
    stride = (0.0, 0.16, 0.0, -0.16)[step % 4]
    hip, shoulder = 0.86, 1.42
    pen.line(
        [(0.45, hip), (0.42 + stride, 0.44), (0.42 + stride, 0.04)], 0.15, legs, PERSON
    )
    pen.line(
        [(0.45, hip), (0.48 - stride, 0.44), (0.48 - stride * 1.2, 0.04)],
        0.15,
        legs * 0.85,
        PERSON,
    )
    low = 0.5 if rng.random() < 0.35 else hip - 0.05
    pen.poly(
        [(0.28, low), (0.62, low), (0.66, shoulder), (0.24, shoulder)], coat, PERSON
    )
    for x, hand in ((0.26, 0.22 - stride), (0.64, 0.68 + stride)):
        pen.line([(x, shoulder - 0.05), (hand, 0.85)], 0.11, coat * 0.87, PERSON)
    pen.disc(0.45, 1.6, 0.11, 0.14, skin, PERSON)
    pen.disc(0.45, 1.67, 0.12, 0.09, hair, PERSON)
    if rng.random() < 0.3:
        pen.box(0.6, 0.75, 0.8, 1.1, pick(rng, CLOTHES), PERSON)
    return pen.done()


def two_wheeler(brush: Brush, *, side: bool, motor: bool, ridden: bool) -> Array:
    """Returns a bicycle or motorcycle with or without its rider.

    Args:
        brush: Chance, and pixels a metre.
        side: Seen from the side (2.0 m wide) or along its way (0.9 m).
        motor: A motorcycle.
        ridden: Somebody sits on it; labelled as rider.
    """
    rng, ppm = brush
    label = MOTORCYCLE if motor else BICYCLE
    pen = Pen(blank(1.85, 2.1 if side else 0.9, ppm), ppm)
    frame, tyre = pick(rng, PAINT), np.array((30, 30, 32))
    coat, legs, skin = pick(rng, CLOTHES), pick(rng, CLOTHES), pick(rng, SKIN, 6)
    helmet = pick(rng, PAINT)
    if side:
        r, w = (0.31, 0.15) if motor else (0.33, 0.08)
        for x in (0.45, 1.6):
            pen.ring(x, r + 0.03, r - w / 2, w, tyre, label)
        if motor:
            pen.poly(
                [
                    (0.35, 0.62),
                    (0.6, 0.8),
                    (1.1, 0.78),
                    (1.4, 0.95),
                    (1.6, 0.7),
                    (1.2, 0.3),
                    (0.7, 0.28),
                ],
                frame,
                label,
            )
            pen.line([(1.6, 0.35), (1.35, 1.1)], 0.1, tyre, label)
            pen.disc(0.95, 0.42, 0.25, 0.18, np.array((96, 96, 98)), label)
        else:
            pen.line(
                [(0.45, 0.36), (0.8, 0.85), (1.4, 0.82), (0.95, 0.36), (0.45, 0.36)],
                0.09,
                frame,
                label,
            )
            pen.line([(1.6, 0.36), (1.38, 1.02), (1.25, 1.04)], 0.07, frame, label)
            pen.line([(0.95, 0.36), (0.78, 0.95)], 0.07, frame, label)
        if ridden:
            pen.line([(0.8, 0.9), (1.15, 0.72), (1.0, 0.3)], 0.17, legs, RIDER)
            pen.line([(0.8, 0.95), (1.02, 1.42)], 0.3, coat, RIDER)
            pen.line([(1.02, 1.38), (1.32, 1.06)], 0.11, coat * 0.85, RIDER)
            pen.disc(1.12, 1.64, 0.13, 0.15, helmet if motor else skin, RIDER)
    else:
        w = 0.2 if motor else 0.1
        pen.box(0.45 - w / 2, 0.02, 0.45 + w / 2, 0.7, tyre, label)
        body = 0.36 if motor else 0.14
        pen.box(0.45 - body / 2, 0.5, 0.45 + body / 2, 0.85, frame, label)
        pen.line([(0.12, 1.0), (0.78, 1.0)], 0.09, tyre, label)
        pen.disc(0.45, 0.7, 0.06, 0.05, np.array((210, 30, 26)), label, 220)
        if ridden:
            pen.line([(0.45, 0.9), (0.27, 0.66), (0.3, 0.36)], 0.14, legs, RIDER)
            pen.line([(0.45, 0.9), (0.63, 0.66), (0.6, 0.46)], 0.14, legs, RIDER)
            pen.poly(
                [(0.28, 0.92), (0.62, 0.92), (0.68, 1.42), (0.22, 1.42)], coat, RIDER
            )
            pen.line([(0.26, 1.36), (0.18, 1.02)], 0.11, coat * 0.85, RIDER)
            pen.line([(0.64, 1.36), (0.72, 1.02)], 0.11, coat * 0.85, RIDER)
            pen.disc(0.45, 1.62, 0.13, 0.16, helmet if motor else skin, RIDER)
            if not motor:
                pen.disc(0.45, 1.7, 0.14, 0.09, helmet, RIDER)
    return pen.done()


class Body(NamedTuple):
    """The faces of a vehicle, and where they stand along it, in metres."""

    length: float
    width: float
    height: float
    side: Array
    across: tuple[tuple[float, Array], ...]
    """Pairs of position along the vehicle, 0 at its centre, and a face."""


def car(brush: Brush) -> Body:
    """Returns a hatchback, saloon, estate or van in a random colour."""
    rng, ppm = brush
    paint, style = pick(rng, PAINT, 8), int(rng.integers(4))
    length = (3.8, 4.6, 4.7, 4.9)[style] * float(rng.uniform(0.94, 1.05))
    height = (1.48, 1.42, 1.52, 1.95)[style] * float(rng.uniform(0.97, 1.04))
    width, belt, dark = 1.78, 0.92, paint * 0.72
    if style == 3:
        belt = 1.1
    glass = np.array((40, 46, 54)) + float(rng.uniform(0, 50))
    rear_top, front_top = ((0.3, 0.58), (0.9, 0.6), (0.25, 0.6), (0.1, 0.78))[style]
    pen = Pen(blank(height, length, ppm), ppm)
    bonnet = length * (0.74 if style != 3 else 0.9)
    pen.poly(
        [
            (0.05, 0.25),
            (length - 0.05, 0.25),
            (length - 0.02, 0.62),
            (bonnet, belt),
            (0.02, belt),
            (0, 0.6),
        ],
        paint,
        CAR,
    )
    pen.poly(
        [
            (0.03 if style != 1 else 0.55, belt),
            (bonnet, belt),
            (front_top * length, height),
            (rear_top, height),
        ],
        paint,
        CAR,
    )
    pen.poly(
        [
            (0.2 if style != 1 else 0.75, belt + 0.04),
            (bonnet - 0.2, belt + 0.04),
            (front_top * length - 0.05, height - 0.1),
            (rear_top + 0.12, height - 0.1),
        ],
        glass,
        CAR,
    )
    middle = length * 0.47
    pen.line([(middle, belt), (middle, height)], 0.08, dark, CAR)
    pen.line([(middle, 0.3), (middle, belt)], 0.04, dark, CAR)
    pen.box(0.05, 0.22, length - 0.05, 0.32, dark * 0.5, CAR)
    for x in (0.19 * length, 0.81 * length):
        pen.disc(x, 0.31, 0.33, 0.33, np.array((24, 24, 26)), CAR)
        pen.disc(x, 0.31, 0.18, 0.18, np.array((150, 152, 154)), CAR)
    pen.box(0, 0.6, 0.12, 0.8, np.array((170, 26, 24)), CAR, 150)
    side = pen.done()
    rear = _car_end(paint, belt, width, lamp=(188, 24, 22), emit=170, ppm=ppm)
    front = _car_end(paint, belt, width, lamp=(236, 234, 220), emit=255, ppm=ppm)
    glass_end = _car_glass(paint, glass, belt, height, width, ppm)
    back = -length / 2
    return Body(
        length,
        width,
        height,
        side,
        (
            (back, rear),
            (back + (0.65 if style == 1 else 0.15), glass_end),
            (length / 2, front),
            (bonnet - length / 2 - 0.25, glass_end),
        ),
    )


def _car_end(
    paint: Array, belt: float, width: float, lamp: Colour, emit: int, ppm: float
) -> Array:
    """Returns the lower part of a car's front or rear."""
    pen = Pen(blank(belt, width, ppm), ppm)
    black = np.array((22, 22, 24))
    for x in (0.06, width - 0.28):
        pen.box(x, 0, x + 0.22, 0.35, black, CAR)
    pen.box(0.02, 0.24, width - 0.02, belt, paint, CAR)
    pen.box(0.02, 0.24, width - 0.02, 0.36, paint * 0.5, CAR)
    plate = width / 2
    pen.box(plate - 0.26, 0.48, plate + 0.26, 0.6, np.array((226, 226, 220)), CAR)
    for x in (0.06, width - 0.38):
        pen.box(x, 0.62, x + 0.32, 0.8, np.array(lamp), CAR, emit)
    return pen.done()


def _car_glass(
    paint: Array, glass: Array, belt: float, height: float, width: float, ppm: float
) -> Array:
    """Returns the upper part of a car as seen from in front or behind."""
    pen = Pen(blank(height, width, ppm), ppm)
    pen.box(0.02, 0.3, width - 0.02, belt, paint * 1.0, CAR)
    pen.poly(
        [(0.04, belt), (width - 0.04, belt), (width - 0.24, height), (0.24, height)],
        paint,
        CAR,
    )
    pen.poly(
        [
            (0.14, belt + 0.03),
            (width - 0.14, belt + 0.03),
            (width - 0.3, height - 0.1),
            (0.3, height - 0.1),
        ],
        glass,
        CAR,
    )
    return pen.done()


def lorry(brush: Brush) -> Body:
    """Returns a truck: a cab and a box, a tarpaulin or a tank."""
    rng, ppm = brush
    paint, load = (
        pick(rng, PAINT, 8),
        pick(rng, (*PAINT, (214, 212, 204), (150, 146, 136)), 10),
    )
    length = float(rng.uniform(6.0, 10.5))
    height, width = float(rng.uniform(2.7, 3.7)), 2.4
    cab = height * float(rng.uniform(0.74, 0.95))
    glass = np.array((44, 50, 58))
    pen = Pen(blank(height, length, ppm), ppm)
    pen.box(0.0, 0.75, length - 2.0, height, load, TRUCK)
    if rng.random() < 0.5:
        for x in np.arange(0.6, length - 2.2, 0.7):
            pen.line([(x, 0.8), (x, height)], 0.05, load * 0.82, TRUCK)
    elif rng.random() < 0.6:
        pen.box(0.6, 1.5, length - 2.8, height - 0.6, pick(rng, PAINT), TRUCK)
    pen.box(0.0, 0.5, length - 0.1, 0.8, np.array((44, 44, 46)), TRUCK)
    pen.poly(
        [
            (length - 1.9, 0.45),
            (length, 0.45),
            (length - 0.05, 1.5),
            (length - 0.4, cab),
            (length - 1.9, cab),
        ],
        paint,
        TRUCK,
    )
    pen.poly(
        [
            (length - 1.3, 1.45),
            (length - 0.2, 1.45),
            (length - 0.5, cab - 0.2),
            (length - 1.3, cab - 0.2),
        ],
        glass,
        TRUCK,
    )
    for x in (1.0, 1.0 if length < 8 else 2.2, length - 1.1):
        pen.disc(x, 0.46, 0.48, 0.46, np.array((24, 24, 26)), TRUCK)
        pen.disc(x, 0.46, 0.22, 0.22, np.array((120, 118, 112)), TRUCK)
    side = pen.done()
    rear = Pen(blank(height, width, ppm), ppm)
    rear.box(0, 0.75, width, height, load * 0.95, TRUCK)
    rear.line([(width / 2, 0.8), (width / 2, height)], 0.06, load * 0.75, TRUCK)
    rear.box(0.1, 0.05, 0.55, 0.8, np.array((24, 24, 26)), TRUCK)
    rear.box(width - 0.55, 0.05, width - 0.1, 0.8, np.array((24, 24, 26)), TRUCK)
    rear.box(0.0, 0.5, width, 0.75, np.array((60, 60, 62)), TRUCK)
    for x in (0.05, width - 0.4):
        rear.box(x, 0.55, x + 0.35, 0.72, np.array((186, 26, 24)), TRUCK, 170)
    front = Pen(blank(cab, width, ppm), ppm)
    front.box(0, 0.45, width, cab, paint, TRUCK)
    front.box(0.15, 1.45, width - 0.15, cab - 0.25, glass, TRUCK)
    front.box(0.4, 0.7, width - 0.4, 1.1, paint * 0.5, TRUCK)
    front.box(0.1, 0.03, 0.5, 0.5, np.array((24, 24, 26)), TRUCK)
    front.box(width - 0.5, 0.03, width - 0.1, 0.5, np.array((24, 24, 26)), TRUCK)
    for x in (0.1, width - 0.45):
        front.box(x, 0.62, x + 0.35, 0.84, np.array((236, 234, 220)), TRUCK, 255)
    return Body(
        length,
        width,
        height,
        side,
        ((-length / 2, rear.done()), (length / 2, front.done())),
    )


def coach(brush: Brush, *, rails: bool) -> Body:
    """Returns a bus, or a tram (class train) when on ``rails``."""
    rng, ppm = brush
    label = TRAIN if rails else BUS
    paint, stripe = pick(rng, PAINT, 10), pick(rng, PAINT, 10)
    length = float(rng.uniform(18, 30) if rails else rng.uniform(9, 13))
    height, width = float(rng.uniform(3.0, 3.5)), 2.5
    glass = np.array((40, 46, 54)) + float(rng.uniform(0, 40))
    low = 0.12 if rails else 0.35
    pen = Pen(blank(height, length, ppm), ppm)
    pen.box(0.0, low, length, height - 0.1, paint, label)
    pen.box(0.0, low + 0.35, length, low + 0.75, stripe, label)
    pane = float(rng.uniform(1.2, 1.9))
    for x in np.arange(0.3, length - pane, pane + 0.16):
        pen.box(x, 1.35, x + pane, height - 0.55, glass, label, 120)
    doors = np.arange(2.0, length - 1.5, 6.0 if rails else 4.4)
    for x in doors:
        pen.box(x, low, x + 1.2, height - 0.5, glass * 0.9, label, 120)
        pen.line([(x + 0.6, low), (x + 0.6, height - 0.5)], 0.06, paint, label)
    dark = np.array((26, 26, 28))
    if rails:
        for x in np.arange(1.5, length - 1.5, 5.5):
            pen.box(x, 0.0, x + 1.8, 0.35, dark, label)
        pen.line(
            [(length * 0.4, height - 0.1), (length * 0.5, height)], 0.08, dark, label
        )
    else:
        for x in (2.0, length - 2.4):
            pen.disc(x, 0.46, 0.47, 0.46, dark, label)
    side = pen.done()
    faces = []
    for lamp, emit in (((188, 24, 22), 170), ((236, 234, 220), 255)):
        end = Pen(blank(height, width, ppm), ppm)
        end.box(0.0, low, width, height - 0.05, paint, label)
        end.box(0.15, 1.2, width - 0.15, height - 0.6, glass, label, 90)
        end.box(
            0.5,
            height - 0.5,
            width - 0.5,
            height - 0.2,
            np.array((226, 170, 60)) if emit == 255 else stripe,
            label,
            emit,
        )
        end.box(0.0, low + 0.35, width, low + 0.7, stripe, label)
        for x in (0.1, width - 0.45):
            end.box(x, 0.6, x + 0.35, 0.85, np.array(lamp), label, emit)
        if not rails:
            end.box(0.1, 0.02, 0.5, low, dark, label)
            end.box(width - 0.5, 0.02, width - 0.1, low, dark, label)
        faces.append(end.done())
    return Body(
        length, width, height, side, ((-length / 2, faces[0]), (length / 2, faces[1]))
    )


def bin_or_box(brush: Brush) -> Array:
    """Returns street furniture that no class covers (label id 4, ignored)."""
    rng, ppm = brush
    pen = Pen(blank(1.1, 0.7, ppm), ppm)
    pen.box(0.05, 0, 0.65, 1.05, pick(rng, PAINT), STATIC)
    pen.box(0.05, 0.8, 0.65, 0.9, np.array((40, 40, 40)), STATIC)
    return pen.done()
