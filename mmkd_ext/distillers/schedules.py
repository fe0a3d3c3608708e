"""Schedules of a link's weight, and the training position that they depend on."""

from __future__ import annotations

import bisect
import inspect
import math
from abc import ABC, abstractmethod
from typing import Any

from mmengine.logging import MessageHub
from mmengine.utils import get_object_from_string

from mmkd_ext.connectors.build import argument_problems
from mmkd_ext.errors import (
    ConfigError,
    check_integer,
    check_range,
    did_you_mean,
    is_integer,
)

__all__ = ['SCHEDULES', 'RunnerPosition', 'Schedule', 'build_schedule']


class Schedule(ABC):
    """A factor on a link's loss as a function of the training position.

    Args:
        by_epoch: Positions count epochs instead of iterations.
    """

    def __init__(self, *, by_epoch: bool = False) -> None:
        self.by_epoch = by_epoch

    @abstractmethod
    def at(self, position: int) -> float:
        """Returns the factor at an iteration or epoch, counted from 0."""

    def factor(self, iteration: int, epoch: int) -> float:
        """Returns the factor at a training position."""
        return self.at(epoch if self.by_epoch else iteration)


class ConstantSchedule(Schedule):
    """The same factor throughout, or only from ``begin`` until before ``end``."""

    def __init__(
        self,
        value: float = 1.0,
        begin: int = 0,
        end: int | None = None,
        *,
        by_epoch: bool = False,
    ) -> None:
        super().__init__(by_epoch=by_epoch)
        check_range('value', value, ge=0)
        check_integer('begin', begin, ge=0)
        if end is not None:
            check_integer('end', end, gt=begin)
        self.value, self.begin, self.end = value, begin, end

    def at(self, position: int) -> float:
        stop = math.inf if self.end is None else self.end
        return self.value if self.begin <= position < stop else 0.0


class LinearSchedule(Schedule):
    """From ``start`` at ``begin`` to ``stop`` at ``end`` in a straight line."""

    def __init__(
        self,
        end: int,
        start: float = 0.0,
        stop: float = 1.0,
        begin: int = 0,
        *,
        by_epoch: bool = False,
    ) -> None:
        super().__init__(by_epoch=by_epoch)
        check_range('start', start, ge=0)
        check_range('stop', stop, ge=0)
        check_integer('begin', begin, ge=0)
        check_integer('end', end, gt=begin)
        self.start, self.stop, self.begin, self.end = start, stop, begin, end

    def at(self, position: int) -> float:
        done = (position - self.begin) / (self.end - self.begin)
        return self.start + (self.stop - self.start) * self.shape(min(max(done, 0), 1))

    def shape(self, done: float) -> float:
        """Maps progress in [0, 1] to progress of the factor in [0, 1]."""
        return done


class CosineSchedule(LinearSchedule):
    """From ``start`` to ``stop`` along half a cosine."""

    def shape(self, done: float) -> float:
        return (1 - math.cos(math.pi * done)) / 2


class MultiStepSchedule(Schedule):
    """Starts at ``value`` and is multiplied by ``gamma`` at each milestone."""

    def __init__(
        self,
        milestones: list[int],
        gamma: float = 0.1,
        value: float = 1.0,
        *,
        by_epoch: bool = False,
    ) -> None:
        super().__init__(by_epoch=by_epoch)
        check_range('gamma', gamma, ge=0)
        check_range('value', value, ge=0)
        rising = isinstance(milestones, (list, tuple)) and all(
            is_integer(one) for one in milestones
        )
        if not rising or list(milestones) != sorted({*milestones}) or not milestones:
            raise ConfigError(
                '`milestones` must be a non-empty rising list of integers, but is '
                f'{milestones!r}.'
            )
        self.milestones, self.gamma, self.value = list(milestones), gamma, value

    def at(self, position: int) -> float:
        return self.value * self.gamma ** bisect.bisect_right(self.milestones, position)


SCHEDULES: dict[str, type[Schedule]] = {
    'constant': ConstantSchedule,
    'linear': LinearSchedule,
    'cosine': CosineSchedule,
    'multistep': MultiStepSchedule,
}


def build_schedule(config: dict[str, Any], path: str = 'schedule') -> Schedule:
    """Builds a schedule from ``dict(type='linear', end=500)``.

    Raises:
        ConfigError: The type, an argument or a value is wrong; ``path`` is where the
            config stands.
    """
    kind = config.get('type') if isinstance(config, dict) else config
    schedule = SCHEDULES.get(kind) if isinstance(kind, str) else kind
    if isinstance(kind, str) and '.' in kind:
        schedule = get_object_from_string(kind)
    if not isinstance(config, dict) or not (
        inspect.isclass(schedule) and issubclass(schedule, Schedule)
    ):
        raise ConfigError(
            f'a schedule needs `type`, one of {sorted(SCHEDULES)}, but has {kind!r}.'
            f'{did_you_mean(str(kind), SCHEDULES)}'
        )
    arguments = {key: value for key, value in config.items() if key != 'type'}
    problems = argument_problems(schedule, arguments, path)
    if problems:
        raise ConfigError.of(problems)
    return schedule(**arguments)


class RunnerPosition:
    """Reads iteration and epoch from mmengine's message hub, if a Runner writes there.

    A hub outlives its Runner, and the latest one is every model's "current" hub. So a
    position counts only if it has changed since the last read; that of an earlier
    Runner never changes. The current hub is read, then the one that was current when
    this object was made.
    """

    def __init__(self) -> None:
        hub = MessageHub.get_current_instance()
        self._made_in = hub.instance_name
        self._known = {hub.instance_name: _read(hub)}

    def read(self) -> tuple[int, int] | None:
        """Returns iteration and epoch; None if no Runner has changed them."""
        hubs = [MessageHub.get_current_instance()]
        if MessageHub.check_instance_created(self._made_in):
            hubs.append(MessageHub.get_instance(self._made_in))
        for hub in hubs:
            position = _read(hub)
            if position is not None and position != self._known.get(hub.instance_name):
                self._known[hub.instance_name] = position
                return position
        return None


def _read(hub: MessageHub) -> tuple[int, int] | None:
    runtime = hub.runtime_info
    if 'iter' not in runtime:
        return None
    return int(runtime['iter']), int(runtime.get('epoch', 0))
