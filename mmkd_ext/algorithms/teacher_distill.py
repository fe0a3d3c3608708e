"""Distillation from one or several frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmkd_ext.algorithms.compiled import compile_between_taps
from mmkd_ext.algorithms.dry_run import (
    blank_batch,
    input_size,
    known_divisor,
    run_once,
    set_inplace,
    undisturbed,
)
from mmkd_ext.algorithms.init_from_teacher import (
    InitReport,
    init_from_teacher,
    plan_init,
)
from mmkd_ext.algorithms.peer import Peer
from mmkd_ext.algorithms.sources import build_model, hand_preprocessor
from mmkd_ext.algorithms.student_input import StudentInput
from mmkd_ext.algorithms.tap_checks import (
    gradient_problems,
    row_problems,
    unfilled_problems,
)
from mmkd_ext.algorithms.teacher import PRECISIONS, STRIDE, StoredTeacher, Teacher
from mmkd_ext.checkpoint import LoadReport, load_weights
from mmkd_ext.connectors.build import (
    compare_arguments,
    find_class,
    known_arguments,
)
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.distillers.links import BATCH, STUDENT, TEACHER
from mmkd_ext.distillers.schedules import Schedule, build_schedule
from mmkd_ext.distillers.store import TeacherStore
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Problem,
    TapError,
    check_choice,
    check_range,
    collecting,
    did_you_mean,
)
from mmkd_ext.methods._adversary import discriminators_of
from mmkd_ext.random_state import preserve_random_state
from mmkd_ext.razor import BaseAlgorithm, ConfigurableDistiller
from mmkd_ext.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmkd_ext.distillers.taps import Recorder

__all__ = [
    'NO_DISCRIMINATOR_OPTIMIZER',
    'TeacherDistill',
    'TeacherSource',
    'build_distiller',
    'read_teachers',
]

_TEACHER_KEYS = (
    *('model', 'ckpt', 'weight', 'preprocess', 'min_matched'),
    *('precision', 'channels_last', 'input', 'store', 'trainable', 'optimizer'),
)
NO_DISCRIMINATOR_OPTIMIZER = Problem(
    'optim_wrapper.constructor',
    'a link has a discriminator, which needs an optimizer of its own, or the '
    "student's would train it.",
    "Write constructor='mmkd_ext.AdversarialOptimWrapperConstructor'.",
)
_SINGLE = 'goes with `teacher`.'
_PLAIN_NAMES = ('LinkDistiller', 'ConfigurableDistiller')
_DISTILLERS = (
    'mmkd_ext.LinkDistiller',
    'ConfigurableDistiller',
    'mmrazor.ConfigurableDistiller',
)


@MODELS.register_module()
class TeacherDistill(BaseAlgorithm):
    """Trains a student with its task losses and the losses of links to its teachers.

    Takes the keys of MMRazor's ``SingleTeacherDistill``. Unlike there, a teacher is
    fully in eval mode, gets input normalised to its own statistics, stops after its
    last tap, and is never in a checkpoint. The exception is a `trainable` one, which is
    a further student: it runs in training mode, learns the task, and is in the
    checkpoint under ``peers.<name>``, with a file of its own beside.

    Args:
        architecture: The student: a model dict, a dict with `cfg_path`, the path of a
            config file (``'mmseg::...'`` too), or a built model.
        distiller: Config of a `LinkDistiller`, or of MMRazor's
            ``ConfigurableDistiller``.
        teacher: The one teacher, given as `architecture` is. In links it is called
            ``'teacher'``.
        teacher_ckpt: File or URL of its weights, read when training starts.
        teachers: Several teachers by name instead: each a dict of `model`, `ckpt`,
            `weight` (factor on the losses of the links that tap it), `preprocess`
            (False to feed it the student's batch unchanged, or ``dict(mean=...,
            std=...)``), `trainable` (default `teacher_trainable`), for such a one
            `optimizer`, what is otherwise than the student's (``dict(lr=0.01)``), and
            its own `min_matched`, `precision`, `channels_last`, `store` and `input`,
            the field of the samples with the pictures that it sees instead. Empty where
            no link needs a teacher.
        teacher_store: Folder that ``mmkd store`` has written: what links tap is read
            from there, and the teacher is not built.
        student_ckpt: File or URL of the student's first weights.
        inherit: Modules of the student, such as ``['neck', 'bbox_head']``, that are
            initialised with the weights of the (first) teacher where names and shapes
            agree, after `student_ckpt`; the log lists them. A dict gives each module
            the name that it has in the teacher.
        min_matched: Least share of parameters that `student_ckpt` and `teacher_ckpt`
            must fill; below it loading is an error.
        teacher_precision: ``'bf16'``, ``'fp16'`` or ``'fp32'``, in which teachers run
            whatever the student's mixed precision is; their taps arrive in float32.
            None runs them as the student.
        teacher_channels_last: True keeps the teachers' weights and maps in memory with
            the channels last, in which convolutions may be faster.
        compile: True, or a dict of arguments of `torch.compile`, compiles what lies
            between the taps of student and teachers, see
            :func:`~mmkd_ext.algorithms.compiled.compile_between_taps`.
        student_input: ``dict(scale=0.5)`` trains the student on pictures of half the
            height and width, while teachers see the batch as it is; boxes, masks and
            labels follow. Val and test pictures are what their pipelines make them, so
            resize them there as the exported student will get them.
        student_trainable: False runs the student without gradients, to train only
            connectors.
        calculate_student_loss: False leaves the task loss out. A schedule, as a link
            has one, weights it: with ``dict(type='constant', begin=1000)`` the first
            1000 iterations are those of the links alone.
        teacher_trainable: True trains student and teachers together. Losses of the
            links reach the student's side alone, unless ``teacher_detach=False``.
        teacher_norm_eval: Must be True; a frozen teacher is in eval mode throughout.
        module_inplace: True leaves in-place activations of the student as they are,
            False turns all off (MMRazor's default); None turns them off only where
            they would overwrite what a link taps.
        teacher_module_inplace: The same for the teachers.
        data_preprocessor: Replaces the student's own. Without `type` it is of the kind
            that the student takes.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: Lists every problem found while building: unknown modules, types
            and arguments, shapes that do not fit, missing files. Its ``partial`` is
            the distillation without the links and options that are wrong, where all
            models could be built and run.
    """

    def __init__(
        self,
        architecture: Any,
        distiller: Any,
        teacher: Any = None,
        teacher_ckpt: str | None = None,
        *,
        teachers: Mapping[str, Mapping[str, Any]] | None = None,
        teacher_store: str | None = None,
        student_ckpt: str | None = None,
        inherit: Sequence[str] | Mapping[str, str] | None = None,
        min_matched: float = 0.5,
        teacher_precision: str | None = None,
        teacher_channels_last: bool = False,
        compile: bool | Mapping[str, Any] = False,
        student_input: Mapping[str, Any] | None = None,
        student_trainable: bool = True,
        calculate_student_loss: bool | Mapping[str, Any] = True,
        teacher_trainable: bool = False,
        teacher_norm_eval: bool = True,
        module_inplace: bool | None = None,
        teacher_module_inplace: bool | None = None,
        data_preprocessor: Any = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        sources, problems = read_teachers(
            teacher,
            teacher_ckpt,
            teachers,
            teacher_store,
            trainable=teacher_trainable,
        )
        for name, value in {
            'student_trainable': student_trainable,
            'teacher_channels_last': teacher_channels_last,
            'teacher_trainable': teacher_trainable,
        }.items():
            with collecting(problems, f'model.{name}'):
                check_choice(name, value, (True, False))
        if not teacher_norm_eval:
            found = 'a frozen teacher is in eval mode.'
            hint = 'To train it beside the student write `teacher_trainable=True`.'
            problems.append(Problem('model.teacher_norm_eval', found, hint))
        architecture, data_preprocessor = hand_preprocessor(
            architecture, data_preprocessor, 'model.architecture'
        )
        super().__init__(
            build_model(architecture, 'model.architecture'),
            data_preprocessor,
            init_cfg,
            module_inplace=True,
        )
        self.student_ckpt = student_ckpt
        self.min_matched = min_matched
        self.teacher_defaults = dict(
            min_matched=min_matched,
            precision=teacher_precision,
            channels_last=teacher_channels_last,
        )
        self.student_trainable = student_trainable
        if not student_trainable:
            # DDP waits for the gradient of every parameter that requires one
            self.architecture.requires_grad_(False)
        self.task_schedule: Schedule | None = None
        if isinstance(calculate_student_loss, Mapping):
            where = 'model.calculate_student_loss'
            self.task_schedule = build_schedule(dict(calculate_student_loss), where)
        self.calculate_student_loss = bool(calculate_student_loss)
        self.student_input: StudentInput | None = None
        if student_input is not None:
            with collecting(problems, 'model.student_input'):
                self.student_input = StudentInput(student_input, 'model.student_input')
        self.distillation_stopped = False
        self._checked_teachers = False
        self.student_report: LoadReport | None = None
        self.student_mode = 'tensor'
        # the student's first weights must not depend on what is built around it
        with preserve_random_state():
            try:
                self.distiller = build_distiller(distiller)
            except ConfigError as error:
                problems += error.problems
                self.distiller = error.partial
            self.teachers = self._build_teachers(sources, problems)
        unread = not sources and bool(problems)
        if self.distiller is None or unread or len(self.teachers) < len(sources):
            raise ConfigError.of(problems)
        self.peers = nn.ModuleDict(
            {
                name: one.module
                for name, one in self.teachers.items()
                if isinstance(one, Peer)
            }
        )
        self.distiller.deliver_from(list(self.teachers))
        self.distiller.stores = self.stores
        if self.stores and self.distiller.deliveries is not None:
            problems.append(
                Problem(
                    'model.distiller.distill_deliveries',
                    "hand over what happens in a teacher's pass, and a stored one has "
                    'none.',
                )
            )
        self.init_report: InitReport | None = None
        if inherit is not None:
            with collecting(problems, 'model.inherit'):
                first = self._first_module()
                self.init_report = plan_init(self.architecture, first, inherit)
        self.distiller.teacher_weights = {
            name: one.weight for name, one in self.teachers.items()
        }
        inplace = {STUDENT: module_inplace, TEACHER: teacher_module_inplace}
        for name, model in self.models.items():
            asked = inplace[STUDENT if name == STUDENT else TEACHER]
            if model is not None and asked is False:
                set_inplace(model, False)
        # alignment brings convolutions with random first weights
        with preserve_random_state():
            self._dry_run(
                {
                    STUDENT: module_inplace is None,
                    TEACHER: teacher_module_inplace is None,
                },
                problems,
            )
        if compile is not False:
            arguments = dict(compile) if isinstance(compile, Mapping) else {}
            with collecting(problems, 'model.compile'):
                built = {k: v for k, v in self.models.items() if v is not None}
                compile_between_taps(self.distiller, built, arguments)
        if problems:
            raise ConfigError.of(problems, self)

    # ---- construction -------------------------------------------------------------

    @classmethod
    def complete(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the keys of a config with those that its class adds to them."""
        return dict(config)

    @property
    def student(self) -> nn.Module:
        """The student, an alias of `architecture`."""
        return self.architecture

    @property
    def teacher(self) -> nn.Module:
        """The model of the first teacher, with the weights of its checkpoint."""
        module = self._first_module()
        next(iter(self.teachers.values())).load()
        return module

    def _first_module(self) -> nn.Module:
        module = next(iter(self.teachers.values())).module
        if module is None:
            raise ConfigError('the (first) teacher is stored, so it has no modules.')
        return module

    @property
    def stores(self) -> dict[str, TeacherStore]:
        """The stores of the teachers that have one."""
        return {
            name: teacher.store
            for name, teacher in self.teachers.items()
            if isinstance(teacher, StoredTeacher)
        }

    @property
    def models(self) -> dict[str, nn.Module | None]:
        """Student and teachers by the names that links use; None for stored ones."""
        return {
            STUDENT: self.architecture,
            **{name: one.module for name, one in self.teachers.items()},
        }

    def live_teachers(self) -> list[Teacher]:
        """Returns the teachers that run, not those that are stored."""
        return [one for one in self.teachers.values() if isinstance(one, Teacher)]

    def _build_teachers(
        self, sources: Mapping[str, TeacherSource], problems: list[Problem]
    ) -> dict[str, Teacher | StoredTeacher]:
        """Builds the teachers; of one that cannot be built there is a problem."""
        built: dict[str, Teacher | StoredTeacher] = {}
        for name, source in sources.items():
            own, renormalize = source.config, None
            config = {**self.teacher_defaults, **own}
            weight = config.get('weight', 1.0)
            with collecting(problems, f'model.teachers.{name}.weight'):
                check_range('weight', weight, ge=0)
            if config.get('store') is not None:
                with collecting(problems, source.store_path):
                    if source.learns:
                        raise ConfigError('a teacher that is trained cannot be stored.')
                    store = TeacherStore(config['store'])
                    built[name] = StoredTeacher(name, store, weight)
                continue
            module: Any = None
            with collecting(problems, source.path):
                module = build_model(config.get('model'), source.path)
            if module is None:
                continue
            if module is config.get('model'):
                # it came built; init_weights() must not undo that
                vars(module)['_is_init'] = True
            preprocess, path = config.get('preprocess'), f'model.teachers.{name}'
            precision: str | None = None
            where = f'{path}.' if 'precision' in own else 'model.teacher_'
            with collecting(problems, f'{where}precision'):
                check_choice('precision', config['precision'], (None, *PRECISIONS))
                precision = config['precision']
            with collecting(problems, f'{path}.preprocess'):
                renormalize = Teacher.renormalization(
                    module,
                    self if config.get('input') is None else None,
                    preprocess,
                    f'{path}.preprocess',
                )
            kind: Any = Teacher
            if source.learns:
                kind = partial(Peer, optimizer=config.get('optimizer'), path=path)
            with collecting(problems, source.ckpt_path):
                built[name] = kind(
                    name,
                    module,
                    checkpoint=config.get('ckpt'),
                    weight=weight,
                    min_matched=config['min_matched'],
                    renormalize=renormalize,
                    own_input=preprocess is not False,
                    precision=precision,
                    channels_last=config['channels_last'],
                    input=config.get('input'),
                )
        return built

    def _dry_run(self, may_fix: dict[str, bool], problems: list[Problem]) -> None:
        """Finds modes, plans alignment, keeps in-place operations off the taps.

        Links that cannot work are taken out, and the others are looked at.

        Args:
            may_fix: Whether in-place activations of student and teachers may be
                turned off.
            problems: What is wrong is added to it.

        Raises:
            ConfigError: A model cannot be run.
        """
        distiller = self.distiller
        problems += distiller.tap_problems(self.models)
        distiller.drop({*distiller.broken, *(problem.link for problem in problems)})
        # all see the same pictures in training
        sizes = {store.input_size for store in self.stores.values()}
        built = [model for model in self.models.values() if model is not None]
        own_size = self.input_size = next(iter(sizes), None) or input_size(*built)
        if len(sizes) > 1:
            what = f'pictures of {sorted(sizes)} were stored; all must have one size.'
            raise ConfigError.at('model.teachers', what)
        if self.student_input is not None:
            own_size, self.input_size = self.student_input.blank_sizes(own_size)
            for height, width in sizes:
                self.input_size = height, width
                scale = self.student_input.scale
                own_size = int(height * scale), int(width * scale)
            unfit = self.student_input.link_problems(distiller)
            distiller.drop({problem.link for problem in unfit})
            problems += unfit
        batch = blank_batch(self.architecture, own_size)
        try:
            silent = self._record(batch, may_fix)
            while silent:
                problems += silent
                if not all(problem.link for problem in silent):
                    raise ConfigError.of(problems)
                distiller.drop({problem.link for problem in silent})
                silent = self._record(batch, may_fix)
            found = row_problems(distiller, self.models, len(batch['inputs']))
            # statistics and counters of connectors must not change with a blank image
            with ExitStack() as stack:
                stack.enter_context(undisturbed(distiller))
                for recorder in distiller.recorders.values():
                    stack.enter_context(recorder.detached())
                found += distiller.plan(batch, self.models)
            distiller.drop({problem.link for problem in found})
            if self.student_trainable:
                found += gradient_problems(distiller, self.architecture, batch)
            # the student's pictures may have sides that the teacher cannot take
            pads = known_divisor(self.architecture) % STRIDE != 0
            for name, teacher in self.teachers.items():
                if isinstance(teacher, StoredTeacher):
                    continue
                if not teacher.learns:
                    found += unfilled_problems(distiller, teacher, self.input_size)
                if pads and name in distiller.recorders:
                    teacher.find_divisor(distiller.recorders[name], self.input_size)
            distiller.drop({problem.link for problem in found})
            problems += found
        finally:
            distiller.clear()

    def _record(self, batch: dict[str, Any], may_fix: dict[str, bool]) -> list[Problem]:
        """Records a pass of each model; returns a problem for each that fails."""
        problems = []
        self.distiller.reset_recorders()
        for owner, recorder in self.distiller.recorders.items():
            model, teacher = self.models[owner], self.teachers.get(owner)
            if isinstance(teacher, StoredTeacher):
                teacher.run_blank(recorder)
            if model is None:
                continue
            # each project packs its samples in a class of its own
            own = batch if teacher is None else blank_batch(model, self.input_size)
            mode, problem = self._run_once(owner, model, recorder, own)
            if recorder.changed() and may_fix[TEACHER if teacher else STUDENT]:
                count = set_inplace(model, False)
                print_log(
                    f'In-place activations would overwrite taps of `{owner}`; '
                    f'turned {count} off.',
                    logger='current',
                )
                mode, problem = self._run_once(owner, model, recorder, own)
            if problem is not None:
                problems.append(problem)
            if teacher is None:
                self.student_mode = mode
            else:
                teacher.mode = mode
        return problems

    def _run_once(
        self, owner: str, model: nn.Module, recorder: Any, batch: dict[str, Any]
    ) -> tuple[str, Problem | None]:
        """Returns the mode in which the taps of a model fire, or why they do not."""
        try:
            stop = owner in self.teachers and not self.teachers[owner].learns
            return run_once(model, recorder, batch, stop=stop), None
        except TapError as error:
            cause = error.__cause__
            if cause is not None:
                several = f'model.teachers.{owner}.model'
                paths = {STUDENT: 'model.architecture', TEACHER: 'model.teacher'}
                what = f'fails on a blank image: {type(cause).__name__}: {cause}'
                return 'tensor', Problem(paths.get(owner, several), what)
            silent = {tap.source for tap in recorder.silent()}
            for link in self.distiller.links:
                for key, tap in link.all_taps():
                    if tap.of == owner and tap.source in silent:
                        path = link.where(f'{key}.at')
                        return 'tensor', Problem(path, str(error), '', link.name)
            # what is delivered is of no link
            return 'tensor', Problem('model.distiller', str(error))

    # ---- life ---------------------------------------------------------------------

    def init_weights(self) -> None:
        """Initialises the student and loads the checkpoints of all models."""
        super().init_weights()
        if self.student_ckpt is not None:
            self.student_report = load_weights(
                self.architecture,
                self.student_ckpt,
                role=STUDENT,
                min_matched=self.min_matched,
                logger='current',
            )
        self.load_teachers()
        self.distiller.bind_teachers(self.models)
        if self.init_report is not None:
            init_from_teacher(self.architecture, self.teacher, self.init_report)
            print_log(self.init_report.describe(), logger='current')

    def load_teachers(self) -> None:
        """Loads the teachers' checkpoints, which must fill what is tapped."""
        for teacher in self.live_teachers():
            teacher.initialize()
        self._check_loaded()

    def _check_loaded(self) -> None:
        """Raises where a tap depends on weights that no checkpoint has filled."""
        problems = [
            problem
            for teacher in self.live_teachers()
            if not teacher.learns
            for problem in unfilled_problems(self.distiller, teacher, self.input_size)
        ]
        if problems:
            raise ConfigError.of(problems)
        self._checked_teachers = True

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any) -> TeacherDistill:
        super()._apply(fn, *args)
        for teacher in self.live_teachers():
            teacher.module._apply(fn)
        return self

    def train(self, mode: bool = True) -> TeacherDistill:
        """Sets the student's mode; teachers stay in eval."""
        super().train(mode)
        for teacher in self.live_teachers():
            teacher.keep_preprocessor(self.data_preprocessor)
        return self

    def build_optim_wrapper(
        self, build: Callable[[nn.Module, Any], OptimWrapper], cfg: Mapping[str, Any]
    ) -> OptimWrapper:
        """Builds the optimizer: the student's as in a plain run, the rest beside it.

        Constructors and `paramwise_cfg` choose by the names of a plain model. So they
        see the student alone; connectors and losses get the base learning rate. A
        teacher that learns has groups of its own, which its `optimizer` may change.

        Args:
            build: Builds the optimizer wrapper of a model, as mmengine does.
            cfg: Config of the wrapper.
        """
        constructor = cfg.get('constructor')
        choosing = ('constructor', 'paramwise_cfg')
        if isinstance(constructor, str):
            constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(constructor)
        if getattr(constructor, 'trains_discriminators', False):
            if any(getattr(one, 'optimizer', None) for one in self.teachers.values()):
                what = "does not look at a teacher's `optimizer`: leave one out."
                raise ConfigError.at('optim_wrapper.constructor', what)
            return build(self, cfg)
        if not any(p.requires_grad for p in self.architecture.parameters()):
            # nothing to choose among
            return build(self, {k: v for k, v in cfg.items() if k not in choosing})
        if not any(map(cfg.get, choosing)) and not self.peers:
            return build(self, cfg)
        wrapper = build(self.architecture, cfg)
        for peer in self.teachers.values():
            if isinstance(peer, Peer):
                optimizer = {**cfg.get('optimizer', {}), **peer.optimizer}
                own = build(peer.module, {**cfg, 'optimizer': optimizer})
                for group in own.optimizer.param_groups:
                    wrapper.optimizer.add_param_group(group)
        return self.add_connectors(wrapper, but=self.peers.parameters())

    def add_connectors(
        self, wrapper: OptimWrapper, but: Iterable[nn.Parameter] = ()
    ) -> OptimWrapper:
        """Adds the parameters of connectors and losses to the student's optimizer.

        Args:
            wrapper: The student's.
            but: Parameters that another optimizer trains.

        Raises:
            ConfigError: There are several optimizers to choose from.
        """
        known = {id(p) for p in (*self.architecture.parameters(), *but)}
        rest = {
            name: p
            for name, p in self.named_parameters()
            if p.requires_grad and id(p) not in known
        }
        if not rest:
            return wrapper
        if isinstance(wrapper, OptimWrapperDict):
            what = (
                f'builds several optimizers, {list(wrapper.optim_wrappers)}, and it is '
                'not known which of them should train connectors and losses.'
            )
            raise ConfigError.at('optim_wrapper.constructor', what)
        group: dict[str, Any] = {'params': list(rest.values())}
        if any('param_names' in one for one in wrapper.optimizer.param_groups):
            # torch wants them in all groups or in none
            group['param_names'] = list(rest)
        wrapper.optimizer.add_param_group(group)
        return wrapper

    def __getattr__(self, name: str) -> Any:
        """Falls back to attributes of the student, for hooks that expect its model."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            student = vars(self).get('_modules', {}).get('architecture')
            if name.startswith('_') or not hasattr(student, name):
                raise
            return getattr(student, name)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any
    ) -> None:
        # checkpoints of MMRazor hold the teacher, which has its own file here
        for key in [k for k in state_dict if k.startswith(f'{prefix}teacher.')]:
            del state_dict[key]
        for name, peer in self.teachers.items():
            own = f'{prefix}peers.{name}.'
            if isinstance(peer, Peer) and any(
                key.startswith(own) for key in state_dict
            ):
                # its own checkpoint must not undo this
                peer.is_ready = True
        self._rename_plain(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _rename_plain(self, state_dict: dict[str, Tensor], prefix: str) -> None:
        """Gives the student the weights of a plain model, such as `load_from` names."""
        given = [key for key in state_dict if key.startswith(prefix)]
        parts = (f'{prefix}architecture.', f'{prefix}distiller.')
        if not given or any(key.startswith(parts) for key in given):
            return
        known = self.architecture.state_dict()
        fitting = [key for key in given if key[len(prefix) :] in known]
        if not fitting:
            raise CheckpointError(
                f'The weights are neither those of a distillation nor of the student, '
                f'a `{type(self.architecture).__name__}`: it has no {given[0]!r}. Name '
                'the file in `model.student_ckpt` to see what fits.'
            )
        for key in fitting:
            new = f'{prefix}architecture.{key[len(prefix) :]}'
            state_dict[new] = state_dict.pop(key)
        print_log(
            f'The weights are those of a plain model: {len(fitting)} of {len(known)} '
            'went into the student.',
            logger='current',
        )

    def loss(
        self, inputs: Tensor, data_samples: Sequence[Any] | None = None
    ) -> dict[str, Tensor]:
        """Computes the task losses and the losses of the links.

        Args:
            inputs: Normalised batch ``(n c h w)``.
            data_samples: Its samples with ground truth.

        Returns:
            ``student.<loss>`` for the task, ``distill.<link>`` for the links.
        """
        if not self._checked_teachers:
            # nobody has called init_weights()
            for teacher in self.teachers.values():
                teacher.load()
            self._check_loaded()
        distiller = self.distiller
        stopped = self.distillation_stopped
        deliveries = None if stopped else distiller.deliveries
        position = distiller.begin_step()
        batch = self.student_batch(inputs, data_samples)
        losses: dict[str, Any] = {}
        task = float(self.calculate_student_loss)
        if self.task_schedule is not None:
            task = self.task_schedule.factor(*position)
        try:
            if deliveries is not None:
                deliveries.override_data = False
            for name, teacher in self.teachers.items():
                if isinstance(teacher, Peer):
                    recorder = distiller.recorders.get(name)
                    losses |= teacher.learn(recorder, inputs, data_samples)
                elif name in distiller.active and not stopped:
                    recorder = distiller.recorders[name]
                    try:
                        with deliveries or nullcontext():
                            teacher.run(recorder, inputs, data_samples)
                    except AttributeError as error:
                        self._explain_missing_labels(recorder, teacher.mode, error)
                        raise
            if deliveries is not None:
                deliveries.override_data = True
            losses |= self._student_losses(**batch, deliveries=deliveries, weight=task)
            if stopped:
                distill = distiller.idle()
            else:
                distill = distiller.compute_distill_losses(batch)
            for name, value in distill.items():
                losses[f'distill.{name}'] = value
            return losses
        finally:
            distiller.clear()

    def student_batch(self, inputs: Tensor, data_samples: Any) -> dict[str, Any]:
        """Returns what the student gets of a batch; see `student_input`."""
        if self.student_input is not None:
            return self.student_input(inputs, data_samples)
        return {'inputs': inputs, 'data_samples': data_samples}

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums the losses up, as every step of a training does.

        Raises:
            ConfigError: A discriminator has no optimizer of its own, so the student's
                would train it.
        """
        if not all(one.has_optimizer for one in discriminators_of(self.distiller)):
            raise ConfigError.of([NO_DISCRIMINATOR_OPTIMIZER])
        return super().parse_losses(losses)

    def _student_losses(
        self, inputs: Tensor, data_samples: Any, deliveries: Any, weight: float
    ) -> dict[str, Any]:
        """Runs the student, recording what is tapped; returns its task losses.

        Args:
            inputs: The batch.
            data_samples: Its samples.
            deliveries: What the student takes over from the teacher's pass.
            weight: Factor on the task losses, which are not computed where it is 0.
        """
        distiller, student = self.distiller, self.architecture
        recorder = None
        if STUDENT in distiller.active and not self.distillation_stopped:
            recorder = distiller.recorders.get(STUDENT)
        if recorder is None and not weight:
            # no part of the student is used, so its pass is left out
            return {}
        mode = 'loss' if weight else self.student_mode
        # without a task loss nothing is needed after the last tap, nor any label
        recording = (
            nullcontext()
            if recorder is None
            else recorder.recording(student, stop=not weight)
        )
        gradients = nullcontext() if self.student_trainable else torch.no_grad()
        losses: dict[str, Any] = {}
        try:
            with recording, gradients, deliveries or nullcontext():
                losses = student(inputs, data_samples, mode=mode)
        except AttributeError as error:
            if recorder is not None:
                self._explain_missing_labels(recorder, mode, error)
            raise
        if not weight:
            return {}
        if weight != 1:
            losses = {name: _weighted(name, v, weight) for name, v in losses.items()}
        return {f'student.{name}': value for name, value in losses.items()}

    def _explain_missing_labels(
        self, recorder: Recorder, mode: str, error: AttributeError
    ) -> None:
        """Raises a `DataError` where a pass without a task loss lacks its labels."""
        if self.calculate_student_loss or mode != 'loss':
            return
        taps = sorted({str(tap.source) for tap in recorder.taps})
        what = (
            f"one of the taps {taps} of `{recorder.owner}` is called in mode='loss' "
            f'only, which needs labels, and that failed: {error}. Tap modules that are '
            'called without labels, or give labels.'
        )
        raise DataError.at('model.calculate_student_loss', what) from error


