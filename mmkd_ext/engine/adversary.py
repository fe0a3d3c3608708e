"""A separate optimizer for the discriminators of a distillation.

.. code-block:: python

    optim_wrapper = dict(
        constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
        discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))))
    param_scheduler = [
        dict(type='PolyLR', ...),
        dict(type='mmkd_ext.DiscriminatorScheduler', scheduler='PolyLR', ...)]

The result is the student's optimizer wrapper, of the type that the config names, with
the discriminators' beside it. One backward pass fills both sides' gradients, so the
training loop, DistributedDataParallel, parameter schedulers and hooks see a single
wrapper; what it does after that pass it does to both.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, cast

from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS as ANY_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as ANY_PARAM_SCHEDULERS
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, check_keys
from mmkd_ext.methods._adversary import discriminators_of
from mmkd_ext.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.nn import Parameter

    from mmkd_ext.algorithms import TeacherDistill

__all__ = ['AdversarialOptimWrapperConstructor', 'DiscriminatorScheduler']

_DEFAULT = {'type': 'Adam', 'lr': 4e-4, 'betas': (0.9, 0.99)}
_KEYS = ('optimizer', 'clip_grad')
_KEY = 'discriminator'


class _DiscriminatorOptimWrapper(OptimWrapper):
    """Steps the discriminators, after the student's wrapper went backward."""

    loss_scaler: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.clip_grad_kwargs:
            # the student's is logged by the plain name
            self.grad_name: str = f'{_KEY}_{self.grad_name}'

    def step(self, **kwargs: Any) -> None:
        """Steps; where the student's scaler has scaled the loss, through it."""
        if self.loss_scaler is None:
            super().step(**kwargs)
            return
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        # the student's wrapper updates the scale, once for both
        self.loss_scaler.step(self.optimizer, **kwargs)


