"""The distiller: computes the losses of all links in each training step."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmkd_ext.connectors import ClassMap
from mmkd_ext.connectors.build import (
    build_connector,
    build_module,
    compare_arguments,
)
from mmkd_ext.distillers.alignment import about_tokens, plan_alignment
from mmkd_ext.distillers.deliveries import build_deliveries
from mmkd_ext.distillers.links import (
    BATCH,
    MMRAZOR_KEYS,
    STUDENT,
    Link,
    Source,
    Tap,
    links_from_mmrazor,
    links_to_mmrazor,
    parse_links,
)
from mmkd_ext.distillers.schedules import RunnerPosition, Schedule, build_schedule
from mmkd_ext.distillers.taps import Recorder, SilentTapError, select
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    Problem,
    ShapeError,
    collecting,
    did_you_mean,
)
from mmkd_ext.methods import AdversarialLoss, PairLoss
from mmkd_ext.methods._identity import KnowsTeacher, fingerprint
from mmkd_ext.razor import BaseDistiller
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mmkd_ext.distillers.store import TeacherStore

__all__ = ['LinkDistiller', 'LinkPlan', 'is_classifier']


@dataclass(frozen=True)
class LinkPlan:
    """Shapes and alignment of one link, from a dry run.

    Args:
        name: Name of the link.
        shapes: Shape of each argument, or its type if it is no tensor.
        alignment: What aligns the two sides, or ``'none'``.
    """

    name: str
    shapes: dict[str, Any]
    alignment: str


@MODELS.register_module()
class LinkDistiller(BaseDistiller):
    """Computes the losses of its links from what was recorded in a step.

    Args:
        links: The links by name, see :mod:`mmkd_ext.distillers.links`.
        connectors: Connectors by name that several taps share. One that two links put
            on the same tap runs once a step, and both get what it returned.
        student_recorders: With the next three: MMRazor's keys, instead of `links`.
        teacher_recorders: See MMRazor's ``ConfigurableDistiller``.
        distill_losses: See MMRazor's ``ConfigurableDistiller``.
        loss_forward_mappings: See MMRazor's ``ConfigurableDistiller``.
        distill_deliveries: MMRazor's deliveries: values that the student takes over
            from the teacher's pass.
        init_cfg: Initialisation of connectors and losses.

    Raises:
        ConfigError: Lists every problem of the links together; its ``partial`` is the
            distiller without the losses and connectors that are wrong.

    Attributes:
        broken: Names of the links that cannot work.
    """

    def __init__(
        self,
        links: Mapping[str, Any] | None = None,
        connectors: Mapping[str, Any] | None = None,
        *,
        student_recorders: Mapping[str, Any] | None = None,
        teacher_recorders: Mapping[str, Any] | None = None,
        distill_losses: Mapping[str, Any] | None = None,
        loss_forward_mappings: Mapping[str, Any] | None = None,
        distill_deliveries: Mapping[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        razor = dict(
            zip(
                MMRAZOR_KEYS,
                (
                    student_recorders,
                    teacher_recorders,
                    distill_losses,
                    loss_forward_mappings,
                ),
            )
        )
        parsed, shared, problems = _read(links, connectors, razor, distill_deliveries)
        self.links: list[Link] = parsed
        self.connector_configs: dict[str, Any] = shared
        self.connectors = nn.ModuleDict()
        self.distill_losses = nn.ModuleDict()
        self.aligners = nn.ModuleDict()
        self.schedules: dict[str, Schedule] = {}
        self.plans: list[LinkPlan] = []
        self.broken = self._build(problems, set(connectors or {}))
        self.deliveries: Any = None
        self._delivered: list[Source] = []
        self._delivering: tuple[str, ...] = ()
        with collecting(problems, 'model.distiller.distill_deliveries'):
            self.deliveries, self._delivered = build_deliveries(distill_deliveries)
        self.recorders: dict[str, Recorder] = {}
        self.reset_recorders()
        # The buffer is for checkpoints; steps read the plain numbers, since reading a
        # buffer on a GPU would synchronise with it.
        self.register_buffer('position', torch.zeros(2, dtype=torch.long))
        self._iteration, self._epoch = 0, 0
        self._runner = RunnerPosition()
        self.teacher_weights: dict[str, float] = {}
        #: Stores of the teachers that have one.
        self.stores: dict[str, TeacherStore] = {}
        #: Models that a link with a weight above 0, or a delivery, needs in this step.
        self.active: set[str] = set()
        self._factors: dict[str, float] = {}
        self._rests: dict[str, int] = {}
        if problems:
            raise ConfigError.of(problems, self)

    # ---- construction -------------------------------------------------------------

    def _build(self, problems: list[Problem], shared: set[str]) -> set[str]:
        """Builds losses, connectors and schedules.

        Args:
            problems: What is wrong is added to it.
            shared: Names of the connectors that were not written inside a tap.

        Returns:
            Names of the links that cannot work.
        """
        unread = {problem.link for problem in problems}
        paths = {
            tap.connector: link.where(f'{key}.connector')
            for link in self.links
            for key, tap in link.all_taps()
            if tap.connector not in shared
        }
        for name, config in self.connector_configs.items():
            path = paths.get(name, f'model.distiller.connectors.{name}')
            with collecting(problems, path):
                self.connectors[name] = build_connector(config, path)
        for i, link in enumerate(self.links):
            if link.schedule is not None:
                self.links[i], where = (
                    replace(link, schedule=None),
                    link.where('schedule'),
                )
                with collecting(problems, where):
                    self.schedules[link.name] = build_schedule(link.schedule, where)
                    self.links[i] = link
            where = link.where('loss')
            if link.loss:
                with collecting(problems, where):
                    self.distill_losses[link.name] = build_module(link.loss, where)
            if link.name not in unread:
                problems += self._argument_problems(link)
        return {problem.link for problem in problems if problem.link}.union(
            link.name
            for link in self.links
            if link.name not in self.distill_losses
            or any(
                tap.connector not in (None, *self.connectors)
                for _, tap in link.all_taps()
            )
        )

    def _argument_problems(self, link: Link) -> list[Problem]:
        """Compares a link's taps with what its loss and its connectors take."""
        problems = []
        if link.name in self.distill_losses:
            problems += _loss_problems(link, self.distill_losses[link.name])
        labels = sorted({'labels', 'data_samples'} & {*link.taps})
        for key, tap in link.all_taps():
            if str(tap.connector) in self.connectors:
                connector = self.connectors[str(tap.connector)]
                problems += _given_problems(tap, connector, link.where(key))
                maps = any(isinstance(one, ClassMap) for one in connector.modules())
                if maps and labels and key == 'preds_S':
                    what = f"maps the student's classes, but {labels} are of its own."
                    where = link.where('preds_S.connector')
                    problems.append(Problem(where, what, "Map the teacher's alone."))
        return [replace(problem, link=link.name) for problem in problems]

    def drop(self, names: Collection[str]) -> None:
        """Takes links out, such as those that cannot work.

        Args:
            names: Names of the links.
        """
        self.links = [link for link in self.links if link.name not in names]
        self.plans = [plan for plan in self.plans if plan.name not in names]
        for parts in (self.distill_losses, self.aligners, self.schedules):
            for name in [name for name in parts if name in names]:
                del parts[name]

    def reset_recorders(self) -> None:
        """Makes recorders for the taps of the links and for what is delivered."""
        owners: dict[str, list[Tap]] = {}
        for link in self.links:
            for _, tap in link.all_taps():
                if tap.of != BATCH:
                    owners.setdefault(tap.of, []).append(tap)
        for owner in self._delivering:
            delivered = [Tap(owner, source) for source in self._delivered]
            owners.setdefault(owner, []).extend(delivered)
        self.recorders = {
            owner: Recorder(owner, taps) for owner, taps in owners.items()
        }

    def deliver_from(self, teachers: Sequence[str]) -> None:
        """Keeps teacher and student running until all deliveries were called.

        Args:
            teachers: Names of all teachers. Those that a link taps deliver; if none is
                tapped, the first one does.
        """
        if not self._delivered:
            return
        givers = [name for name in teachers if name in self.recorders] or teachers[:1]
        self._delivering = (STUDENT, *givers)
        self.reset_recorders()

    @property
    def teachers(self) -> list[str]:
        """Names of the teachers that some link taps."""
        return [owner for owner in self.recorders if owner != STUDENT]

    def to_mmrazor(self) -> dict[str, dict[str, Any]]:
        """Writes the links as the keys of MMRazor's ``ConfigurableDistiller``."""
        return links_to_mmrazor(self.links, self.connector_configs)

    def tap_problems(self, models: Mapping[str, nn.Module | None]) -> list[Problem]:
        """Returns a problem for each tap that is not in its model, or in its store.

        Args:
            models: Student and teachers by name; those that are None are not looked at.
        """
        problems: list[Problem] = []
        for link in self.links:
            for key, tap in link.all_taps():
                model = models.get(tap.of)
                if tap.of not in (*models, BATCH):
                    where, found = link.where(f'{key}.of'), f'there is no {tap.of!r}.'
                    hint = did_you_mean(tap.of, [*models, BATCH])
                    hint = f'It is one of {[*models, BATCH]}.{hint}'
                    problems.append(Problem(where, found, hint, link.name))
                elif tap.of in self.stores:
                    with collecting(problems, link.where(f'{key}.at'), link.name):
                        self.stores[tap.of].tap(tap)
                elif model is not None and tap.of != BATCH:
                    problems += [
                        Problem(link.where(f'{key}.at'), found, hint, link.name)
                        for _, found, hint in Recorder(tap.of, [tap]).resolve(model)
                    ]
        return problems

    def bind_teachers(self, models: Mapping[str, nn.Module | None]) -> None:
        """Binds modules that work with one teacher only to the loaded teachers.

        Raises:
            CheckpointError: A module belongs to another teacher.
        """
        for link in self.links:
            for key, tap in link.all_taps():
                if tap.of in (STUDENT, BATCH):
                    continue
                user = self.distill_losses[link.name]
                if tap.connector is not None:
                    user = self.connectors[tap.connector]
                for module in user.modules():
                    if isinstance(module, KnowsTeacher):
                        model = models[tap.of]
                        if model is None:
                            weights = self.stores[tap.of].fingerprint(tap)
                        else:
                            weights = fingerprint(model, tap.source.name)
                        try:
                            module.bind_teacher(weights)
                        except CheckpointError as error:
                            where = link.where(key)
                            raise CheckpointError.at(where, str(error)) from error

    def plan(
        self, batch: Mapping[str, Any], models: Mapping[str, nn.Module | None]
    ) -> list[Problem]:
        """Plans alignment from what a dry run has recorded.

        Args:
            batch: ``inputs`` and ``data_samples`` of the dry run.
            models: Student and teachers by name, None for stored ones.

        Returns:
            A problem for each link whose sides do not fit.
        """
        problems: list[Problem] = []
        for link in self.links:
            with collecting(problems, link.path, link.name), torch.no_grad():
                self._plan_link(link, batch, models)
        return problems

    def _plan_link(
        self,
        link: Link,
        batch: Mapping[str, Any],
        models: Mapping[str, nn.Module | None],
    ) -> None:
        values = {}
        for key, tap in link.taps.items():
            where = link.where(f'{key}.connector')
            try:
                values[key] = self._value(tap, batch, {})
            except ShapeError as error:
                raise ConfigError.at(where, str(error)) from error
            except (AttributeError, TypeError) as error:
                found = self.recorded(tap, batch)
                if isinstance(found, torch.Tensor):
                    raise
                raise ConfigError.at(
                    where,
                    f'`{tap.connector}` takes one map, but the tap gives a '
                    f'{type(found).__name__} of {len(found)}.',
                    'Pick one with `item=0`, or put the connector into '
                    '`mmkd_ext.PerLevel`.',
                ) from error
        aligner = None
        if 'preds_S' in values and 'preds_T' in values:
            aligner = plan_alignment(
                self.distill_losses[link.name],
                values['preds_S'],
                values['preds_T'],
                classes=all(
                    self._yields_classes(models.get(tap.of), tap)
                    for tap in (link.taps['preds_S'], link.taps['preds_T'])
                ),
            )
        if aligner is not None:
            self.aligners[link.name] = aligner
        described = 'none' if aligner is None else aligner.describe()
        shapes = {key: _shapes(value) for key, value in values.items()}
        self.plans.append(LinkPlan(link.name, shapes, described))

    def _yields_classes(self, model: nn.Module | None, tap: Tap) -> bool:
        """Whether the channels or columns that a tap hands to its loss are classes."""
        if tap.connector is None:
            if tap.of in self.stores:
                return bool(self.stores[tap.of].tap(tap).get('classes'))
            return model is not None and is_classifier(model, tap)
        connector = self.connectors[tap.connector]
        last = connector[-1] if isinstance(connector, nn.Sequential) else connector
        return bool(getattr(last, 'yields_classes', False))

    # ---- one step -----------------------------------------------------------------

    def begin_step(self) -> tuple[int, int]:
        """Takes the position from the runner, or counts, and sets the weights.

        Returns:
            Iteration and epoch of the step.
        """
        read = self._runner.read()
        if read is not None:
            self._iteration, self._epoch = read
        position = self._iteration, self._epoch
        self.active = set(self._delivering)
        for link in self.links:
            factor = self.factor(link, self._iteration, self._epoch)
            self._factors[link.name] = factor
            if factor:
                self.active |= link.owners
        self._iteration += 1
        self.position[0], self.position[1] = self._iteration, self._epoch
        return position

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._iteration, self._epoch = self.position.tolist()

    def factor(self, link: Link, iteration: int, epoch: int) -> float:
        """Returns what a link's loss is multiplied with at a training position.

        That is its schedule times the weights of the teachers that it taps.
        """
        schedule = self.schedules.get(link.name)
        factor = 1.0 if schedule is None else schedule.factor(iteration, epoch)
        for owner in link.owners:
            factor *= self.teacher_weights.get(owner, 1.0)
        return factor

    def idle(self) -> dict[str, Tensor]:
        """Returns zeros for all links, which touch every parameter."""
        return {link.name: self._idle(link) for link in self.links}

    def compute_distill_losses(
        self, batch: Mapping[str, Any] | None = None
    ) -> dict[str, Tensor]:
        """Computes the loss of each link from what was recorded.

        Args:
            batch: ``inputs`` and ``data_samples`` of the step.

        Returns:
            Weighted loss of each link; zero, but connected to its parameters, where
            the weight is zero. A link with a discriminator adds what that minimises, as
            ``<link>_discriminator``.

        Raises:
            Exception: What a loss or connector raises; its ``link`` is the link's name.
        """
        batch = batch or {}
        made: dict[Tap, Any] = {}
        losses: dict[str, Tensor] = {}
        try:
            for link in self.links:
                factor = self._factors[link.name]
                if factor == 0:
                    losses[link.name] = self._idle(link)
                    continue
                try:
                    values = self.sides(link, batch, made)
                except SilentTapError as error:
                    self._rest(link, error)
                    losses[link.name] = self._idle(link)
                    continue
                self._rests.setdefault(link.name, 0)
                module = self.distill_losses[link.name]
                try:
                    loss = module(**values)
                    losses[link.name] = loss if factor == 1 else loss * factor
                    if isinstance(module, AdversarialLoss):
                        # the discriminator's own, so the link's weight is not applied
                        own = module.discriminator_loss(**values)
                        losses[f'{link.name}_discriminator'] = own
                except ShapeError as error:
                    hint = about_tokens(*values.values())
                    raise ShapeError.at(link.path, f'{error}{hint}') from error
        except Exception as error:
            # losses and connectors of other packages may raise anything
            vars(error)['link'] = link.name
            raise
        return losses

    def _rest(self, link: Link, error: SilentTapError) -> None:
        """Skips a link in a step whose batch left out a module that it taps.

        mmdet's heads call no `loss_cls` where there is no proposal, and no `loss_bbox`
        where none is positive; one such batch must not end a run of days. A module that
        has never been called yet is a mistake, and stays an error.
        """
        if link.name not in self._rests:
            raise error
        self._rests[link.name] += 1
        count = self._rests[link.name]
        if math.log10(count).is_integer():
            print_log(
                f'`{link.path}` is 0 in this step ({count} so far), because the batch '
                f'left out a module that it taps: {error}',
                logger='current',
                level=logging.WARNING,
            )

    def sides(
        self,
        link: Link,
        batch: Mapping[str, Any],
        made: dict[Tap, Any] | None = None,
    ) -> dict[str, Any]:
        """Returns the arguments of a link's loss, after connectors and alignment.

        Args:
            link: The link.
            batch: ``inputs`` and ``data_samples`` of the step.
            made: Outputs of the connectors by tap; new ones are added, so that links
                which share a connector and a tap run it once.
        """
        made = {} if made is None else made
        values = {}
        for key, tap in link.taps.items():
            values[key] = self._value(tap, batch, made)
        if link.name in self.aligners:
            values['preds_S'] = self.aligners[link.name](
                values['preds_S'], values['preds_T']
            )
        return values

    def _value(self, tap: Tap, batch: Mapping[str, Any], made: dict[Tap, Any]) -> Any:
        if tap.connector is None:
            return self.recorded(tap, batch)
        if tap.connector_item is not None:
            whole = replace(tap, connector_item=None)
            return self._value(whole, batch, made)[tap.connector_item]
        if tap not in made:
            given = {name: self._value(one, batch, made) for name, one in tap.given}
            connector = self.connectors[tap.connector]
            made[tap] = connector(self.recorded(tap, batch), **given)
        return made[tap]

    def recorded(self, tap: Tap, batch: Mapping[str, Any]) -> Any:
        """Returns what a tap gives to its connector, or to its loss without one."""
        if tap.of == BATCH:
            return select(batch[tap.source.name], tap.item, tap)
        return self.recorders[tap.of].value(tap)

    def _idle(self, link: Link) -> Tensor:
        """Returns 0 as a function of all parameters of a link, as DDP needs it."""
        modules = [self.distill_losses[link.name]]
        modules += [
            self.connectors[tap.connector]
            for _, tap in link.all_taps()
            if tap.connector is not None
        ]
        if link.name in self.aligners:
            modules.append(self.aligners[link.name])
        zero = torch.zeros((), device=self.position.device)
        for module in modules:
            for parameter in module.parameters():
                if parameter.requires_grad:
                    zero = zero + 0.0 * parameter.sum()
        return zero

    def clear(self) -> None:
        """Drops everything recorded."""
        for recorder in self.recorders.values():
            recorder.clear()