@dataclass(frozen=True)
class TeacherSource:
    """One teacher as a config gives it.

    Args:
        config: Its `model`, `ckpt` and other options.
        path: Config path of its model.
        ckpt_path: Config path of its checkpoint.
        store_path: Config path of its store.
        learns: Whether it is trained beside the student.
    """

    config: dict[str, Any]
    path: str
    ckpt_path: str
    store_path: str
    learns: bool = False


def read_teachers(
    teacher: Any,
    ckpt: Any,
    teachers: Any,
    store: Any = None,
    *,
    trainable: bool = False,
) -> tuple[dict[str, TeacherSource], list[Problem]]:
    """Reads the teachers from the keys of a `TeacherDistill`, without building them.

    Args:
        teacher: Its `teacher`.
        ckpt: Its `teacher_ckpt`.
        teachers: Its `teachers`.
        store: Its `teacher_store`; there may be no `teacher` then.
        trainable: Its `teacher_trainable`.

    Returns:
        The teachers by name, none where it is not known which they are; the problems.
    """
    path = 'model.teachers'
    if ((teacher is None) == (teachers is None)) and (store is None or teachers):
        return {}, [Problem('model.teacher', 'give either `teacher` or `teachers`.')]
    if teachers is None:
        config = {'model': teacher, 'ckpt': ckpt, 'store': store}
        paths = 'model.teacher', 'model.teacher_ckpt', 'model.teacher_store'
        return {TEACHER: TeacherSource(config, *paths, bool(trainable))}, []
    if not isinstance(teachers, Mapping) or not all(
        isinstance(config, Mapping) for config in teachers.values()
    ):
        found = f'must be a dict with a dict for each teacher, but is {teachers!r}.'
        return {}, [Problem(path, found)]
    taken = sorted({STUDENT, BATCH}.intersection(teachers))
    if taken:
        hint = 'Links use these names for others.'
        return {}, [Problem(path, f'a teacher cannot be called {taken}.', hint)]
    problems = []
    for key, value in (('ckpt', ckpt), ('store', store)):
        if value is not None:
            hint = f'In `teachers` each one has its `{key}`.'
            problems.append(Problem(f'model.teacher_{key}', _SINGLE, hint))
    sources = {}
    for name, config in teachers.items():
        known, own = dict.fromkeys(_TEACHER_KEYS, False), f'{path}.{name}'
        problems += compare_arguments(name, known, config, own)
        kept = {key: value for key, value in config.items() if key in known}
        learns = bool(kept.get('trainable', trainable))
        if learns and ('.' in name or hasattr(nn.ModuleDict, name)):
            found = 'is no name that a module can have in a checkpoint.'
            problems.append(Problem(own, found, 'Call it otherwise.'))
            learns = False
        paths = f'{own}.model', f'{own}.ckpt', f'{own}.store'
        sources[name] = TeacherSource(kept, *paths, learns)
        if 'optimizer' in kept and not learns:
            found = 'is for a teacher that is trained.'
            hint = 'Write `trainable=True` beside it, or leave it out.'
            problems.append(Problem(f'{own}.optimizer', found, hint))
    return sources, problems


