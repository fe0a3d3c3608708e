"""Makes result files as the loop writes them: realistic, and the same for a seed."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
from PIL import Image

from mmkd_ext.evaluation.adaptation.results import read_results

ORDER = ('fog', 'night', 'rain', 'snow')
CLASSES = ('road', 'sidewalk', 'building', 'vegetation', 'sky', 'car', 'train')
HARDNESS = {'fog': 69.0, 'night': 40.0, 'rain': 60.0, 'snow': 57.0}
# gain in the first round and per round after it, forwards, backwards, images/s
METHODS = {
    'Source': (0.0, 0.0, 1.0, 0.0, 8.0),
    'Tent': (0.5, -1.2, 1.0, 1.0, 3.5),
    'CoTTA': (1.0, 0.1, 31.0, 1.0, 0.3),
    'DoSe': (1.5, 0.3, 6.0, 1.5, 1.4),
}


def picture(rng, colour, size=(40, 24)):
    """Returns a small street-like picture as a data URI."""
    width, height = size
    rows = np.linspace(0.5, 1.0, height)[:, None, None]
    canvas = rows * np.array(colour)[None, None] + np.zeros((height, width, 3))
    canvas[height // 2 :] *= 0.5
    canvas += rng.normal(0, 6, canvas.shape)
    sink = io.BytesIO()
    Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).save(sink, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(sink.getvalue()).decode()


def make_results(
    method='DoSe', *, seed=0, rounds=10, order=ORDER, lr=1e-4, images=400, stop=None,
    reset='never', bare=False, **settings,
):
    """Returns a result file's content.

    The run ends after ``stop`` cells; a ``bare`` one lacks what only pictures need.
    """
    rng = np.random.default_rng([seed, *map(ord, method)])
    first, trend, forwards, backwards, speed = METHODS[method]
    noise = 0.0 if method == 'Source' else 0.3
    adapts = backwards > 0
    cells, timeline, events, source_eval = [], [], [], [{'round': 0, 'mIoU': 75.5}]
    places = [(r, d) for r in range(1, rounds + 1) for d in order]
    for number, (round_, domain) in enumerate(places[:stop]):
        miou = HARDNESS[domain] + first + trend * (round_ - 1) + rng.normal(0, noise)
        miou = round(float(np.clip(miou, 3, 90)), 2)
        skipped = 4 if adapts and domain == 'night' else 0
        rolled = 1 if method == 'Tent' and round_ >= 7 and domain == 'night' else 0
        ious = {c: round(miou + 12 - 4 * k, 2) for k, c in enumerate(CLASSES)}
        if domain in ('fog', 'night'):
            ious['train'] = None
        predicted = 5.4 + 0.1 * first + 0.3 * trend * (round_ - 1)
        cells.append({
            'round': round_, 'domain': domain, 'images': images, 'mIoU': miou,
            'IoU': ious, 'mAcc': miou + 8, 'aAcc': min(miou + 25, 99),
            'predicted_classes': round(predicted, 2), 'source_predicted_classes': 5.4,
            'updates': images - skipped if adapts else 0, 'skipped': skipped,
            'rolled_back': rolled, 'resets': 0, 'forwards': forwards,
            'backwards': backwards, 'images_per_second': speed,
            'peak_memory_mb': 1200 + 300 * forwards**0.5,
            'loss': {'loss_ce': round(0.4 - 0.01 * round_, 3)} if adapts else {},
        })
        for tick in range(0, images, max(images // 8, 1)):
            step = number * images + tick
            timeline.append({
                'step': step, 'round': round_, 'domain': domain,
                'mIoU': None if tick == 0 else miou + 4 * math.sin(tick / 60 + number),
                'disagreement': min(0.02 * round_ * abs(trend) + 0.05, 1.0),
                'lost': 0.03 * round_ * abs(trend),
                'classes': predicted + 0.3 * math.sin(tick / 40),
            })
        base = {'round': round_, 'domain': domain}
        if skipped:
            events.append({
                'step': number * images + 120, **base, 'index': 120, 'action': 'skip',
                'reason': 'too few valid pixels', 'signals': {'valid': 0.02}})
        if rolled:
            events.append({
                'step': number * images + 300, **base, 'index': 300,
                'action': 'roll_back', 'reason': 'predicted classes fell',
                'signals': {'classes': 2.1, 'source_classes': 5.4}})
        if domain == order[-1]:
            source_eval.append(
                {'round': round_, 'mIoU': round(75.5 - 0.12 * round_ * adapts, 2)})
    colours = {'fog': (200, 205, 210), 'night': (30, 35, 70), 'rain': (110, 120, 130),
               'snow': (235, 240, 245)}
    points = {'fog': (0, 0), 'night': (9, 1), 'rain': (3, 3), 'snow': (2, -3)}
    spot = np.array([points[name] for name in order], float)
    distances = np.linalg.norm(spot[:, None] - spot[None], axis=-1)
    replays = method == 'DoSe' and not bare
    timeline = [] if bare else timeline
    return {
        'schema': 1,
        'settings': {
            'config': f'configs/adapt/mmseg/{method.lower()}/x.py',
            'method': f'{method}Distiller', 'restore': 0.1, 'reset': reset,
            'order': list(order), 'rounds': rounds, 'protocol': 'predict_then_adapt',
            'optimizer': {'type': 'Adam', 'lr': lr if adapts else None},
            'trainable': 'norm', 'views': [{}, {'flip': True}], 'seed': seed,
            'source': '3f9a1c', 'versions': {'torch': '2.13.0'}, **settings,
        },
        'classes': list(CLASSES), 'cells': cells, 'source_eval': source_eval,
        'events': events, 'timeline': timeline,
        'prototypes': {'names': list(order), 'distances': distances.tolist()}
        if replays else None,
        'buffer': [
            {'domain': d, 'score': round(0.5 / (k + 1), 3), 'step': 301 + 40 * k,
             'thumbnail': picture(rng, colours[d])}
            for d in order for k in range(3)
        ] if replays else None,
        'pictures': [
            {'round': r, 'domain': d, 'index': 0,
             **{key: picture(rng, colours[d]) for key in
                ('image', 'before', 'after', 'truth')}}
            for r in (1, rounds) for d in order
        ] if method != 'Source' and not bare else [],
    }


def write_results(folder, content):
    """Writes ``results.json`` into a folder and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'results.json'
    path.write_text(json.dumps(content))
    return path


def reader(folder, **defaults):
    """Makes runs and reads them; ``mious`` replaces what was made, cell by cell."""
    count = iter(range(1000))

    def make(method='DoSe', *, mious=None, **settings):
        content = make_results(method, images=10, **{**defaults, **settings})
        for one, value in zip(content['cells'], mious or ()):
            one['mIoU'] = value
        return read_results(write_results(folder / str(next(count)), content))

    return make
