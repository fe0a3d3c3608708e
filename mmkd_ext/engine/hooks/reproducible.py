"""A hook that makes a resumed run equal to one that never stopped."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from mmkd_ext.datasets.augmentations import Augmentations
from mmkd_ext.errors import ConfigError, DataError, check_integer
from mmkd_ext.random_state import derive_seed, seed_all
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ['ReproducibleStepHook']


@HOOKS.register_module()
class ReproducibleStepHook(Hook):
    """Makes a run that is stopped and resumed equal to one that never stopped.

    mmengine's checkpoints hold no state of random generators. Here nothing needs it:
    every place that draws random numbers is seeded from where it stands.

    * A training step from (seed, iteration, rank): dropout, masks, samplers of boxes.
    * A sample from (seed, epoch, batch, place in the batch, rank), in whichever
      worker it is loaded: crops and flips are the same for any number of workers,
      also persistent ones.
    * A validation from (seed, iteration, rank).

    With `augmentations`, or a stored teacher, a sample is seeded from (augmentation,
    index) instead, and pass `e` over the data sees augmentation ``e % augmentations``.

    So a resumed run starts at the batch where it was stopped without loading those
    before it, in an iteration-based loop as in the middle of an epoch; and what
    validation draws does not change training. On a CPU, losses and weights are equal
    bit for bit; on a GPU they are as equal as two runs from the same seed.

    Limits: a transform that remembers earlier samples (mmdet's CachedMosaic) starts
    with an empty memory, and gradients that were accumulated but not applied yet are
    lost, so save at multiples of ``accumulative_counts``.

    Args:
        validate_missed: Whether a resumed run first validates, when its checkpoint was
            saved just before a validation that the stop may have cut off. Without it,
            a best checkpoint or a scheduler that follows the metric could differ.
        augmentations: Number of augmentations that each picture has. None for a new one
            each time, or where a teacher is stored, for as many as were.

    Raises:
        ConfigError: The data cannot be those which a stored teacher saw.
    """

    # before the step and after all other hooks; its `before_train` needs what they set
    priority = 'LOWEST'

    def __init__(
        self,
        validate_missed: bool = True,
        *,
        augmentations: int | None = None,
    ) -> None:
        self.validate_missed = validate_missed
        if augmentations is not None:
            check_integer('augmentations', augmentations, ge=1)
        self.augmentations = augmentations
        self._batches: _SeededBatches | None = None

    def before_train(self, runner: Runner) -> None:
        """Makes the data continue where the checkpoint was saved."""
        self._seed_data(runner)
        if self.validate_missed and runner.iter > 0 and self._missed(runner):
            runner.logger.info(
                f'The checkpoint was saved before the validation at iteration '
                f'{runner.iter}: validating now.'
            )
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Sets the epoch of the data."""
        if self._batches is not None:
            self._batches.epoch = runner.epoch

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seeds the step."""
        del batch_idx, data_batch
        seed_all(derive_seed(_base_seed(runner), 'step', runner.iter, get_rank()))

    def before_val_epoch(self, runner: Runner) -> None:
        """Seeds the validation, and notes in the next checkpoint that it began."""
        if runner.train_loop is None:
            return
        runner.message_hub.update_info('validated_iter', runner.iter)
        seed_all(derive_seed(_base_seed(runner), 'val', runner.iter, get_rank()))

    def _seed_data(self, runner: Runner) -> None:
        """Replaces the loader's batches by seeded ones from the right place on."""
        loop, loader = runner.train_loop, runner.train_loop.dataloader
        fixed = self._augmentations(runner, loader.dataset)
        if fixed is not None and not isinstance(loader, DataLoader):
            # the check's, which gives one batch
            loader.dataset = fixed
            return
        by_iter = isinstance(loop, IterBasedTrainLoop)
        known = by_iter or isinstance(loop, EpochBasedTrainLoop)
        map_style = (
            isinstance(loader, DataLoader)
            and loader.batch_sampler is not None
            and not isinstance(loader.dataset, IterableDataset)
        )
        if fixed is not None and not (known and map_style):
            raise ConfigError(
                'Stored augmentations need an iteration- or epoch-based loop over a '
                f'dataset with indices, not `{type(loop).__name__}` over '
                f'`{type(loader.dataset).__name__}`.'
            )
        if not (known and map_style):
            runner.logger.warning(
                f'`ReproducibleStepHook` cannot replay the data of '
                f'`{type(loop).__name__}` over `{type(loader).__name__}`: a resumed '
                'run may see other samples. Use an iteration- or epoch-based loop '
                'over a dataset with indices.'
            )
            return
        fresh = _fresh_batch_sampler(runner, loader)
        done = runner.iter if by_iter else runner.iter - runner.epoch * len(loader)
        self._batches = _SeededBatches(
            fresh,
            _base_seed(runner),
            get_rank(),
            endless=by_iter,
            skip=max(done, 0),
            fixed=fixed,
        )
        # DataLoader refuses a plain assignment. A new loader would lose what
        # subclasses and hooks have put on this one.
        object.__setattr__(loader, 'batch_sampler', self._batches)
        if fixed is not None:
            object.__setattr__(loader, 'dataset', fixed)
        # persistent workers, which the loop has started, would go on with the old one
        loader._iterator = None
        if by_iter:
            loop.dataloader_iterator = _LoaderFrom(loader, skip=done)

    def _augmentations(self, runner: Runner, dataset: Any) -> Augmentations | None:
        """Returns the data with the augmentations that were asked for or stored."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        by_folder = {s.folder: s for s in getattr(model, 'stores', {}).values()}
        stores = list(by_folder.values())
        if isinstance(dataset, Augmentations):
            dataset = dataset.dataset
        stored = [store.augmentations for store in stores]
        count = self.augmentations or min(stored, default=None)
        if count is None:
            return None
        seeds = {s.seed for s in stores} or {0}
        if len(seeds) > 1 or count > min(stored, default=count):
            raise ConfigError(
                f'{count} augmentations are asked for, but {stored} are stored, with '
                f'the seeds {sorted(seeds)}: store as many, with one seed.'
            )
        for store in stores:
            # with a store there is a distillation; hooks work without MMRazor too
            from mmkd_ext.engine.store import check_origin

            check_origin(store, runner.cfg, model, dataset)
        return Augmentations(dataset, count, seeds.pop(), stores)

    def _missed(self, runner: Runner) -> bool:
        """Whether a validation was due right after the checkpoint."""
        loop = runner.train_loop
        if runner.val_loop is None or not isinstance(
            loop, (EpochBasedTrainLoop, IterBasedTrainLoop)
        ):
            return False
        if runner.message_hub.runtime_info.get('validated_iter') == runner.iter:
            return False
        now, last = loop.iter, loop.max_iters
        if isinstance(loop, EpochBasedTrainLoop):
            if loop.iter != loop.epoch * len(loop.dataloader):
                return False
            now, last = loop.epoch, loop.max_epochs
        loop._decide_current_val_interval()
        return now >= loop.val_begin and (now % loop.val_interval == 0 or now == last)


def _base_seed(runner: Runner) -> int:
    """Returns the seed of the run, equal on all ranks."""
    different = runner._randomness_cfg.get('diff_rank_seed', False)
    return runner.seed - (get_rank() if different else 0)


def _fresh_batch_sampler(runner: Runner, loader: DataLoader) -> Any:
    """Builds the sampler again: workers of the first iterator drew from the old one.

    The seed is that of the resumed run, which mmengine learns only after it has built
    its samplers.
    """
    cfg = runner._train_dataloader
    sampler_cfg = cfg.get('sampler') if isinstance(cfg, dict) else None
    if not isinstance(sampler_cfg, dict):
        return loader.batch_sampler
    sampler = DATA_SAMPLERS.build(
        copy.deepcopy(sampler_cfg),
        default_args={'dataset': loader.dataset, 'seed': _base_seed(runner)},
    )
    batch_cfg = cfg.get('batch_sampler')
    if isinstance(batch_cfg, dict):
        return DATA_SAMPLERS.build(
            copy.deepcopy(batch_cfg),
            default_args={'sampler': sampler, 'batch_size': cfg['batch_size']},
        )
    # a loader with batches has a batch size
    return BatchSampler(sampler, loader.batch_size or 1, loader.drop_last)


class _SeededBatches:
    """Batches of a batch sampler, each with the seeds of its samples.

    An ``endless`` one goes on with the next epoch; the first pass leaves out ``skip``.
    With ``fixed`` augmentations a pass over the data asks for one after the other; an
    endless sampler's passes are counted by its samples.
    """

    def __init__(
        self,
        batch_sampler: Any,
        seed: int,
        rank: int,
        *,
        endless: bool,
        skip: int,
        fixed: Augmentations | None = None,
    ) -> None:
        self.batch_sampler = batch_sampler
        self.epoch = 0
        self._seed, self._rank = seed, rank
        self._endless, self._skip, self._fixed = endless, skip, fixed

    @property
    def sampler(self) -> Any:
        """The sampler of single indices, which hooks look for."""
        return self.batch_sampler.sampler

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[_SeededBatch]:
        epoch, skip, self._skip = self.epoch, self._skip, 0
        while True:
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            number, seen = -1, 0
            for number, indices in enumerate(self.batch_sampler):
                first, seen = seen, seen + len(indices)
                if skip:
                    skip -= 1
                    continue
                place = (self._seed, 'data', epoch, number, self._rank)
                yield _SeededBatch(self._numbers(indices, epoch, first), place)
            if not self._endless:
                return
            if number < 0:
                raise DataError(
                    'The training data give no batch: the dataset is empty, or '
                    'smaller than one batch while `drop_last` is on.'
                )
            epoch += 1

    def _numbers(self, indices: list[Any], epoch: int, first: int) -> list[Any]:
        """Returns what the data set is asked for."""
        if self._fixed is None:
            return indices
        length, count = len(self._fixed), self._fixed.count
        places = (
            (first + i) * get_world_size() + self._rank for i in range(len(indices))
        )
        passes = (epoch + place // length for place in places)
        return [now % count * length + index for now, index in zip(passes, indices)]


class _SeededBatch:
    """Indices of a batch; going through them seeds each sample's random numbers.

    A loader's worker, or the main process where there are none, goes through them
    when it loads them.
    """

    def __init__(self, indices: list[Any], place: tuple[int | str, ...]) -> None:
        self.indices = indices
        self.place = place

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        for number, index in enumerate(self.indices):
            seed_all(derive_seed(*self.place, number), devices=False)
            yield index


class _LoaderFrom:
    """Iterator of an endless loader that counts the first batches without loading.

    mmengine's loop calls it once for each iteration that the checkpoint has behind it.
    """

    def __init__(self, loader: DataLoader, *, skip: int) -> None:
        self._loader = loader
        self._skip = skip
        self._iterator: Iterator[Any] | None = None

    def __iter__(self) -> _LoaderFrom:
        return self

    def __next__(self) -> Any:
        if self._skip:
            self._skip -= 1
            return None
        if self._iterator is None:
            self._iterator = iter(self._loader)
        return next(self._iterator)
