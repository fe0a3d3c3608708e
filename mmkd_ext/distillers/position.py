"""Where a training is, as the Runner that leads it says."""

from __future__ import annotations

from mmengine.logging import MessageHub

__all__ = ['RunnerPosition']


class RunnerPosition:
    """Reads iteration and epoch off mmengine's message hub, if a Runner writes there.

    A hub outlives its Runner, and the last one made is every model's "current" one. So
    a position is believed only where it has moved since it was last looked at; what an
    earlier Runner has left behind never moves. Two hubs are asked: the current one, and
    that of the Runner inside which this was made.
    """

    def __init__(self) -> None:
        hub = MessageHub.get_current_instance()
        self._made_in = hub.instance_name
        self._known = {hub.instance_name: _read(hub)}

    def read(self) -> tuple[int, int] | None:
        """Returns iteration and epoch, None where no Runner has moved them."""
        hubs = [MessageHub.get_current_instance()]
        if MessageHub.check_instance_created(self._made_in):
            hubs.append(MessageHub.get_instance(self._made_in))
        for hub in hubs:
            found = _read(hub)
            if found is not None and found != self._known.get(hub.instance_name):
                self._known[hub.instance_name] = found
                return found
        return None


def _read(hub: MessageHub) -> tuple[int, int] | None:
    runtime = hub.runtime_info
    if 'iter' not in runtime:
        return None
    return int(runtime['iter']), int(runtime.get('epoch', 0))
