"""Going on after a problem: the config is mended where it is wrong, and built again.

Each stage of building a distillation stops at its problems. To name those of all
stages at once, the check takes out what is wrong, the smallest part that can be, and
builds what is left.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from mmkd_ext.distillers.links import (
    MMRAZOR_KEYS,
    TAP_KEYS,
    parse_links,
    place_of,
    spell_as_links,
)
from mmkd_ext.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ['AnyLoss', 'Draft']

_LINKS = 'model.distiller.links.'
_MAPPINGS = 'model.distiller.loss_forward_mappings.'
_NEEDED = ('architecture', 'teacher', 'teachers', 'distiller')


class AnyLoss(nn.Module):
    """Stands for a loss that is wrong while the taps beside it are looked at."""

    def forward(self, **values: Any) -> Any:
        """Takes any arguments."""
        return values


class Draft:
    """A copy of a distillation's config that can be mended.

    What MMRazor's keys say is written as links first, so that both forms are mended in
    the same way; `original` knows where it stands in the config.

    Args:
        model: Config of the model, whose models may be built.

    Attributes:
        problems: What of MMRazor's keys could not be read.
        losses: Losses of the links that were taken out, by config path.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = dict(model)
        self.distiller: dict[str, Any] = copy.deepcopy(dict(model['distiller']))
        self.model['distiller'] = self.distiller
        self.problems: list[Problem] = []
        self.places: dict[str, dict[str, str]] = {}
        broken = self._spell()
        links = self.distiller.get('links')
        self.first: dict[str, Any] = (
            copy.deepcopy(links) if isinstance(links, dict) else {}
        )
        self.aliases: dict[str, str] = {}
        self.losses: dict[str, Any] = {}
        for name in broken:
            self._drop_link(name)

    def _spell(self) -> set[str]:
        """Writes MMRazor's keys as links; returns those with something missing."""
        razor = {key: self.distiller.get(key) for key in MMRAZOR_KEYS}
        if 'links' in self.distiller or not any(razor.values()):
            return set()
        spelled = spell_as_links(*(razor[key] for key in MMRAZOR_KEYS))
        self.problems, self.places = spelled.problems, spelled.places
        for key in razor:
            self.distiller.pop(key, None)
        self.distiller['links'] = spelled.links
        return spelled.broken

    @property
    def is_empty(self) -> bool:
        """Whether no link and no delivery is left."""
        return not (
            self.distiller.get('links') or self.distiller.get('distill_deliveries')
        )

    def taps_of(self, owners: Iterable[str]) -> dict[str, Any]:
        """Returns links that hold nothing but where the taps of some models are.

        Links are as they first were, whatever has been taken out since. A tap of a
        model that does not exist is among them.

        Args:
            owners: Whose taps to leave out, since they could not be built.
        """
        skipped = set(owners)
        links = {}
        for name, link in self.first.items():
            taps = {
                key: {'of': tap['of'], 'at': tap['at']}
                for key, tap in _all_taps(link)
                if _is_readable(tap) and tap['of'] not in skipped
            }
            if taps:
                links[_alias(name)] = {'loss': {'type': AnyLoss}, **taps}
                self.aliases[_alias(name)] = name
        return links

    def rename(self) -> None:
        """Gives links whose name has no ``loss`` in it a name that has."""
        links = self.distiller.get('links')
        if isinstance(links, dict):
            self.aliases.update(
                {_alias(name): name for name in links if name not in self.aliases}
            )
            self.distiller['links'] = {_alias(n): link for n, link in links.items()}

    def original(self, problem: Problem) -> Problem:
        """Returns a problem with the names as they stand in the config."""
        alias, rest = _split_link(problem.path)
        name = self.aliases.get(alias, alias)
        if name in self.places:
            path = place_of('.'.join(rest), _MAPPINGS + name, self.places[name])
        elif name:
            path = '.'.join([_LINKS + name, *rest])
        else:
            path = problem.path
        return replace(problem, path=path)

    def mend(self, path: str) -> bool:
        """Takes out what is wrong at a config path; returns whether that was possible.

        What is optional is taken out alone; else the whole link goes.
        """
        name, rest = _split_link(path)
        if name:
            return self._mend_link(name, rest)
        if path == 'model.distiller.type':
            self.distiller['type'] = 'mmkd_ext.LinkDistiller'
            return True
        # of a list the whole goes
        keys = path.split('[')[0].split('.')[1:]
        if keys[:2] == ['distiller', 'connectors'] and len(keys) > 2:
            return self._drop_connector(keys[2])
        return self._drop_option(keys)

    def _mend_link(self, name: str, rest: list[str]) -> bool:
        links = self.distiller['links']
        if name not in links:
            if _alias(name) == name or not rest:
                # gone with an earlier problem, or mended by its new name
                return True
            name = _alias(name)
        link = links[name]
        holder = link.get(rest[0]) if len(rest) == 2 else link
        optional = rest == ['schedule'] or (
            len(rest) == 2
            and (rest[1] != 'type' if rest[0] == 'loss' else rest[1] not in TAP_KEYS)
        )
        if optional and rest[-1] in holder:
            del holder[rest[-1]]
        else:
            self._drop_link(name)
        return True

    def _drop_link(self, name: str) -> None:
        """Takes a link out; its loss may be wrong as well, and is kept to be tried."""
        link = self.distiller['links'].pop(name)
        loss = link.get('loss') if _is_dict(link) else None
        if isinstance(loss, dict) and 'type' in loss:
            where = self.original(Problem(f'{_LINKS}{name}.loss', '')).path
            self.losses[where] = loss

    def _drop_connector(self, name: str) -> bool:
        """Takes out a shared connector and the links that pass through it."""
        self.distiller['connectors'].pop(name, None)
        links = self.distiller.get('links') or {}
        for link, taps in list(links.items()):
            if any(tap.get('connector') == name for _, tap in _all_taps(taps)):
                self._drop_link(link)
        return True

    def _drop_option(self, keys: list[str]) -> bool:
        """Takes out an option of the model, of a teacher or of the distiller."""
        holder: Any = self.model
        for key in keys[:-1]:
            holder = holder.get(key) if _is_dict(holder) else None
        if not keys or keys[-1] in _NEEDED or not _is_dict(holder):
            return False
        return holder.pop(keys[-1], None) is not None


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _all_taps(link: Any, prefix: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each dict in a link with its path, and those in its `given`."""
    for key, tap in link.items() if _is_dict(link) else ():
        if _is_dict(tap):
            yield f'{prefix}{key}', tap
            yield from _all_taps(tap.get('given'), f'{prefix}{key}.given.')


def _alias(name: str) -> str:
    """Returns a name with ``loss`` in it; spaces keep it from being another's."""
    return name if 'loss' in name else f'loss of {name}'


def _is_readable(tap: Any) -> bool:
    """Whether a tap says whose and where, so that its place can be looked up."""
    if not _is_dict(tap) or not isinstance(tap.get('of'), str):
        return False
    return not parse_links(
        {'loss': {'loss': {'type': ''}, 'tap': {'of': tap['of'], 'at': tap.get('at')}}}
    )[2]


def _split_link(path: str) -> tuple[str, list[str]]:
    """Splits a path into the name of its link, if it has one, and what follows."""
    if not path.startswith(_LINKS):
        return '', []
    name, *rest = path[len(_LINKS) :].split('.')
    return name, rest