def _read(
    links: Mapping[str, Any] | None,
    connectors: Mapping[str, Any] | None,
    razor: Mapping[str, Any],
    deliveries: Mapping[str, Any] | None,
) -> tuple[list[Link], dict[str, Any], list[Problem]]:
    """Reads the links from either form of the config."""
    if links is not None:
        twice = [
            Problem(
                f'model.distiller.{key}',
                'stands beside `links`, so nothing would read it.',
                "Give `links` or MMRazor's keys, not both.",
            )
            for key, value in razor.items()
            if value is not None
        ]
        parsed, built, problems = parse_links(links, connectors)
        return parsed, built, twice + problems
    if deliveries and not any(razor.values()):
        return [], dict(connectors or {}), []
    return links_from_mmrazor(connectors=connectors, **razor)


def _loss_problems(link: Link, loss: nn.Module) -> list[Problem]:
    """Compares a link's taps with the arguments that its loss takes."""
    if isinstance(loss, PairLoss):
        accepted = loss.arguments()
    else:
        parameters = inspect.signature(loss.forward).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return []
        accepted = {p.name: p.default is p.empty for p in parameters}
    kind = type(loss).__name__
    hint = "Add {}=dict(of='student' or a teacher, at=...)."
    return compare_arguments(kind, accepted, link.taps, link.path, hint)


