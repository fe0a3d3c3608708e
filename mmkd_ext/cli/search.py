r"""Ranks students for a teacher without training any, by DisWOT's score.

    mmkd search CONFIG [--work-dir DIR]

CONFIG is that of a distillation: student, teacher and training data. Its key `search`
says what of the student may change, and what it may cost::

    search = dict(
        space={
            'backbone.depth': [8, 14, 20],
            # keys that change together, and a value for each
            'backbone.widths, head.in_channels': [[(8, 8, 16, 32), 32],
                                                  [(16, 16, 32, 64), 64]]},
        strategy='evolution', candidates=50, max_params=2e5, max_flops=5e7)

DIR gets search.json, ranking.md and ranking.png. A second call scores only what is
missing, after a stop, with more candidates or another budget. Exit status: 0 ranked, 2
wrong input.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import random
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

from mmkd_ext import compat

compat.apply()

from mmengine.config import Config, ConfigDict  # noqa: E402  (after the patches)
from mmengine.registry import init_default_scope  # noqa: E402

from mmkd_ext.algorithms.sources import hand_preprocessor, model_config  # noqa: E402
from mmkd_ext.cli.options import add_cfg_options, add_debug  # noqa: E402
from mmkd_ext.engine.launch import (  # noqa: E402
    build_loader,
    handle_errors,
    load_config,
    set_default_scope,
    set_work_dir,
)
from mmkd_ext.errors import (  # noqa: E402
    ConfigError,
    DataError,
    MMKDError,
    check_choice,
    check_integer,
    check_keys,
    check_range,
)
from mmkd_ext.evaluation import diswot, figures, tables  # noqa: E402
from mmkd_ext.files import atomic_write, write_json  # noqa: E402
from mmkd_ext.random_state import preserve_random_state, seed_all  # noqa: E402

__all__ = ['Scorer', 'Space', 'evolve', 'main', 'search_config']

Choice = tuple[int, ...]
SCORING: dict[str, Any] = dict(
    seeds=3, batch_size=64, semantic='classes', classifier=None, feature='backbone'
)
"""Keys of `search` that a score depends on."""
DEFAULTS: dict[str, Any] = dict(
    space=None,
    strategy='evolution',
    candidates=50,
    max_params=math.inf,
    max_flops=math.inf,
    population=10,
    tournament=3,
    seed=0,
    **SCORING,
)
TRIES = 100
SHOWN = 10


def search_config(cfg: Config) -> ConfigDict:
    """Returns the checked `search` of a config, with all keys."""
    model = cfg.get('model') or {}
    if 'architecture' not in model or 'teacher' not in model:
        what = 'needs `architecture` and `teacher`, as a distillation has them.'
        raise ConfigError.at('model', what)
    check_keys('search', cfg.get('search'), DEFAULTS)
    found = ConfigDict({**DEFAULTS, **cfg.search})
    check_choice('search.strategy', found.strategy, ['evolution', 'random'])
    check_choice('search.semantic', found.semantic, ['classes', 'channels'])
    for key in ('candidates', 'population', 'tournament', 'seeds', 'batch_size'):
        check_integer(f'search.{key}', found[key], ge=1)
    check_integer('search.seed', found.seed)
    for key in ('max_params', 'max_flops'):
        if key in cfg.search:
            check_range(f'search.{key}', found[key], gt=0)
    ckpt = cfg.model.get('teacher_ckpt')
    if ckpt and '://' not in ckpt and not os.path.isfile(ckpt):
        hint = 'Correct the path, or set it to None to score with an untrained teacher.'
        raise ConfigError.at('model.teacher_ckpt', f'there is no file {ckpt!r}.', hint)
    return found


class Space:
    """What of a model dict may change; a choice numbers a value of each entry.

    Args:
        config: Dotted keys of the model dict to lists of values. Keys joined by commas
            change together: each value of theirs is a list with one for each.

    Raises:
        ConfigError: It is no such dict.

    Examples:
        >>> space = Space({'depth': [8, 14], 'width, head.width': [[4, 8], [6, 12]]})
        >>> space.size, space.settings((1, 0))
        (4, {'depth': 14, 'width': 4, 'head.width': 8})
    """

    def __init__(self, config: Any) -> None:
        what = 'must be a dict of dotted keys of the student to lists of values'
        if not isinstance(config, Mapping) or not config:
            raise ConfigError.at('search.space', f'{what}, but is {config!r}.')
        self.entries: list[tuple[list[str], list[Any]]] = []
        for key, values in config.items():
            names = [name.strip() for name in key.split(',')]
            if not isinstance(values, (list, tuple)) or not values:
                raise ConfigError.at(f'search.space.{key}', f'{what}, not {values!r}.')
            for value in values if len(names) > 1 else ():
                if not isinstance(value, (list, tuple)) or len(value) != len(names):
                    what = f'has {value!r}, which is not one value for each of {names}.'
                    raise ConfigError.at(f'search.space.{key}', what)
            self.entries.append((names, list(values)))
        self.size = math.prod(len(values) for _, values in self.entries)

    def settings(self, choice: Choice) -> dict[str, Any]:
        """Returns dotted keys and their values."""
        found: dict[str, Any] = {}
        for (names, values), i in zip(self.entries, choice):
            found.update(zip(names, values[i] if len(names) > 1 else [values[i]]))
        return found

    def model(self, base: Any, choice: Choice) -> ConfigDict:
        """Returns a model dict with the values of a choice."""
        model: Any = copy.deepcopy(base)
        for key, value in self.settings(choice).items():
            *parents, last = key.split('.')
            node = model
            try:
                for part in parents:
                    node = node[int(part) if isinstance(node, list) else part]
                node[int(last) if isinstance(node, list) else last] = value
            except (KeyError, IndexError, TypeError, ValueError) as error:
                what = f'the student has no {key!r} ({type(error).__name__}: {error}).'
                raise ConfigError.at('search.space', what) from error
        return model

    def draw(self, rng: random.Random) -> Choice:
        """Returns any choice."""
        return tuple(rng.randrange(len(values)) for _, values in self.entries)

    def mutate(self, choice: Choice, rng: random.Random) -> Choice:
        """Returns a choice that differs in at most one entry."""
        at = rng.randrange(len(choice))
        return (*choice[:at], self.draw(rng)[at], *choice[at + 1 :])


def evolve(
    space: Space,
    evaluate: Callable[[Choice], Optional[float]],
    rng: random.Random,
    *,
    candidates: int,
    population: int,
    tournament: int,
) -> None:
    """Evaluates candidates by aging evolution; at random until the population is full.

    `Regularized Evolution for Image Classifier Architecture Search, AAAI 2019
    <https://arxiv.org/abs/1802.01548>`_: of some drawn from the population the best has
    a child, which differs in one entry, and the oldest leaves. No candidate is
    evaluated twice; where no child is new, one is drawn from the whole space.

    Args:
        space: What to choose from.
        evaluate: Returns the score of a choice; None where it does not count.
        rng: All draws are its.
        candidates: So many are to have a score, if looking at `TRIES` each is enough.
        population: How many live at a time.
        tournament: How many of them a parent is the best of.
    """
    seen: set[Choice] = set()
    living: deque[tuple[float, Choice]] = deque(maxlen=population)
    scored = 0
    while scored < candidates and len(seen) < min(space.size, TRIES * candidates):
        choice = space.draw(rng)
        if len(living) == population:
            drawn = rng.sample(list(living), min(tournament, population))
            children = (space.mutate(max(drawn)[1], rng) for _ in range(TRIES))
            choice = next((child for child in children if child not in seen), choice)
        if choice in seen:
            continue
        seen.add(choice)
        score = evaluate(choice)
        if score is not None:
            living.append((score, choice))
            scored += 1


class Scorer:
    """Scores choices, and keeps what it found in a file, of the same settings alone.

    Args:
        cfg: The config of the distillation.
        search: What `search_config` returned.
        path: The file.
    """

    def __init__(self, cfg: Config, search: ConfigDict, path: Path) -> None:
        self.cfg, self.search, self.path = cfg, search, path
        self.space = Space(search.space)
        self.student = self._with_preprocessor('architecture')
        self.rows: dict[str, dict[str, Any]] = {}
        self._teachers: dict[int, diswot.Signature] = {}
        found = {key: search[key] for key in ('space', *SCORING)}
        for key in ('architecture', 'teacher', 'teacher_ckpt'):
            found[f'model.{key}'] = cfg.model.get(key)
        found['train_dataloader'] = cfg.get('train_dataloader')
        self.settings = {key: repr(value) for key, value in found.items()}
        if path.is_file():
            known = _read(path)
            before = known['settings']
            differ = [k for k, v in self.settings.items() if before.get(k) != v]
            if differ:
                raise ConfigError(
                    f'{str(path)!r} has scores of another {" and ".join(differ)}. '
                    'Choose another `--work-dir`, or remove the file.'
                )
            self.rows = known['rows']

    def __call__(self, choice: Choice) -> float | None:
        """Returns the score of a choice; None if it cannot be built or costs more."""
        key = ','.join(map(str, choice))
        if key not in self.rows:
            self.rows[key] = self._costs(choice)
        row = self.rows[key]
        if 'score' not in row and self._affordable(row):
            row.update(self._score(choice))
            write_json(self.path, {'settings': self.settings, 'rows': self.rows})
        return row.get('score') if self._affordable(row) else None

    def ranked(self) -> list[dict[str, Any]]:
        """Returns what has a score and is within the budgets, the best first."""
        rows = [r for r in self.rows.values() if 'score' in r and self._affordable(r)]
        return sorted(rows, key=lambda row: -row['score'])

    @cached_property
    def data(self) -> Any:
        """A batch of the training data, the same in every call."""
        changed = dict(num_workers=0, persistent_workers=False, drop_last=False)
        changed['batch_size'] = self.search.batch_size
        with preserve_random_state():
            seed_all(0)
            return next(iter(build_loader(self.cfg, **changed)))

    def teacher(self, seed: int) -> diswot.Signature:
        """Returns what the teacher shows; without weights that of a seed."""
        ckpt = self.cfg.model.get('teacher_ckpt')
        seed = 0 if ckpt else seed
        if seed not in self._teachers:
            config = self._with_preprocessor('teacher')
            self._teachers[seed] = self._sign(config, seed, ckpt)
        return self._teachers[seed]

    def _affordable(self, row: Mapping[str, Any]) -> bool:
        """Whether a candidate can be built and stays within the budgets."""
        most = self.search.max_params, self.search.max_flops
        return 'params' in row and row['params'] <= most[0] and row['flops'] <= most[1]

    def _with_preprocessor(self, key: str) -> ConfigDict:
        """Returns a model dict that has a preprocessor, a teacher its own if any."""
        model, path = self.cfg.model, f'model.{key}'
        config = model_config(model[key], path)
        common = model.get('data_preprocessor') or self.cfg.get('data_preprocessor')
        if key == 'architecture' or 'data_preprocessor' not in config:
            config, _ = hand_preprocessor(config, common, path)
        return config

    def _costs(self, choice: Choice) -> dict[str, Any]:
        settings = {k: repr(v) for k, v in self.space.settings(choice).items()}
        data = self.data
        try:
            model = diswot.first_weights(self.space.model(self.student, choice), 0)
            params, flops = diswot.cost(model, data)
        except (MMKDError, RuntimeError) as error:
            # a width that fits nothing shows when the model is built or run
            return dict(settings=settings, refused=f'{type(error).__name__}: {error}')
        return dict(settings=settings, params=params, flops=flops)

    def _score(self, choice: Choice) -> dict[str, float]:
        config, terms = self.space.model(self.student, choice), []
        of_classes = self.search.semantic == 'classes'
        semantic = diswot.row_score if of_classes else diswot.channel_score
        for seed in range(self.search.seeds):
            pair = self._sign(config, seed), self.teacher(seed)
            gradients, features = zip(*pair)
            terms.append(
                (float(semantic(*gradients)), float(diswot.row_score(*features)))
            )
        means = dict(zip(('semantic', 'relation'), map(statistics.mean, zip(*terms))))
        sums = [sum(pair) for pair in terms]
        return dict(means, score=statistics.mean(sums), spread=statistics.pstdev(sums))

    def _sign(
        self, config: ConfigDict, seed: int, ckpt: str | None = None
    ) -> diswot.Signature:
        model = diswot.first_weights(config, seed, ckpt)
        with preserve_random_state():
            seed_all(seed)
            return diswot.signature(
                model,
                self.data,
                trained=ckpt is not None,
                classifier=self.search.classifier,
                feature=self.search.feature,
            )


def _read(path: Path) -> dict[str, Any]:
    """Reads what a search has written."""
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        return {key: dict(known[key]) for key in ('settings', 'rows')}
    except (KeyError, TypeError, ValueError) as error:
        what = f'{str(path)!r} is not what a search writes ({error!r}). Remove it.'
        raise DataError(what) from error


def ranking(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Returns the table of candidates."""
    terms = ['semantic', 'relation', 'score', 'spread']
    cells = [
        [
            ', '.join(f'{k.split(".")[-1]} {v}' for k, v in row['settings'].items()),
            *(f'{row[key] / 1e6:.3f} M' for key in ('params', 'flops')),
            *(f'{row[key]:.4f}' for key in terms),
        ]
        for row in rows
    ]
    return tables.text_table(['student', 'params', 'FLOPs', *terms], cells, bold=0)


