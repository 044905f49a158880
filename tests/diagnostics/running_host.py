"""What provokes the codes of `verify` and `diff`: a host that runs, which no example of a page can be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from diagnostics.pages import Found, Stage
from kvmc.diagnostics import Bag, Sources
from kvmc.diagnostics.codes import verify as codes
from kvmc.verify.check import verify_host
from kvmc.verify.difference import CODES, Kind
from kvmc.verify.root import TextRoot
from kvmc.verify.run import verify_tree
from kvmc.verify.trees import read
from verify.deviations import DEVIATIONS, Root, both, drop, put
from verify.simulate import build_example, simulate

REASON = "it is said of a host that runs, so the test brings one along"
_LOUD = put("proc/sys/vm/swappiness", "60\n")


def deviates(
    change: Callable[[Root], None],
    stage: Stage,
    host: tuple[str, str] = ("telco-edge", "edge-17a"),
    running: bool = True,
) -> Found:
    example = build_example(host[0], stage.folder.parent)
    texts = example.trees[host[1]]
    root = simulate(host[1], texts, example.topologies[host[1]], running=running)
    change(root)
    verdict = verify_host(host[1], texts, TextRoot(root))
    return Found(verdict.bag, verdict.sources, int(not verdict.equal), stage.folder, None)


def nothing_compiled(stage: Stage) -> Found:
    (stage.folder / "capture").mkdir()
    stage.monkeypatch.chdir(stage.folder)
    verdict = verify_tree(stage.folder.relative_to(stage.folder) / "generated", "b", stage.folder / "capture")
    return Found(verdict.bag, verdict.sources, int(not verdict.equal), stage.folder, None)


def no_tree(stage: Stage) -> Found:
    bag = Bag()
    read("nowhere", bag)
    return Found(bag, Sources({}), int(bag.has_errors), stage.folder, None)


def _queue(root: Root) -> None:
    root["proc/irq/9/smp_affinity_list"] = root["proc/irq/9/effective_affinity_list"] = "40\n"
    root["sys/kernel/irq/9/actions"] = "nvme0q5\n"


_CHANGES: dict[str, Callable[[Stage], Found]] = {
    codes.INTERRUPT_MANAGED.id: partial(deviates, both(_queue, _LOUD)),
    codes.GUEST_OFF.id: partial(deviates, _LOUD, running=False),
    codes.NOT_CAPTURED.id: partial(deviates, drop("proc/sys/vm/swappiness")),
    codes.UNREADABLE.id: partial(deviates, put("kvmc/domains/x.live.xml", "<a")),
    codes.NOTHING_COMPILED.id: nothing_compiled,
    codes.TREE_UNREADABLE.id: no_tree,
}
for _kind in Kind:
    _one = next((one for one in DEVIATIONS if one.kind is _kind), None)
    if _one is not None:
        _CHANGES[CODES[_kind].id] = partial(deviates, _one.change, host=_one.host, running=_one.running)

UNPROVOKED = {code: (REASON, provoke) for code, provoke in sorted(_CHANGES.items())}
