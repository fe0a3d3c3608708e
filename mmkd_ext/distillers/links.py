"""Links: which loss compares which tensors, read from a config.

A link is one dict: the loss, and for each argument of the loss a *tap*, which names the
model and the module whose output is taken.

.. code-block:: python

    links = dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
            preds_S=dict(of='student', at='decode_head.conv_seg'),
            preds_T=dict(of='teacher', at='decode_head.conv_seg')))

MMRazor spreads the same over five dicts joined by strings; `links_from_mmrazor` and
`links_to_mmrazor` translate both ways.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

from mmkd_ext.errors import ConfigError, Problem, did_you_mean, is_integer
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    'Link',
    'Source',
    'Tap',
    'links_from_mmrazor',
    'links_to_mmrazor',
    'parse_links',
    'place_of',
]

STUDENT, TEACHER, BATCH = 'student', 'teacher', 'batch'
BATCH_SOURCES = ('data_samples', 'inputs')

#: Keys of MMRazor's distiller that `links` replaces.
MMRAZOR_KEYS = (
    'student_recorders',
    'teacher_recorders',
    'distill_losses',
    'loss_forward_mappings',
)
RECORDERS = (
    'Module',
    'ModuleOutputs',
    'ModuleInputs',
    'MethodOutputs',
    'MethodInputs',
    'FunctionOutputs',
    'FunctionInputs',
    'Parameter',
)

TAP_KEYS = ('of', 'at', 'call', 'item', 'connector', 'connector_item', 'given')
_LINK_KEYS = ('loss', 'schedule')
Call = Union[int, str, 'tuple[int, ...]']
Item = Union[int, str, 'tuple[Any, ...]', None]


@dataclass(frozen=True)
class Source:
    """Where a value is recorded.

    Args:
        kind: MMRazor's recorder type: ``'ModuleOutputs'``, ``'ModuleInputs'``,
            ``'MethodOutputs'``, ...; or ``'Module'``, the module itself.
        name: Dotted name of the module, method or function.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return (
            self.name if self.kind == 'ModuleOutputs' else f'{self.kind}({self.name})'
        )


@dataclass(frozen=True)
class Tap:
    """Where one argument of a loss comes from.

    Args:
        of: ``'student'``, a teacher's name, or ``'batch'``.
        source: Where it is recorded; for the batch, ``data_samples`` or ``inputs``.
        call: Which call of the module, counted from 0; a tuple of calls, or
            ``'all'``, makes a pyramid.
        item: Part of what was recorded: an index, a dotted path (``'0.2'``,
            ``'cls.1'``), or a tuple of these, which makes a pyramid.
        connector: Name of the connector it passes through.
        connector_item: Index into what the connector returns.
        given: What else the connector is called with: taps by argument name.
    """

    of: str
    source: Source
    call: Call = 0
    item: Item = None
    connector: str | None = None
    connector_item: int | None = None
    given: tuple[tuple[str, Tap], ...] = ()

    def __str__(self) -> str:
        return f'`{self.source}` of `{self.of}`'

    def walk(self, key: str) -> Iterator[tuple[str, Tap]]:
        """Yields this tap and those inside it, each with its path below the link."""
        yield key, self
        for name, tap in self.given:
            yield from tap.walk(f'{key}.given.{name}')


@dataclass(frozen=True)
class Link:
    """One loss and where its arguments come from.

    Args:
        name: Name of the loss term; contains ``loss``.
        loss: Config of the loss.
        taps: Tap of each argument of the loss.
        schedule: Config of the weight schedule.
        path: Where it stands in the config, for messages.
        places: Where its parts stand, by their path below the link, if that is
            elsewhere, as in MMRazor's dicts.
    """

    name: str
    loss: dict[str, Any]
    taps: dict[str, Tap]
    schedule: dict[str, Any] | None = None
    path: str = field(default='', compare=False)
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    def where(self, part: str = '') -> str:
        """Returns the config path at which a part of the link was written."""
        return place_of(part, self.path, self.places)

    def all_taps(self) -> Iterator[tuple[str, Tap]]:
        """Yields every tap with its path below the link, those for connectors too."""
        for key, tap in self.taps.items():
            yield from tap.walk(key)

    @cached_property
    def owners(self) -> frozenset[str]:
        """Names of the models that its taps are of; ``'batch'`` among them."""
        return frozenset(tap.of for _, tap in self.all_taps())