def picture(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns a PNG of the scores over parameters and FLOPs; the best is filled."""
    figure, charts = figures.axes(3.4, columns=2, sharey=True)
    y, error = [row['score'] for row in rows], [row['spread'] for row in rows]
    for axis, key, label in zip(charts, ('params', 'flops'), ('parameters', 'FLOPs')):
        x = [row[key] / 1e6 for row in rows]
        axis.errorbar(x, y, error, fmt='o', mfc='white', elinewidth=0.7)
        axis.plot(x[0], y[0], 'o', color=figures.COLOURS[1])
        axis.set_xlabel(f'{label}, millions', fontsize=9)
    charts[0].set_ylabel('score', fontsize=9)
    return figures.png(figure)


@handle_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Searches."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a distillation with `search`')
    parser.add_argument('--work-dir', help='where scores and the ranking go')
    add_cfg_options(parser)
    add_debug(parser)
    args = parser.parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    set_work_dir(cfg, args)
    set_default_scope(cfg)
    search = search_config(cfg)
    init_default_scope(cfg.default_scope)
    folder = Path(cfg.work_dir)
    scorer = Scorer(cfg, search, folder / 'search.json')
    # of a population that never fills no one has children
    at_random = search.strategy == 'random'
    evolve(
        scorer.space,
        scorer,
        random.Random(search.seed),
        candidates=search.candidates,
        population=search.candidates + 1 if at_random else search.population,
        tournament=search.tournament,
    )
    rows = scorer.ranked()
    if not rows:
        reasons = [r['refused'] for r in scorer.rows.values() if 'refused' in r]
        raise ConfigError(
            f'None of {len(scorer.rows)} candidates has a score: '
            f'{len(scorer.rows) - len(reasons)} cost more than `search.max_params` or '
            f'`search.max_flops`, {len(reasons)} cannot be built {reasons[:1]}.'
        )
    atomic_write(folder / 'ranking.md', tables.markdown(ranking(rows)) + '\n')
    atomic_write(folder / 'ranking.png', picture(rows))
    print(f'{len(rows)} of {scorer.space.size} candidates, the best first\n')
    print(tables.markdown(ranking(rows[:SHOWN])), end='\n\n')
    best = (f'"model.architecture.{k}={v}"' for k, v in rows[0]['settings'].items())
    print(f'Train the best: mmkd train {args.config} --cfg-options {" ".join(best)}')