class _WithDiscriminator(OptimWrapper):
    """Applies each operation of a student's wrapper to the discriminators' too."""

    discriminator: _DiscriminatorOptimWrapper

    def step(self, **kwargs: Any) -> None:
        """Steps both; the discriminators first, before a loss scale changes."""
        self.discriminator.step(**kwargs)
        super().step(**kwargs)

    def zero_grad(self, **kwargs: Any) -> None:
        """Clears the gradients of both."""
        self.discriminator.zero_grad(**kwargs)
        super().zero_grad(**kwargs)

    def get_lr(self) -> dict[str, list[float]]:
        """Returns the learning rates, those of the discriminators by their name."""
        theirs = self.discriminator.get_lr()['lr']
        return {**super().get_lr(), f'{_KEY}.lr': theirs}

    def state_dict(self) -> dict[str, Any]:
        """Returns the student's state, with the discriminators' under their name."""
        return {**super().state_dict(), _KEY: self.discriminator.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads both.

        Raises:
            CheckpointError: The run that wrote it had no discriminator.
        """
        own = dict(state_dict)
        if _KEY not in own:
            raise CheckpointError(
                'the checkpoint has no optimizer state of a discriminator, so the run '
                'that wrote it trained none. Start anew from its weights: `load_from` '
                'without `resume`.'
            )
        self.discriminator.load_state_dict(own.pop(_KEY))
        super().load_state_dict(own)

    def __repr__(self) -> str:
        return f'{super().__repr__()}{_KEY}: {self.discriminator!r}'


@functools.cache
def _with_discriminator(cls: type[OptimWrapper]) -> type[_WithDiscriminator]:
    """Returns a wrapper's class that has the discriminators' wrapper beside it.

    Raises:
        ConfigError: Its `backward` or `step` differs from mmengine's.
    """
    known = (OptimWrapper, AmpOptimWrapper)
    plain = all(
        getattr(cls, name) in [getattr(base, name) for base in known]
        for name in ('backward', 'step', 'update_params')
    )
    if not plain:
        raise ConfigError.at(
            'optim_wrapper.type',
            f'`{cls.__name__}` has its own `backward` or `step`, '
            'in which a discriminator cannot take part. Use `OptimWrapper`, '
            '`AmpOptimWrapper` or `mmkd_ext.Bf16OptimWrapper`.',
        )
    return type(f'{cls.__name__}WithDiscriminator', (_WithDiscriminator, cls), {})


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AdversarialOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Builds the student's optimizer wrapper with the discriminators' beside it.

    Everything in `optim_wrapper` is for the student, its connectors and losses, as
    ever: type, optimizer, clipping, accumulation, `paramwise_cfg`. So are the plain
    schedulers in `param_scheduler`; see `DiscriminatorScheduler` for the others. The
    key ``discriminator`` is for the discriminators; the type of wrapper and the
    accumulation are the student's. Linear scaling of the learning rate
    (`auto_scale_lr`) leaves the discriminators' alone.

    Under float16 both share one loss scale; a step that overflows on one side is left
    out on that side alone, as PyTorch does for several optimizers.

    Args:
        optim_wrapper_cfg: Config of the student's wrapper; in it ``discriminator``, a
            dict of ``optimizer`` (Adam with lr 4e-4 and betas 0.9 and 0.99, of which
            a dict without ``type`` changes some) and ``clip_grad``.
        paramwise_cfg: Options by parameter; not for the discriminators.

    Raises:
        ConfigError: Nothing has a discriminator, or a key is unknown.
    """

    trains_discriminators = True

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        cfg = copy.deepcopy(dict(optim_wrapper_cfg))
        self.discriminator_cfg = _completed(cfg.pop(_KEY, None) or {})
        kind = cfg.get('type', 'OptimWrapper')
        if isinstance(kind, str):
            with ANY_OPTIM_WRAPPERS.switch_scope_and_registry(None) as registry:
                kind = registry.get(kind) or kind
        if isinstance(kind, type):
            cfg['type'] = _with_discriminator(kind)
        super().__init__(cfg, paramwise_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds both for the parameters of a model."""
        model = getattr(model, 'module', model)
        found = discriminators_of(model)
        if not found:
            raise ConfigError.at(
                'optim_wrapper.constructor',
                'no link has a discriminator to be '
                'trained. Take the constructor out, or add a link with one, such as '
                '`mmkd_ext.SKDSHolisticLoss`.',
            )
        theirs = [p for one in found for p in one.parameters()]
        if self.paramwise_cfg:
            # options go by the names of a plain model
            distillation = cast('TeacherDistill', model)
            wrapper = super().__call__(distillation.architecture)
            distillation.add_connectors(wrapper, but=theirs)
        else:
            taken = set(map(id, theirs))
            own = (p for p in model.parameters() if id(p) not in taken)
            wrapper = super().__call__(nn.ParameterList(own))
        wrapper.discriminator = self._build_discriminators(theirs, wrapper)
        for one in found:
            one.has_optimizer = True
        return wrapper

    def _build_discriminators(
        self, parameters: Iterable[Parameter], student: OptimWrapper
    ) -> _DiscriminatorOptimWrapper:
        cfg = {**self.discriminator_cfg['optimizer'], 'params': list(parameters)}
        wrapper = _DiscriminatorOptimWrapper(
            OPTIMIZERS.build(cfg), clip_grad=self.discriminator_cfg.get('clip_grad')
        )
        wrapper.loss_scaler = getattr(student, 'loss_scaler', None)
        return wrapper


def _completed(cfg: dict[str, Any]) -> dict[str, Any]:
    """Returns the setting ``discriminator``, filled up with the defaults."""
    check_keys(f'optim_wrapper.{_KEY}', cfg, _KEYS)
    optimizer = cfg.get('optimizer') or {}
    if 'type' not in optimizer:
        optimizer = {**_DEFAULT, **optimizer}
    return {**cfg, 'optimizer': optimizer}


@PARAM_SCHEDULERS.register_module()
def DiscriminatorScheduler(
    optimizer: OptimWrapper, scheduler: str, **arguments: Any
) -> Any:
    """Returns a scheduler of the discriminators' optimizer.

    Args:
        optimizer: What `AdversarialOptimWrapperConstructor` has built.
        scheduler: Type of the scheduler, such as ``'PolyLR'``.
        **arguments: Its arguments.

    Raises:
        ConfigError: The optimizer has none for discriminators.
    """
    theirs = getattr(optimizer, _KEY, None)
    if theirs is None:
        raise ConfigError.at(
            'param_scheduler',
            '`mmkd_ext.DiscriminatorScheduler` needs optim_wrapper='
            "dict(constructor='mmkd_ext.AdversarialOptimWrapperConstructor').",
        )
    return ANY_PARAM_SCHEDULERS.build(
        {**arguments, 'type': scheduler, 'optimizer': theirs}
    )
