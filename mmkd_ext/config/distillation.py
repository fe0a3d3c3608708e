"""The check of distillations: builds one as training does, and runs one step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from mmengine.registry import MODELS
from torch import nn

from mmkd_ext.algorithms.init_from_teacher import init_from_teacher
from mmkd_ext.algorithms.sources import hand_preprocessor, model_config
from mmkd_ext.algorithms.teacher_distill import (
    TeacherDistill,
    build_distiller,
    read_teachers,
)
from mmkd_ext.config import measure, models
from mmkd_ext.config.classes import check_segmentor, class_count
from mmkd_ext.config.context import (
    Context,
    LinkSummary,
    ModelSummary,
    TapSummary,
    TermSummary,
    checks,
)
from mmkd_ext.config.parts import find_type, scoped
from mmkd_ext.config.training import check_link_schedules
from mmkd_ext.connectors import ClassMap
from mmkd_ext.connectors.build import known_arguments
from mmkd_ext.distillers.alignment import ours_instead
from mmkd_ext.distillers.links import BATCH, STUDENT, TEACHER
from mmkd_ext.errors import ConfigError, problems_of
from mmkd_ext.methods._base import PairLoss

if TYPE_CHECKING:
    from mmkd_ext.distillers.link_distiller import LinkDistiller, LinkPlan

__all__ = ['check_distillation']

#: Shares of the gradient below and above which distillation is noted.
_LITTLE, _MOST = 0.001, 0.99


@checks('TeacherDistill')
def check_distillation(context: Context) -> None:
    """Builds student, teachers and links, and runs one step."""
    check = _Distillation(context)
    # the registry switches scopes so while it builds the model
    with scoped(check.config.get('_scope_')):
        check.build_models()
        distiller = check.build_distiller()
        if distiller is None:
            return
        missing = [name for name, model in check.models.items() if model is None]
        if not missing:
            check.run(distiller)
            return
        context.report.add(distiller.tap_problems(check.models))
        context.report.note(
            'model.distiller',
            f'shapes were not checked, since {missing} could not be built.',
        )


class _Distillation:
    """One check; its methods are the stages, and fill the report.

    Attributes:
        config: Config of the model; what is wrong is taken out, models are put in.
        models: Student and teachers by name, None where one cannot be built.
        reduced: Whether something of the distillation was wrong and left out.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.config: dict[str, Any] = context.cfg.model.to_dict()
        self.config.setdefault(
            'data_preprocessor', context.cfg.get('data_preprocessor')
        )
        self.models: dict[str, nn.Module | None] = {STUDENT: None}
        self.sources: dict[str, tuple[str, Any]] = {}
        self.summaries: dict[str, ModelSummary] = {}
        self.reduced = False

    # ---- models --------------------------------------------------------------------

    def build_models(self) -> None:
        """Builds student and teachers one by one."""
        given, report = self.config, self.report
        cls: Any = find_type(given['type'], MODELS)
        config, unknown = known_arguments(cls, given, 'model')
        report.add(unknown)
        kind: dict[str, Any] = {
            key: given[key] for key in ('type', '_scope_') if key in given
        }
        with report.collecting('model'):
            config = cls.complete(config)
        self.config = {**kind, **config}
        config = self.config
        minimum = config.get('min_matched', 0.5)
        student = config.pop('architecture', None)
        ckpt = config.pop('student_ckpt', None)
        if student is not None:
            with report.collecting('model.architecture'):
                student, config['data_preprocessor'] = hand_preprocessor(
                    student, config.get('data_preprocessor'), 'model.architecture'
                )
            where = 'model.architecture', 'model.student_ckpt'
            self._build(STUDENT, student, ckpt, minimum, *where)
        teacher, ckpt = config.pop('teacher', None), config.pop('teacher_ckpt', None)
        store = config.get('teacher_store')
        several = config.pop('teachers', None)
        learn = bool(config.get('teacher_trainable'))
        sources, problems = read_teachers(
            teacher, ckpt, several, store, trainable=learn
        )
        report.add(problems)
        teachers = {}
        for name, source in sources.items():
            own = source.config
            if own.get('store') is not None:
                folder = str(own['store'])
                self.summaries[name] = ModelSummary(name, 'stored', 0, folder)
                teachers[name] = {**own, 'model': None, 'ckpt': None}
                continue
            least = own.get('min_matched', minimum)
            where = source.path, source.ckpt_path
            more = *where, source.learns
            self._build(name, own.get('model'), own.get('ckpt'), least, *more)
            teachers[name] = {**own, 'model': self.models[name], 'ckpt': None}
        if not sources and problems:
            self.models[TEACHER] = None
        config['architecture'] = self.models[STUDENT]
        if teacher is None and store is None:
            config['teachers'] = teachers
        else:
            config['teacher'] = self.models.get(TEACHER)
        report.models = list(self.summaries.values())
        if self.models[STUDENT] is not None:
            self._compare_models(self.models[STUDENT], sources)

    def _build(
        self,
        role: str,
        source: Any,
        ckpt: Any,
        min_matched: Any,
        path: str,
        ckpt_path: str,
        learns: bool = True,
    ) -> None:
        trained = role != STUDENT and ckpt is not None
        model = models.build(source, path, self.report, trained=trained)
        self.models[role], self.sources[role] = model, (path, source)
        if model is None:
            return
        summary = self.summaries[role] = models.summarize(role, model)
        if (
            learns
            and self.context.gradients
            and not isinstance(source, nn.Module)
        ):
            models.initialize(model, path, self.report)
        models.load_checkpoint(
            model, ckpt, ckpt_path, summary, self.report, min_matched=min_matched
        )
        if not learns and ckpt is None:
            self.report.warn(
                ckpt_path,
                f'`{role}` has no checkpoint, so it teaches '
                'what its `init_cfg` loads, or noise.',
                f'Give {ckpt_path.split(".")[-1]}=... .',
            )

    def _compare_models(self, student: Any, sources: Mapping[str, Any]) -> None:
        """Compares the student with its teachers and with the data."""
        report, size = self.report, self.summaries[STUDENT].parameters
        classes = class_count(student)
        if 'ClassMap' in str(self.config.get('distiller')):
            classes = None  # their difference is meant; the notes have the map
        for name, source in sources.items():
            teacher, path = self.models.get(name), source.path.removesuffix('.model')
            if teacher is None:
                continue
            count = class_count(teacher)
            if None not in (classes, count) and classes != count:
                report.warn(
                    path,
                    f'tells {count} classes apart, the student {classes}.',
                    'Features can be compared, predictions through '
                    '`mmkd_ext.ClassMap`.',
                )
            other = self.summaries[name].parameters
            if size >= other and not source.learns:
                relation = 'as large as' if size == other else 'smaller than'
                found = f'is {relation} the student ({other:,} and {size:,} parameters)'
                report.note(path, f'{found}.')
        cfg, path = self.context.cfg, 'model.architecture'
        check_segmentor(student, path, cfg, report.training, report)

    # ---- links ---------------------------------------------------------------------

    def build_distiller(self) -> LinkDistiller | None:
        """Builds losses, connectors and schedules; returns what can be built."""
        if 'distiller' not in self.config:
            return None
        config = self.config['distiller']
        distiller: LinkDistiller | None = self._built(lambda: build_distiller(config))
        if distiller is not None:
            schedules = {
                link.where('schedule'): link.schedule
                for link in distiller.links
                if link.name in distiller.schedules
            }
            check_link_schedules(self.context.cfg, schedules, self.report)
        return distiller

    def _built(self, build: Any) -> Any:
        """Builds; where that fails, adds the problems and returns what was built."""
        try:
            return build()
        except Exception as error:
            # a registered class may raise anything
            self.report.add(problems_of(error, 'model.distiller'))
            self.reduced = True
            return getattr(error, 'partial', None)

    # ---- the dry run ---------------------------------------------------------------

    def run(self, distiller: LinkDistiller) -> None:
        """Builds all of it, runs one step, and reports what came."""
        report = self.report
        inplace = {role: _inplace(model) for role, model in self.models.items()}
        config = {**self.config, 'distiller': distiller}
        algorithm = self._built(lambda: MODELS.build(config))
        measured = self._train(algorithm) if algorithm is not None else None
        if measured is None:
            return
        distiller = algorithm.distiller
        for role, model in self.models.items():
            key = 'module_inplace' if role == STUDENT else 'teacher_module_inplace'
            if _inplace(model) < inplace[role] and self.config.get(key) is None:
                report.note(
                    f'model.{key}',
                    f'in-place activations of `{role}` are '
                    'turned off: they would overwrite what a link taps.',
                )
        if not distiller.links:
            report.note(
                'model.distiller',
                'has deliveries and no losses: the student takes over what the teacher '
                'computed, and learns its task alone.',
            )
        self._check_loss_classes(algorithm)
        self._summarize_models(algorithm)
        report.batch = measured.batch
        report.links = [
            self._summarize_link(distiller, plan, measured) for plan in distiller.plans
        ]
        self._note_shares(distiller)
        # without a link that was taken out the shares would mislead
        if not self.reduced:
            report.terms = measured.terms
            self._judge_terms(measured.terms)

    def _train(self, algorithm: TeacherDistill) -> measure.Measured | None:
        """Trains one step, without the links that fail in it."""
        rehearsal, distiller = self.context.rehearsal, algorithm.distiller
        for role, (path, source) in self.sources.items():
            if not isinstance(source, nn.Module):
                config = model_config(source, path)
                model = algorithm.models[role] or nn.Identity()
                rehearsal.own_model(model, config, path)
        if algorithm.init_report is not None:
            # as a training begins; losses may need what is inherited
            teacher = algorithm.teacher
            init_from_teacher(algorithm.student, teacher, algorithm.init_report)
        while distiller.links or distiller.deliveries:
            try:
                return rehearsal.run(
                    algorithm,
                    gradients=self.context.gradients,
                    known=models.is_known(algorithm),
                    whole=not self.reduced,
                )
            except ConfigError as error:
                self.report.add(error.problems)
                distiller.drop({problem.link for problem in error.problems})
                self.reduced = True
        return None

    def _check_loss_classes(self, algorithm: TeacherDistill) -> None:
        """Compares the classes that losses read from labels with the student's."""
        student = class_count(algorithm.student)
        for link in algorithm.distiller.links:
            loss = algorithm.distiller.distill_losses[link.name]
            count = getattr(loss, 'num_classes', None)
            if student is None or not isinstance(count, int) or count == student:
                continue
            add = self.report.problem if count < student else self.report.warn
            add(
                link.where('loss.num_classes'),
                f'is {count}, but the student tells {student} classes apart.',
                f'Set num_classes={student}: labels are those of the data set.',
            )

    def _summarize_models(self, algorithm: TeacherDistill) -> None:
        self.summaries[STUDENT].mode = 'loss'
        if algorithm.student_input is not None:
            self.summaries[STUDENT].input = f'x {algorithm.student_input.scale}'
        if algorithm.init_report is not None:
            self.report.note('model.inherit', algorithm.init_report.summary())
        for name, teacher in algorithm.teachers.items():
            summary = self.summaries[name]
            summary.mode = 'loss' if teacher.learns else teacher.mode
            summary.input = 'as it is' if algorithm.student_input else 'as the student'
            if teacher.renormalize is not None:
                summary.input = 're-normalised'
                plan = teacher.renormalize.describe()
                self.report.note(
                    'model', f'`{name}` gets its own normalisation: {plan}.'
                )

    def _summarize_link(
        self, distiller: LinkDistiller, plan: LinkPlan, seen: measure.Measured
    ) -> LinkSummary:
        link = next(link for link in distiller.links if link.name == plan.name)
        loss = distiller.distill_losses[link.name]
        taps = tuple(
            TapSummary(
                key,
                tap.of,
                str(tap.source),
                seen.recorded.get((link.name, key), str(plan.shapes.get(key, ''))),
                type(distiller.connectors[tap.connector]).__name__
                if tap.connector
                else '',
                seen.entering.get((link.name, key), ''),
            )
            for key, tap in link.all_taps()
        )
        for key, tap in link.all_taps():
            connector = distiller.connectors[tap.connector] if tap.connector else loss
            for module in connector.modules():
                if isinstance(module, ClassMap):
                    self.report.note(link.where(f'{key}.connector'), module.describe())
        student, teacher = (plan.shapes.get(key) for key in ('preds_S', 'preds_T'))
        foreign = not isinstance(loss, PairLoss)
        if foreign and None not in (student, teacher) and student != teacher:
            self.report.warn(
                link.path,
                f'student {student} and teacher {teacher} '
                f'differ, and `{type(loss).__name__}` is not one of ours: '
                'it may compare them wrongly without a word.',
                f'Align them with a connector. {ours_instead(loss)}',
            )
        schedule = _describe(link.schedule) if link.schedule else 'constant'
        return LinkSummary(
            link.name, _describe(link.loss), taps, plan.alignment, schedule
        )

    def _note_shares(self, distiller: LinkDistiller) -> None:
        """Reports how much of what a link gets comes from each of its teachers."""
        for link in distiller.links:
            for key, tap in link.all_taps():
                if tap.connector is None:
                    continue
                combined = distiller.connectors[tap.connector]
                shares = getattr(combined, 'last_shares', None)
                if isinstance(shares, torch.Tensor):
                    of = [tap.of, *(one.of for _, one in tap.given if one.of != BATCH)]
                    shown = [f'`{n}` {s:.0%}' for n, s in zip(of, shares.tolist())]
                    found = f'is of {", ".join(shown)} in the dry run.'
                    self.report.note(link.where(key), found)

    def _judge_terms(self, terms: list[TermSummary]) -> None:
        """Reports what stands out among the terms."""
        report = self.report
        for term in terms:
            if not math.isfinite(term.value):
                found = f'is {term.value} in the dry run.'
                report.warn(term.name, found, 'Look at its tap and its weight.')
        # not what a discriminator minimises, which is none of the student's
        names = {f'distill.{link.name}' for link in report.links}
        distilled = [term for term in terms if term.name in names]
        for term in distilled:
            if term.gradient == 0:
                report.warn(
                    term.name,
                    'gives the student no gradient.',
                    'Its weight is 0, or nothing that learns is tapped.',
                )
        share = sum(term.gradient_share or 0 for term in distilled)
        if 0 < share < _LITTLE or share > _MOST:
            amount = 'little' if share < _LITTLE else 'most'
            report.note(
                'model.distiller',
                f'distillation is {share:.2%} of the gradient on the '
                f'student in the dry run, {amount} of it.',
                'Trained weights change this; if it stays so, set other weights.',
            )


def _inplace(model: nn.Module | None) -> int:
    modules = model.modules() if model is not None else ()
    return sum(getattr(module, 'inplace', None) is True for module in modules)


def _describe(config: Mapping[str, Any]) -> str:
    """Writes a config as a call."""
    kind = config['type']
    name = kind if isinstance(kind, str) else kind.__name__
    arguments = ', '.join(f'{k}={v!r}' for k, v in config.items() if k != 'type')
    return f'{name}({arguments})'
