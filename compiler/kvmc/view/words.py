"""Numbers of a picture in words."""

from __future__ import annotations

from collections.abc import Iterable

from kvmc.model.cpuset import CpuSet
from kvmc.view.model import HostView, Use

_GIB = 1024**2


def amount(kib: int) -> str:
    """A size for a person: `251.5 GiB`, below one GiB in MiB."""
    return f"{kib / _GIB:.1f} GiB" if kib >= _GIB else f"{kib / 1024:.0f} MiB"


def cpu_range(cpus: Iterable[int]) -> str:
    """The list form of CPUs, its two ends and their number where it is long."""
    cpuset = CpuSet.of(cpus)
    text = str(cpuset)
    return text if len(text) <= 48 else f"{text.partition(',')[0]},…,{text.rpartition(',')[2]}, {len(cpuset)} in all"


def share(host: HostView) -> tuple[int, int]:
    """Dedicated CPUs that guests hold (idle siblings too), and all of them."""
    used = host.count(Use.GUEST, Use.IDLE, Use.EMULATOR)
    return used, used + host.count(Use.SPARE)