def _weighted(name: str, value: Any, weight: float) -> Any:
    """Weights what is added up as a loss; accuracies and the like stay."""
    if 'loss' not in name:
        return value
    if isinstance(value, (list, tuple)):
        return [part * weight for part in value]
    return value * weight


def build_distiller(config: Any) -> LinkDistiller:
    """Builds a `LinkDistiller`, also from the keys of MMRazor's.

    Raises:
        ConfigError: Its type or an argument is wrong, or a link is; its ``partial`` is
            the distiller without these.
    """
    if isinstance(config, LinkDistiller):
        return config
    path, example = 'model.distiller', "dict(type='mmkd_ext.LinkDistiller', links=...)"
    if not isinstance(config, Mapping):
        raise ConfigError.at(path, f'must be {example}, but is {config!r}.')
    problems = []
    kind = config.get('type', LinkDistiller)
    if 'type' not in config:
        problems.append(Problem(path, f'must be {example}, but is {config!r}.'))
    short = kind in ('LinkDistiller', 'ConfigurableDistiller')
    cls: Any = LinkDistiller if short else find_class(kind)
    if cls is ConfigurableDistiller:
        cls = LinkDistiller
    if not (isinstance(cls, type) and issubclass(cls, LinkDistiller)):
        found = (
            "must be a `LinkDistiller` or MMRazor's `ConfigurableDistiller`, but is "
            f'{kind!r}.'
        )
        hint = did_you_mean(str(kind), _DISTILLERS).strip()
        problems.append(Problem(f'{path}.type', found, hint))
        cls = LinkDistiller
    known, unknown = known_arguments(cls, config, path)
    problems += unknown
    try:
        distiller = cls(**known)
    except ConfigError as error:
        problems += error.problems
        distiller = error.partial
    if problems:
        raise ConfigError.of(problems, distiller)
    return distiller
