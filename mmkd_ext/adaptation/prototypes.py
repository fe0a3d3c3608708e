"""Prototypes: the batch-norm statistics of each domain of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, check_choice, check_integer, check_range

if TYPE_CHECKING:
    from mmkd_ext.adaptation.bn_distance import RelativeDistance

__all__ = ['DomainPrototypes']

_DOMAINS = ('known', 'single', 'detected')


class DomainPrototypes(nn.Module):
    r"""The running statistics of the domains that a stream has shown so far.

    .. math::
        P_d \leftarrow (1 - m)\, P_d + m\, b(x), \qquad x \in d

    A domain's first batch starts its prototype; the source's statistics play no part.

    ``'detected'`` takes the prototype that is nearest to an image by
    `RelativeDistance`, and starts another domain where even that is further than
    `threshold`. Domains are then called ``domain 1``, ``domain 2``, ...

    Args:
        domains: ``'known'`` for the names that the stream gives, ``'single'`` for one
            prototype of everything, or ``'detected'``.
        momentum: Weight `m` of a new batch.
        threshold: Distance beyond which a detected domain is new. On toy streets and
            an untrained DeepLabV3+, clear images are 0.03 to 0.06 from their mean, and
            the conditions 0.07 to 0.6 from each other: look at the distances in the
            report, and choose yours.
        limit: Largest number of detected domains; then the nearest is taken always.
    """

    def __init__(
        self,
        domains: str = 'known',
        momentum: float = 0.1,
        threshold: float = 0.1,
        limit: int = 8,
    ) -> None:
        super().__init__()
        check_choice('domains', domains, _DOMAINS)
        check_range('momentum', momentum, gt=0, le=1)
        check_range('threshold', threshold, gt=0)
        check_integer('limit', limit, ge=1)
        self.domains = domains
        self.momentum = momentum
        self.threshold = threshold
        self.limit = limit
        self.reset()

    def reset(self) -> None:
        """Removes all domains."""
        self.found: dict[str, Tensor] = {}
        #: The layers whose statistics stand in a row.
        self.layers: list[str] = []

    def name_of(
        self,
        domain: str | None,
        statistics: Tensor | None = None,
        distance: RelativeDistance | None = None,
    ) -> str:
        """Returns the domain of a batch, which may be a new one; changes nothing.

        Args:
            domain: What the stream says.
            statistics: Those of the batch ``(2 c)``, needed to detect.
            distance: Compares statistics; likewise.

        Raises:
            ConfigError: Domains are to be known, and the stream does not say which.
        """
        if self.domains == 'single':
            return 'all'
        if self.domains == 'known':
            if domain is None:
                raise ConfigError(
                    "`prototypes.domains='known'`: the stream names no domain. Name "
                    "them in `test_cfg.domains`, or use 'single' or 'detected'."
                )
            return domain
        if statistics is None or distance is None:
            raise ValueError('domains are detected by the statistics of a batch')
        new = f'domain {len(self.found) + 1}'
        if not self.found:
            return new
        far = {name: float(distance(statistics, self.of(name, statistics)))
               for name in self.found}  # fmt: skip
        nearest = min(far, key=far.__getitem__)
        if far[nearest] > self.threshold and len(self.found) < self.limit:
            return new
        return nearest

    def of(self, name: str, default: Tensor) -> Tensor:
        """Returns the prototype of a domain, or the default before its first batch."""
        return self.found.get(name, default).to(default)

    def update(self, name: str, statistics: Tensor) -> None:
        """Updates the prototype of a domain with statistics ``(2 c)`` of a batch."""
        statistics = statistics.detach()
        # never in place: a saved state holds the tensors of its time
        self.found[name] = (
            self.of(name, statistics).lerp(statistics, self.momentum)
            if name in self.found
            else statistics.clone()
        )

    def distances(self, distance: RelativeDistance) -> dict[str, Any]:
        """Returns ``names`` and the ``distances`` between them, for the report."""
        like = distance.scale
        kept = [self.of(name, like) for name in self.found]
        table = [[round(float(distance(a, b)), 6) for b in kept] for a in kept]
        return {'names': list(self.found), 'distances': table}

    def describe(self) -> dict[str, Any]:
        """Returns its settings."""
        own: dict[str, Any] = {'domains': self.domains, 'momentum': self.momentum}
        if self.domains == 'detected':
            own |= {'threshold': self.threshold, 'limit': self.limit}
        return own

    def get_extra_state(self) -> dict[str, Any]:
        """Returns the prototypes."""
        return {'found': dict(self.found), 'layers': list(self.layers)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores those of a saved stream."""
        self.found = {name: value.clone() for name, value in state['found'].items()}
        self.layers = list(state['layers'])
