"""What a run of the pipeline gives, filled stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Diagnostic, Sources
from kvmc.hostconfig.plan import HostPlan
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.output.tree import Changes, Layout, OutputFile
from kvmc.resolver.locks import HostLock
from kvmc.resolver.placement import Placement
from kvmc.topology.model import Topology


@dataclass(slots=True)
class Outcome:
    """The values of all stages that ran; a stage behind the first error leaves its own empty.

    topologies, locks: by host, as read; locks also of hosts that are `gone` from the site. next_locks: as they shall be.
    files: host -> path below its folder -> file, sealed. changes: what the disk lacks; in `layout`.
    """

    bag: Bag
    texts: dict[str, str] = field(default_factory=dict)
    site: Site | None = None
    origins: Origins = field(default_factory=lambda: Origins({}))
    topologies: dict[str, Topology] = field(default_factory=dict)
    locks: dict[str, HostLock] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    placement: Placement | None = None
    plans: tuple[HostPlan, ...] = ()
    next_locks: Mapping[str, HostLock] = field(default_factory=dict)
    files: dict[str, dict[str, OutputFile]] = field(default_factory=dict)
    layout: Layout | None = None
    changes: Changes | None = None

    @property
    def ok(self) -> bool:
        return not self.bag.has_errors

    @property
    def sources(self) -> Sources:
        return Sources(self.texts)

    def tell(self, found: Iterable[Diagnostic]) -> bool:
        """Take a stage's diagnostics; whether the pipeline may go on."""
        self.bag.extend(found)
        return self.ok