def place_of(part: str, path: str, places: Mapping[str, str]) -> str:
    """Returns the config path of a part of a link.

    Args:
        part: Path below the link, ``''`` for the link itself.
        path: Config path of the link.
        places: Config paths of parts that stand elsewhere.

    Examples:
        >>> place_of('loss.tau', 'links.a', {'loss': 'losses.a'})
        'losses.a.tau'
        >>> place_of('preds_S.at', 'links.a', {'loss': 'losses.a'})
        'links.a.preds_S.at'
    """
    keys = part.split('.')
    for count in range(len(keys), 0, -1):
        if '.'.join(keys[:count]) in places:
            return '.'.join([places['.'.join(keys[:count])], *keys[count:]])
    return f'{path}.{part}' if part else path


def parse_links(
    links: Mapping[str, Any],
    connectors: Mapping[str, Any] | None = None,
    *,
    path: str = 'model.distiller.links',
    places: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[list[Link], dict[str, Any], list[Problem]]:
    """Reads links from a config and collects every problem on the way.

    Args:
        links: The links by name.
        connectors: Connectors by name that taps may share.
        path: Config path of ``links``, for messages.
        places: For each link where its parts stand, if that is elsewhere.

    Returns:
        The links, of a wrong one what could be read; all connector configs by name,
        those written inside taps being named ``<link>_<argument>``; the problems.
    """
    parsed: list[Link] = []
    built = dict(connectors or {})
    problems: list[Problem] = []
    if not isinstance(links, Mapping) or not links:
        hint = 'Give at least one link: a name with `loss` in it and a dict.'
        return parsed, built, [Problem(path, f'no links, but {links!r}.', hint)]
    for name, config in links.items():
        own = (places or {}).get(name, {})
        link = _LinkReader(name, path, built, problems, own).read(config)
        if link is not None:
            parsed.append(link)
    return parsed, built, problems


class _LinkReader:
    """Reads one link; `report` collects what is wrong with it."""

    def __init__(
        self,
        name: str,
        path: str,
        connectors: dict[str, Any],
        problems: list[Problem],
        places: Mapping[str, str],
    ) -> None:
        self.name = name
        self.path = f'{path}.{name}'
        self.connectors = connectors
        self.problems = problems
        self.places = places

    def report(self, key: str, found: str, hint: str = '') -> None:
        path = place_of(key, self.path, self.places)
        self.problems.append(Problem(path, found, hint, self.name))

    def read(self, config: Any) -> Link | None:
        if 'loss' not in self.name:
            found = (
                'the name has no `loss` in it, so mmengine would log the term but '
                'never train on it.'
            )
            hint = f'Call it `loss_{self.name}`.'
            # the link itself may be right
            self.problems.append(Problem(self.path, found, hint))
        if not isinstance(config, Mapping):
            self.report('', f'a link must be a dict, but is {config!r}.')
            return None
        loss = config.get('loss')
        if not isinstance(loss, Mapping) or 'type' not in loss:
            hint = "Write loss=dict(type='mmkd_ext.CWDLoss', ...)."
            self.report('loss', f'must be a dict with `type`, but is {loss!r}.', hint)
            loss = {}
        taps: dict[str, Tap | None] = {}
        for key, value in config.items():
            if isinstance(value, Mapping) and ('of' in value or 'at' in value):
                taps[key] = self.read_tap(key, value)
            elif key not in _LINK_KEYS:
                self.report(
                    key,
                    f'unknown key, or a tap without `of` and `at`: {value!r}.',
                    'A link holds `loss`, `schedule` and a tap for each argument of '
                    f'the loss.{did_you_mean(key, _LINK_KEYS)}',
                )
        read = {key: tap for key, tap in taps.items() if tap is not None}
        schedule = config.get('schedule')
        return Link(self.name, dict(loss), read, schedule, self.path, self.places)

    def read_tap(self, key: str, config: Mapping[str, Any]) -> Tap | None:
        for unknown in [k for k in config if k not in TAP_KEYS]:
            hint = f'A tap has {list(TAP_KEYS)}.{did_you_mean(unknown, TAP_KEYS)}'
            self.report(f'{key}.{unknown}', 'unknown key of a tap.', hint)
        of, call, item = (config.get(k) for k in ('of', 'call', 'item'))
        call, item = _to_tuple(0 if call is None else call), _to_tuple(item)
        if not isinstance(of, str):
            found = f"must be 'student', 'batch' or a teacher's name, but is {of!r}."
            self.report(f'{key}.of', found)
        source = self.read_source(f'{key}.at', of, config.get('at'))
        connector = self.read_connector(key, config.get('connector'))
        given = self.read_given(key, config)
        calls = call if isinstance(call, tuple) and call else (call,)
        if call != 'all' and not all(map(_is_index, calls)):
            found = "must be a call's index >= 0, a list of these or 'all', but is"
            self.report(f'{key}.call', f'{found} {call!r}.')
            call = 0
        if not _is_item(item):
            found = "must be an index, a dotted path such as '0.2', or a list of these"
            self.report(f'{key}.item', f'{found}, but is {item!r}.')
        if source is not None and source.kind == 'Module':
            for chosen in {'call', 'item'}.intersection(config):
                self.report(
                    f'{key}.{chosen}',
                    f'`{source.name}` is tapped itself, which has no {chosen}s.',
                    f"Leave it out, or write at='{source.name}' for its output.",
                )
        if source is None or not isinstance(of, str):
            return None
        part = config.get('connector_item')
        return Tap(of, source, call, item, connector, part, given)

    def read_given(
        self, key: str, config: Mapping[str, Any]
    ) -> tuple[tuple[str, Tap], ...]:
        """Reads what a connector gets besides the tap's own value."""
        given, connector = config.get('given', {}), config.get('connector')
        is_chain = isinstance(connector, (list, tuple))
        if not isinstance(given, Mapping) or not all(
            isinstance(tap, Mapping) for tap in given.values()
        ):
            self.report(
                f'{key}.given',
                f'must be a dict of taps, but is {given!r}.',
                'Write given=dict(rois=dict(of=..., at=...)).',
            )
        elif given and (connector is None or is_chain):
            what = 'a chain' if is_chain else 'none'
            self.report(
                f'{key}.given',
                f'goes to one connector, but there is {what}.',
                'Give the tap one `connector` that takes these arguments.',
            )
        else:
            taps = {
                name: self.read_tap(f'{key}.given.{name}', tap)
                for name, tap in given.items()
            }
            return tuple((name, tap) for name, tap in taps.items() if tap is not None)
        return ()

    def read_source(self, key: str, of: Any, at: Any) -> Source | None:
        if of == BATCH:
            if isinstance(at, str) and at in BATCH_SOURCES:
                return Source('Batch', at)
            what = 'modules, but is asked for ' if isinstance(at, Mapping) else ''
            near = did_you_mean(str(at), BATCH_SOURCES)
            hint = f'Choose from {list(BATCH_SOURCES)}.{near}'
            self.report(key, f'the batch has no {what}{at!r}.', hint)
            return None
        if isinstance(at, str) and at:
            return Source('ModuleOutputs', _dotted(at))
        if not isinstance(at, Mapping):
            found = "must be a module's dotted name or a recorder dict, but is"
            self.report(key, f'{found} {at!r}.')
            return None
        kind, name = at.get('type'), at.get('source')
        if {*at} != {'type', 'source'} or not isinstance(name, str):
            kind = None
        if not isinstance(kind, (str, type)):
            found = f'a recorder has `type` and `source`, but is {dict(at)!r}.'
            self.report(key, found)
            return None
        kind = type_name(kind).removesuffix('Recorder')
        if kind.rsplit('.', 1)[-1] in RECORDERS:
            kind = kind.rsplit('.', 1)[-1]
        elif '.' not in kind:
            hint = f'It is one of {list(RECORDERS)}.{did_you_mean(kind, RECORDERS)}'
            self.report(f'{key}.type', f'there is no recorder {at["type"]!r}.', hint)
            return None
        return Source(kind, _dotted(str(name)))

    def read_connector(self, key: str, config: Any) -> str | None:
        if config is None:
            return None
        if isinstance(config, str):
            if config not in self.connectors:
                self.report(
                    f'{key}.connector',
                    f'no connector is named {config!r}.',
                    "Write the connector's dict here, or name it in the distiller's "
                    f'`connectors`.{did_you_mean(config, self.connectors)}',
                )
            return config
        for part in config if isinstance(config, (list, tuple)) else [config]:
            if not isinstance(part, Mapping) or 'type' not in part:
                found = 'must be a dict with `type`, or a list of these, but is'
                self.report(f'{key}.connector', f'{found} {part!r}.')
                return None
        name = f'{self.name}_{key}'.replace('.given.', '_')
        self.connectors[name] = copy.deepcopy(config)
        return name


def links_from_mmrazor(
    student_recorders: Mapping[str, Any] | None = None,
    teacher_recorders: Mapping[str, Any] | None = None,
    connectors: Mapping[str, Any] | None = None,
    distill_losses: Mapping[str, Any] | None = None,
    loss_forward_mappings: Mapping[str, Any] | None = None,
    *,
    path: str = 'model.distiller',
) -> tuple[list[Link], dict[str, Any], list[Problem]]:
    """Reads links from the keys of MMRazor's ``ConfigurableDistiller``.

    Returns:
        As `parse_links`.
    """
    problems: list[Problem] = []

    def read(key: str, value: Any) -> Mapping[str, Any]:
        if value is None or isinstance(value, Mapping):
            return value or {}
        problems.append(Problem(f'{path}.{key}', f'must be a dict, but is {value!r}.'))
        return {}

    recorders = {
        STUDENT: read('student_recorders', student_recorders),
        TEACHER: read('teacher_recorders', teacher_recorders),
    }
    mappings = read('loss_forward_mappings', loss_forward_mappings)
    losses = read('distill_losses', distill_losses)
    problems += [
        Problem(
            f'{path}.distill_losses.{name}',
            'no mapping gives it its arguments, so it would never be computed.',
            f'Add loss_forward_mappings.{name}.{did_you_mean(name, mappings)}',
        )
        for name in losses
        if name not in mappings
    ]
    links: dict[str, dict[str, Any]] = {}
    places: dict[str, dict[str, str]] = {}
    for name, mapping in mappings.items():
        where = f'loss_forward_mappings.{name}'
        if name not in losses:
            hint = f'Name one of `distill_losses`.{did_you_mean(name, losses)}'
            problems.append(Problem(f'{path}.{where}', 'there is no such loss.', hint))
            continue
        link = links[name] = {'loss': losses[name]}
        places[name] = {'loss': f'{path}.distill_losses.{name}'}
        for key, record in read(where, mapping).items():
            at = f'{path}.{where}.{key}'
            tap, wrong = _tap_from_record(record, recorders, at)
            problems += [replace(problem, link=name) for problem in wrong]
            if tap is not None:
                link[key] = tap
                recorder = f'{path}.{tap["of"]}_recorders.{record["recorder"]}'
                places[name][f'{key}.at'] = recorder
                for razor_key, link_key in _RECORD_KEYS.items():
                    places[name][f'{key}.{link_key}'] = f'{at}.{razor_key}'
    if not links:
        nothing = Problem(path, 'distils nothing: it has no losses.')
        return [], dict(connectors or {}), problems or [nothing]
    parsed, built, more = parse_links(
        links, connectors, path=f'{path}.loss_forward_mappings', places=places
    )
    return parsed, built, problems + more


_RECORD_KEYS = {
    'record_idx': 'call',
    'data_idx': 'item',
    'connector': 'connector',
    'connector_idx': 'connector_item',
}


def _tap_from_record(
    record: Any, recorders: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Turns one entry of ``loss_forward_mappings`` into a tap's config."""
    if not isinstance(record, Mapping):
        return None, [Problem(where, f'must be a dict, but is {record!r}.')]
    known = ('recorder', 'from_student', *_RECORD_KEYS)
    problems = []
    for key in record:
        if key not in known:
            hint = f'It takes {list(known)}.{did_you_mean(key, known)}'
            problems.append(Problem(f'{where}.{key}', 'unknown key.', hint))
    student, name = record.get('from_student'), str(record.get('recorder'))
    if not isinstance(student, bool):
        found = f'must be True or False, but is {student!r}.'
        return None, [*problems, Problem(f'{where}.from_student', found)]
    owner = STUDENT if student else TEACHER
    if name not in recorders[owner]:
        found = f'no recorder {name!r} among `{owner}_recorders`.'
        hint = did_you_mean(name, recorders[owner]).strip()
        return None, [*problems, Problem(f'{where}.recorder', found, hint)]
    tap = {'of': owner, 'at': recorders[owner][name]}
    for razor_key, link_key in _RECORD_KEYS.items():
        if record.get(razor_key) is not None:
            tap[link_key] = record[razor_key]
    return tap, problems


def links_to_mmrazor(
    links: list[Link], connectors: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Writes links as the keys of MMRazor's ``ConfigurableDistiller``.

    Returns:
        ``student_recorders``, ``teacher_recorders``, ``connectors``,
        ``distill_losses`` and ``loss_forward_mappings``.

    Raises:
        ConfigError: A link uses what MMRazor has not: several teachers, the batch, a
            pyramid chosen with lists, a module itself, a connector of several inputs,
            a schedule.
    """
    out: dict[str, dict[str, Any]] = {key: {} for key in MMRAZOR_KEYS}
    out['connectors'] = {name: copy.deepcopy(c) for name, c in connectors.items()}
    for link in links:
        if link.schedule:
            where = f'{link.path}.schedule'
            raise ConfigError.at(where, 'MMRazor has no schedules.')
        out['distill_losses'][link.name] = copy.deepcopy(link.loss)
        mapping = out['loss_forward_mappings'][link.name] = {}
        for key, tap in link.taps.items():
            if tap.of not in (STUDENT, TEACHER) or not _plain(tap):
                where = f'{link.path}.{key}'
                raise ConfigError.at(where, f'MMRazor cannot express {tap!r}.')
            recorder = f'{tap.source.kind}_{tap.source.name}'
            out[f'{tap.of}_recorders'][recorder] = {
                'type': tap.source.kind,
                'source': tap.source.name,
            }
            mapping[key] = {'recorder': recorder, 'from_student': tap.of == STUDENT}
            for razor_key, link_key in _RECORD_KEYS.items():
                value = getattr(tap, link_key)
                if value is not None and (link_key, value) != ('call', 0):
                    mapping[key][razor_key] = value
    return out


def _plain(tap: Tap) -> bool:
    return (
        isinstance(tap.call, int)
        and (tap.item is None or isinstance(tap.item, int))
        and tap.source.kind != 'Module'
        and not tap.given
    )


def _dotted(name: str) -> str:
    """Writes ``a[2].b`` as ``a.2.b``."""
    return re.sub(r'\[(\w+)\]', r'.\1', name)


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _is_index(value: Any) -> bool:
    return is_integer(value) and value >= 0


def _is_item(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(v is not None and _is_item(v) for v in value)
    named = isinstance(value, str) and value != ''
    return value is None or is_integer(value) or named
