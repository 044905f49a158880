"""What a host's files say, carrier by carrier, brought to common terms: roles of CPU sets, pages, VFs, knobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from kvmc.audit.bootline import Option
from kvmc.audit.domain import Domain
from kvmc.audit.irq_places import Places
from kvmc.audit.source import At
from kvmc.diagnostics import Code, Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import PciAddress
from kvmc.topology import Topology

if TYPE_CHECKING:
    from kvmc.audit.vswitch import Vswitch


class Role(Enum):
    """What a list of CPUs is for."""

    ISOLATED = "isolated from the scheduler's balancing"
    NOHZ_FULL = "without a tick"
    RCU_NOCBS = "free of RCU callbacks"
    MANAGED_IRQ = "kept free of managed interrupts"
    IRQ = "for interrupts"
    SERVICES = "for the system's services"
    BANNED = "banned for irqbalance"
    TUNED_ISOLATED = "isolated by tuned"
    WORKQUEUE = "for unbound workqueues"
    OTHER = "for something else"


@dataclass(frozen=True, slots=True)
class RoleSet:
    """A list of CPUs: its role, the setting that holds it as its file spells it."""

    role: Role
    setting: str
    cpus: CpuSet
    span: Span

    def label(self, text: str = "") -> Label:
        return Label(self.span, text or f"`{self.setting}` is {self.cpus}")


@dataclass(frozen=True, slots=True)
class Knob:
    """A knob under one name, whoever sets it. `owner`: the carrier; tuned profiles of one host are no owners beside each other."""

    name: str
    setting: str
    owner: str
    value: str
    span: Span
    head: Span | None = None
    """The line of the section that it stands below."""


@dataclass(frozen=True, slots=True)
class PageSupply:
    """Huge pages that the host is told to keep. `node` None: spread evenly over the nodes with memory."""

    node: int | None
    size_kib: int
    count: int
    span: Span


@dataclass(frozen=True, slots=True)
class VfSupply:
    """VFs that the host is told to make."""

    parent: PciAddress
    count: int
    span: Span


@dataclass(frozen=True, slots=True)
class CacheShare:
    """What a script leaves of a cache to the default group of resctrl: masks of the group and of the whole cache."""

    resource: str
    id: int
    mask: int
    whole: int
    span: Span


@dataclass(slots=True)
class HostFiles:
    """All of one host. `has_host_half`: some file besides domains is there, so that what is missing can be told."""

    host: str
    topology: Topology
    domains: list[Domain] = field(default_factory=list)
    options: list[At[Option]] = field(default_factory=list)
    sets: list[RoleSet] = field(default_factory=list)
    knobs: list[Knob] = field(default_factory=list)
    pages: list[PageSupply] = field(default_factory=list)
    vfs: list[VfSupply] = field(default_factory=list)
    shares: list[CacheShare] = field(default_factory=list)
    vswitch: Vswitch | None = None
    heads: dict[str, Span] = field(default_factory=dict)
    """The first line of each file that can be read, by its path."""
    default_page_kib: int = 2048
    has_host_half: bool = False
    irqs: Places | None = None
    """Where a script puts interrupts; None where none does."""
    gives_boot_cpu: bool = False
    """They say that the CPU which boots is the guests' by choice."""
    handwritten: bool = False
    """Written by people: what the files do not tell may be told by others that are not here."""
    boot_place: Span | None = None
    """Where the boot line begins, for what is not on it."""

    @property
    def unknown(self) -> Code:
        """The code of what these files do not tell: no fault of theirs where people wrote them."""
        return codes.TOLD_ELSEWHERE if self.handwritten else codes.NOT_JUDGED

    def of(self, *roles: Role) -> list[RoleSet]:
        return [one for one in self.sets if one.role in roles]

    def cpus(self, *roles: Role) -> CpuSet:
        return union(one.cpus for one in self.of(*roles))

    @property
    def isolated(self) -> CpuSet:
        """CPUs outside the scheduler's balancing from boot on."""
        return self.cpus(Role.ISOLATED)

    @property
    def housekeeping(self) -> CpuSet:
        """CPUs of the system's services; empty where no file tells."""
        return self.cpus(Role.SERVICES)