def _given_problems(tap: Tap, connector: nn.Module, path: str) -> list[Problem]:
    """Compares the `given` of a tap with the arguments of its connector."""
    kind = type(connector).__name__
    # the first is the tap's own value, the only one that a chain takes
    own, *more = inspect.signature(connector.forward).parameters.values()
    if isinstance(connector, nn.Sequential):
        kind, more = 'a chain', []
    if any(p.kind is p.VAR_KEYWORD for p in (own, *more)):
        return []
    accepted = {
        p.name: p.default is p.empty for p in more if p.kind is not p.VAR_POSITIONAL
    }
    given = [name for name, _ in tap.given]
    hint = 'Add given=dict({}=dict(of=..., at=...)).'
    return compare_arguments(kind, accepted, given, f'{path}.given', hint)


def is_classifier(model: nn.Module, tap: Tap) -> bool:
    """Whether the channels that a tap records are the classes of its head.

    This holds for the input of a detector's `loss_cls`, and for the output of a layer
    with one channel a class, or a class and prior, with or without a background.
    """
    *parents, last = tap.source.name.split('.')
    if tap.source.kind == 'ModuleInputs':
        return last == 'loss_cls'
    if tap.source.kind != 'ModuleOutputs':
        return False
    module = model.get_submodule(tap.source.name)
    if isinstance(getattr(module, 'num_classes', None), int):
        # a head itself returns its predictions
        return True
    width = getattr(module, 'out_channels', getattr(module, 'out_features', None))
    paths = ['.'.join(parents[: i + 1]) for i in range(len(parents))]
    heads = [model.get_submodule(path) for path in paths]
    return width is not None and any(width in _class_widths(head) for head in heads)


def _class_widths(head: nn.Module) -> list[Any]:
    """Returns the widths of a head's class predictions; none for another module."""
    classes = getattr(head, 'num_classes', None)
    if not isinstance(classes, int):
        return []
    widths = [classes, classes + 1, getattr(head, 'out_channels', None)]
    columns = getattr(head, 'cls_out_channels', None)
    priors = getattr(head, 'num_base_priors', 1)
    if isinstance(columns, int) and isinstance(priors, int):
        widths += [columns, columns * priors]
    return widths


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, (list, tuple)):
        return [_shapes(part) for part in value]
    return type(value).__name__
