"""What CPU models can't have: more packages in a host, or more nodes in a package, than they are built for.

Sources: the vendors' product pages (sockets that a model scales to) and tuning guides (SNC: up to 2 nodes a package before Sapphire
Rapids, 4 with it, 6 with Xeon 6; NPS: up to 4, or one node a L3).
"""

from __future__ import annotations

import re

from kvmc.topology.model import Topology

_CLIENT = r"Core\(TM\) (?:i[3579]|Ultra)|Ryzen (?!Threadripper)|Pentium|Celeron|Athlon"
_MOST_PACKAGES = (
    (_CLIENT, 1),
    (r"Xeon\(R\) (?:CPU )?(?:E3|E5-1|E-2|W-1|D-)|Threadripper|EPYC [0-9]{4}P\b|EPYC [48][0-9]{3}", 1),
    (r"Xeon\(R\) (?:CPU )?(?:E5-2|E7-2)|Xeon\(R\) (?:Bronze|Silver)|EPYC [79][0-9]{3}", 2),
    (r"Xeon\(R\) (?:CPU )?(?:E5-4|E7-4)|Xeon\(R\) Gold", 4),
    (r"Xeon\(R\) (?:CPU )?E7-8|Xeon\(R\) Platinum", 8),
)
_MOST_NODES = (
    (_CLIENT, 1),
    (r"Xeon\(R\) (?:CPU )?(?:E3|E-2|W-1|D-|E5-.* (?:0|v2) )", 1),
    (r"Xeon\(R\) (?:Bronze|Silver|Gold|Platinum) [0-9][12][0-9]{2}", 2),
    (r"Xeon\(R\) (?:Bronze|Silver|Gold|Platinum|CPU Max)", 4),
)


def impossible(topology: Topology) -> str | None:
    """What the CPU's model rules out; None for a guest of a hypervisor, whose CPU has only the name of the model."""
    model = topology.cpu.model
    if model is None or "hypervisor" in topology.cpu.features or topology.packages is None:
        return None
    packages = len(topology.packages)
    most = _limit(_MOST_PACKAGES, model)
    if most is not None and packages > most:
        return f"{packages} packages of `{model.strip()}`, which works in hosts of at most {most}"
    nodes = max((sum(bool(node.cpus & package) for node in topology.nodes) for package in topology.packages), default=0)
    most = _limit(_MOST_NODES, model)
    if most is None and re.search(r"EPYC [0-9]{4}", model):
        caches = [sum(cache.issubset(package) for cache in topology.l3 or ()) for package in topology.packages]
        most = max(4, *caches)
    if most is not None and nodes > most:
        return f"{nodes} nodes in a package of `{model.strip()}`, which makes at most {most}"
    return None


def _limit(table: tuple[tuple[str, int], ...], model: str) -> int | None:
    return next((most for pattern, most in table if re.search(pattern, model)), None)
