"""Interrupts that the kernel places itself."""

from __future__ import annotations

import re

_MANAGED = re.compile(
    r"nvme[0-9]+q[0-9]+|virtio[0-9]+-req(uest)?\.[0-9]+|(mpi3mr|mpt[23]sas|megasas|aacraid|hpsa|smartpqi)[0-9A-Za-z._:-]*"
)


def is_managed(action: str) -> bool:
    """Whether it is of a queue of a block device: these the kernel spreads over all CPUs itself (kernel/irq/affinity.c), and
    refuses to move; they are silent while no program on that CPU does I/O."""
    return _MANAGED.fullmatch(action) is not None
