"""Settings of a stream: its domains, their order, and when the model is reset."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.registry import DATASETS

from mmkd_ext.errors import (
    ConfigError,
    DataError,
    MMKDError,
    Problem,
    check_integer,
    check_keys,
    did_you_mean,
    is_integer,
    unknown_keys,
)

__all__ = [
    'DomainConfig',
    'Reset',
    'StreamConfig',
    'build_dataset',
    'parse_domains',
    'parse_interval',
    'parse_streams',
]

_KEYS = ('name', 'dataloader', 'dataset', 'evaluator')
_STREAM_KEYS = ('seed', 'order', 'name')
_PLACEHOLDER = '{domain}'


@dataclass(frozen=True)
class DomainConfig:
    """One domain of a stream.

    Args:
        name: Its name.
        dataloader: Config of its dataloader.
        evaluator: Config of its metrics, or None.
    """

    name: str
    dataloader: dict[str, Any]
    evaluator: Any = None


@dataclass(frozen=True)
class StreamConfig:
    """One pass over all rounds.

    Args:
        name: Name of its folder, where there are several.
        seed: Of everything random in it.
        order: The domains of a round.
    """

    name: str
    seed: int
    order: tuple[str, ...]


@dataclass(frozen=True)
class Reset:
    """When the model goes back to the source.

    Args:
        when: ``'never'``, ``'domain'``, ``'round'``, ``'guarded'`` (when the guard
            says so, and only then) or ``'every'``.
        every: Steps between two resets, for ``'every'``.
    """

    when: str = 'never'
    every: int = 0

    @classmethod
    def of(cls, config: Any) -> Reset:
        """Reads the setting ``reset``."""
        if isinstance(config, Mapping):
            every = config.get('every')
            fits = is_integer(every) and int(every or 0) >= 1
            if set(config) != {'every'} or not fits:
                raise ConfigError.at(
                    'test_cfg.reset',
                    'a dict must be dict(every=<steps>), but is '
                    f'{dict(config)!r}.'
                )
            return cls('every', int(every or 0))
        choices = ('never', 'domain', 'round', 'guarded')
        if config not in choices:
            raise ConfigError(
                f'`test_cfg.reset` must be one of {choices} or dict(every=n), but is '
                f'{config!r}.{did_you_mean(str(config), choices)}'
            )
        return cls(config)

    def is_due(self, step: int, index: int, domain: int) -> bool:
        """Whether to reset before the image at a place.

        Args:
            step: Steps before it in the stream; at 0 nothing was learned yet.
            index: Its place in the domain.
            domain: The domain's place in the round.
        """
        if step == 0:
            return False
        if self.when == 'every':
            return step % self.every == 0
        if self.when == 'round':
            return index == 0 and domain == 0
        return self.when == 'domain' and index == 0

    def __str__(self) -> str:
        return f'every {self.every}' if self.when == 'every' else self.when


def parse_domains(
    domains: Any, template: Mapping[str, Any] | None, evaluator: Any
) -> list[DomainConfig]:
    """Returns the domains of ``test_cfg.domains``.

    Args:
        domains: A list of names and of dicts with `name`, and with `dataloader`, or
            `dataset`, which goes into the template, and `evaluator`.
        template: The dataloader of what brings none; ``{domain}`` in its strings
            stands for the domain's name.
        evaluator: The metrics of what brings none.

    Raises:
        ConfigError: Lists everything that is wrong.
    """
    if not isinstance(domains, Sequence) or isinstance(domains, str) or not domains:
        raise ConfigError(
            '`test_cfg.domains` must be a list of dict(name=..., dataloader=...), but '
            f'is {domains!r}.'
        )
    found: list[DomainConfig] = []
    problems: list[Problem] = []
    for i, one in enumerate(domains):
        path = f'test_cfg.domains[{i}]'
        config = {'name': one} if isinstance(one, str) else one
        problems += _problems(config, path, [d.name for d in found], template)
        if not problems:
            loader = _dataloader(config, template)
            metrics = config.get('evaluator', evaluator)
            found.append(
                DomainConfig(config['name'], loader, _filled(metrics, config['name']))
            )
    if problems:
        raise ConfigError.of(problems)
    return found


def build_dataset(config: DomainConfig) -> Any:
    """Builds the dataset of a domain, and looks whether there are images.

    Raises:
        DataError: A folder is missing, or there is no image.
        ConfigError: The config cannot be built.
    """
    where = f'Domain `{config.name}`'
    dataset = config.dataloader['dataset']
    if isinstance(dataset, dict):
        try:
            dataset = DATASETS.build(dataset)
            if hasattr(dataset, 'full_init'):
                dataset.full_init()
        except MMKDError as error:
            raise type(error)(f'{where}: {error}') from error
        except OSError as error:
            raise DataError(
                f'{where}: its data cannot be read: {error}. Correct the paths of '
                'its dataset.'
            ) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f'{where}: its dataset cannot be built: {error}'
            ) from error
    if len(dataset) == 0:
        root = getattr(dataset, 'data_prefix', None) or getattr(dataset, 'img_path', '')
        raise DataError(f'{where} is empty: no image is found in {root!r}.')
    if hasattr(dataset, 'test_mode'):
        # else an image that does not load is silently replaced by another one
        dataset.test_mode = True
    return dataset


def _problems(
    config: Any, path: str, names: list[str], template: Mapping[str, Any] | None
) -> list[Problem]:
    if not isinstance(config, Mapping) or not isinstance(config.get('name'), str):
        return [Problem(path, f'must be a dict with `name`, but is {config!r}.')]
    problems = unknown_keys(path, config, _KEYS)
    if config['name'] in names:
        problems.append(
            Problem(
                f'{path}.name',
                f'{config["name"]!r} is there twice.',
                'To come back to a domain use `rounds`, or another name.',
            )
        )
    loader = config.get('dataloader', template)
    if not isinstance(loader, Mapping):
        problems.append(
            Problem(
                f'{path}.dataloader',
                'there is none.',
                'Give one, or a `test_dataloader` as the template.',
            )
        )
    elif 'dataset' not in config and 'dataset' not in loader:
        problems.append(Problem(f'{path}.dataloader', 'has no `dataset`.'))
    return problems


def _dataloader(
    config: Mapping[str, Any], template: Mapping[str, Any] | None
) -> dict[str, Any]:
    loader: dict[str, Any] = _filled(config.get('dataloader', template), config['name'])
    own = config.get('dataset')
    if isinstance(own, Mapping) and 'type' not in own:
        loader['dataset'] = {**loader.get('dataset', {}), **copy.deepcopy(dict(own))}
    elif own is not None:
        loader['dataset'] = copy.deepcopy(own)
    return loader


def _filled(config: Any, name: str) -> Any:
    """Returns a copy with the name of a domain in the place of ``{domain}``."""
    if isinstance(config, str):
        return config.replace(_PLACEHOLDER, name)
    if isinstance(config, Mapping):
        return {key: _filled(value, name) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_filled(value, name) for value in config)
    return copy.deepcopy(config)


def parse_streams(
    streams: Any, names: Sequence[str], seed: int, order: Any
) -> list[StreamConfig]:
    """Returns the streams that one command runs.

    Args:
        streams: None for one stream with `seed` and `order`; a list of seeds; or a
            list of dicts of `seed`, `order` and `name`.
        names: The domains, as the config lists them.
        seed: Of streams that name none.
        order: Likewise; see `StreamConfig`.
    """
    if streams is None:
        return [StreamConfig('stream', seed, _order(order, names, 'test_cfg.order'))]
    if isinstance(streams, (str, Mapping)) or not streams:
        raise ConfigError(
            '`test_cfg.streams` must be a list of seeds or of dict(seed=..., '
            f'order=...), but is {streams!r}.'
        )
    found = []
    for i, one in enumerate(streams):
        path = f'test_cfg.streams[{i}]'
        config = {'seed': one} if isinstance(one, int) else one
        check_keys(path, config, _STREAM_KEYS)
        own = config.get('order', order)
        name = str(config.get('name') or _stream_name(config, seed))
        found.append(
            StreamConfig(
                name, config.get('seed', seed), _order(own, names, f'{path}.order')
            )
        )
    twice = {s.name for s in found if [t.name for t in found].count(s.name) > 1}
    if twice:
        raise ConfigError.at(
            'test_cfg.streams',
            f'{sorted(twice)} would share a folder. Give them '
            'a `name`.'
        )
    return found


def parse_interval(
    path: str,
    config: Any,
    others: Sequence[str] = (),
    *,
    default: int = 1,
    rounds: bool = False,
) -> int:
    """Returns ``interval`` of a setting such as ``dict(interval=100)``.

    Args:
        path: Path of the setting.
        config: The setting; None for the default.
        others: Its other keys.
        default: The interval of a setting without one.
        rounds: Whether ``'round'`` stands for 1.
    """
    if config is None:
        return default
    check_keys(path, config, [*others, 'interval'])
    interval = config.get('interval', default)
    if rounds and interval == 'round':
        return 1
    check_integer(f'{path}.interval', interval, ge=1)
    return int(interval)


def _stream_name(config: Mapping[str, Any], seed: int) -> str:
    order = config.get('order')
    suffix = '' if order is None else f'_{order}' if isinstance(order, str) else '_own'
    return f'seed{config.get("seed", seed)}{suffix}'


def _order(order: Any, names: Sequence[str], path: str) -> tuple[str, ...]:
    """Returns the domains of a round: as listed, reversed, or as named."""
    if order is None:
        return tuple(names)
    if order == 'reversed':
        return tuple(reversed(names))
    if isinstance(order, str):
        raise ConfigError(
            f"`{path}` must be None, 'reversed' or a list of {list(names)}, but is "
            f'{order!r}.{did_you_mean(order, ["reversed"])}'
        )
    for name in order:
        if name not in names:
            raise ConfigError.at(
                path,
                f'there is no domain {name!r}; there are {list(names)}.'
                f'{did_you_mean(str(name), names)}'
            )
    return tuple(order)
