"""What a job kind is."""

from dataclasses import dataclass, field

from sprachbund.work.payloads.base import Layered, Payload
from sprachbund.work.payloads.star import Starred


@dataclass(frozen=True, slots=True)
class Kind:
    """What the planner, the queue and runners must know of a job kind. Smaller `priority` is claimed earlier.

    payload: what its jobs are asked. run: the runners' function, `module:name`; runners claim only versions they have.
    needs_model: it runs sentences through a model. lenient: it goes on without what failed among its needs.
    """

    name: str
    version: int
    priority: int
    description: str
    payload: type[Payload] = field(repr=False)
    run: str
    needs_model: bool = False
    lenient: bool = False

    @property
    def layered(self) -> bool:
        """Whether its subject has layers, which several jobs may share out among them."""
        return issubclass(self.payload, Layered)

    @property
    def starred(self) -> bool:
        """Whether its subject has pairs, which jobs share out among them as stars."""
        return issubclass(self.payload, Starred)
