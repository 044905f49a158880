"""vCPUs, memory, emulator and devices on the same nodes; cells and the guest's topology as the pins are."""

from __future__ import annotations

from kvmc.audit import asked_devices
from kvmc.audit.context import Context, cells_of, nodes_for, vf_index
from kvmc.audit.domain import Domain
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named, union
from kvmc.model.site import MemoryMode
from kvmc.model.values import size_text


def check(context: Context) -> None:
    for domain in context.files.domains:
        _cells(context, domain)
        _nodes(context, domain)
        _strict(context, domain)
        _beside(context, domain)
        _emulator(context, domain)
        _devices(context, domain)
        _topology(context, domain)
        _distances(context, domain)


def _cells(context: Context, domain: Domain) -> None:
    bag = context.bag
    if domain.cells:
        taken = CpuSet()
        for cell in domain.cells:
            if taken & cell.value.vcpus:
                bag.error(
                    codes.CELLS_WRONG, f"vCPU {taken & cell.value.vcpus} of `{domain.name}` is in two cells", cell.span
                )
            taken |= cell.value.vcpus
        every = CpuSet.of(range(domain.count))
        if domain.vcpus is not None and taken != every and not taken - every:
            bag.error(
                codes.CELLS_WRONG,
                f"vCPU {every - taken} of `{domain.name}` is in no cell",
                domain.cells[0].span,
                secondary=[cell.label() for cell in domain.cells[1:]],
            )
        elif domain.vcpus is not None and taken - every:
            bag.error(
                codes.CELLS_WRONG,
                f"the cells of `{domain.name}` hold vCPU {taken - every}, and it has {counted(domain.count, 'vCPU')} from 0",
                domain.cells[0].span,
                secondary=[*(cell.label() for cell in domain.cells[1:]), domain.vcpus.label("vCPUs")],
            )
        total = sum(cell.value.memory_kib for cell in domain.cells)
        # libvirt counts the modules in, and brings a definition that does not into order.
        modules = sum(module.value.memory_kib for module in domain.modules)
        if domain.memory is not None and domain.memory.value not in (total, total + modules):
            bag.error(
                codes.CELLS_WRONG,
                f"the cells of `{domain.name}` have {size_text(total)} together, the guest has {size_text(domain.memory.value)}",
                domain.memory.span,
                secondary=[cell.label("cells") for cell in domain.cells],
            )
    known = {cell.value.id for cell in domain.cells}
    for at in domain.numa:
        if at.value.cell is not None and at.value.cell not in known:
            bag.error(
                codes.STRAY, f"`memnode` is for cell {at.value.cell} of `{domain.name}`, which is not there", at.span
            )
    for page in domain.pages:
        stray = [cell for cell in page.value.cells or () if cell not in (known or {0})]
        if stray:
            bag.error(
                codes.STRAY, f"huge pages are for cell {stray[0]} of `{domain.name}`, which is not there", page.span
            )


def _nodes(context: Context, domain: Domain) -> None:
    there = CpuSet.of(node.id for node in context.topology.nodes)
    for at in domain.numa:
        absent = at.value.nodes - there
        if absent:
            context.bag.error(
                codes.NODE_ABSENT,
                f"memory of `{domain.name}` is to come from node {absent}; host `{context.files.host}` has nodes {there}",
                at.span,
            )


def _strict(context: Context, domain: Domain) -> None:
    """Whether the memory of a guest with CPUs of its own must lie where the files say."""
    bag, blamed = context.bag, context.blamed()
    held = context.dedicated(domain) or context.vm(domain) is not None
    if len(context.topology.nodes) < 2:
        return
    if context.files.handwritten:
        held = False  # which mode its people wanted, they alone know
    if not domain.numa and held:
        bag.error(
            codes.MEMORY_NOT_STRICT, f"no `numatune` keeps the memory of `{domain.name}` on its nodes", domain.head
        )
        return
    vm = context.vm(domain)
    if context.site is None and any(at.value.cell is not None for at in domain.numa):
        # Where all of it, cell by cell, says the same mode, that is what was asked for.
        held = held and len({at.value.mode for at in domain.numa}) > 1
    for at in domain.numa:
        if vm is not None and vm.numatune is not MemoryMode.STRICT:
            if at.value.mode != vm.numatune.value and at.span not in blamed:
                text = f"memory of `{domain.name}` has mode `{at.value.mode[:40]}`, asked for is `{vm.numatune}`"
                bag.error(codes.MEMORY_NOT_STRICT, text, at.span)
            continue
        if held and at.value.mode not in ("strict", "restrictive") and at.span not in blamed:
            bag.error(
                codes.MEMORY_NOT_STRICT,
                f"memory of `{domain.name}` has mode `{at.value.mode[:40]}`, which lets it leave node {at.value.nodes}",
                at.span,
            )
    whole = next((at for at in domain.numa if at.value.cell is None), None)
    cells = [at for at in domain.numa if at.value.cell is not None]
    if len(domain.cells) > 1:
        bound = {at.value.cell for at in cells}
        loose = [cell for cell in domain.cells if cell.value.id not in bound]
        if loose and (held or cells):
            bag.error(
                codes.MEMORY_NOT_STRICT,
                f"no `memnode` keeps the memory of cell {loose[0].value.id} of `{domain.name}` on its node",
                loose[0].span,
            )
    if whole is None or whole.span in blamed or any(at.span in blamed for at in cells):
        return
    if vm is not None and vm.numatune is MemoryMode.PREFERRED:
        return
    taken = union(at.value.nodes for at in cells)
    if taken and not taken.issubset(whole.value.nodes):
        bag.error(
            codes.FAR_FROM_MEMORY,
            f"`{domain.name}` may take memory of node {whole.value.nodes}, and its cells are on node {taken}",
            whole.span,
            secondary=[at.label(f"cell {at.value.cell}") for at in cells],
        )
        return
    vcpus = context.nodes_of(union(pin.value for pin in domain.pins.values()))
    # QEMU's own memory is beside the vCPUs, also where the guest's is on nodes without CPUs
    taken = (taken if context.cpus_of(taken) else taken | vcpus) or vcpus
    spare = CpuSet.of(id for id in whole.value.nodes - taken if context.cpus_of([id]))
    if taken & whole.value.nodes and spare:
        bag.error(
            codes.MEMORY_NOT_STRICT,
            f"memory of `{domain.name}` may come from node {spare}, where it has nothing else",
            whole.span,
        )


def _beside(context: Context, domain: Domain) -> None:
    """Each cell's vCPUs on the node of its memory."""
    blamed = context.blamed()
    for cell in cells_of(domain):
        where = nodes_for(domain, cell.value.id)
        if where is None or where.span in blamed or cell.span in blamed:
            continue
        near = context.cpus_of(where.value)
        pins = [(vcpu, domain.pins[vcpu]) for vcpu in cell.value.vcpus if vcpu in domain.pins and vcpu < domain.count]
        far = [(vcpu, pin) for vcpu, pin in pins if not pin.value.issubset(near) and pin.span not in blamed]
        if not near or not far:
            continue
        if len(far) == len(pins) and len(pins) > 1:
            there = context.nodes_of(union(pin.value for _, pin in far))
            context.bag.error(
                codes.FAR_FROM_MEMORY,
                f"cell {cell.value.id} of `{domain.name}` has its memory on node {where.value} and its vCPUs on node {there}",
                where.span,
                secondary=[pin.label(f"vCPU {vcpu}") for vcpu, pin in far[:1]],
            )
            continue
        for vcpu, pin in far:
            context.bag.error(
                codes.FAR_FROM_MEMORY,
                f"vCPU {vcpu} of `{domain.name}` is on CPU {pin.value}, node {context.nodes_of(pin.value)}; "
                f"its memory is on node {where.value}",
                pin.span,
                secondary=[where.label("its memory")],
            )


def home_nodes(context: Context, domain: Domain) -> CpuSet:
    """The host's nodes that the guest's cells are on: of their memory, or of their vCPUs where the memory is on several."""
    found = memory_nodes(context, domain)
    if len(found) <= len(cells_of(domain)) and all(context.cpus_of([id]) for id in found):
        return found
    return context.nodes_of(union(pin.value for pin in domain.pins.values()))


def memory_nodes(context: Context, domain: Domain) -> CpuSet:
    """The host's nodes whose memory the guest uses; empty where no file says."""
    found = (nodes_for(domain, cell.value.id) for cell in cells_of(domain))
    there = CpuSet.of(node.id for node in context.topology.nodes)
    return union(at.value for at in found if at is not None) & there


def _emulator(context: Context, domain: Domain) -> None:
    """Strict pages on a node are taken by a thread that wants a CPU of it (measured: such a guest does not start)."""
    blamed = context.blamed()
    if context.files.handwritten and not domain.pages:
        return
    if domain.emulator is None or domain.emulator.span in blamed or any(at.span in blamed for at in domain.numa):
        return
    there = CpuSet.of(node.id for node in context.topology.nodes)
    wheres = [at.value & there for cell in cells_of(domain) if (at := nodes_for(domain, cell.value.id)) is not None]
    for nodes in dict.fromkeys(wheres):
        cpus = context.cpus_of(nodes)
        if cpus and not cpus & domain.emulator.value:
            context.bag.error(
                codes.EMULATOR_FAR,
                f"the emulator of `{domain.name}` runs on {named(domain.emulator.value)}, none of them on node {nodes}, "
                f"where memory of the guest is",
                domain.emulator.span,
            )


def _devices(context: Context, domain: Domain) -> None:
    pci = context.topology.pci
    if pci is None:
        return
    nodes = home_nodes(context, domain) or context.nodes_of(union(pin.value for pin in domain.pins.values()))
    blamed = context.blamed()
    moved = any(at.span in blamed for at in domain.numa)
    for function in domain.functions:
        device = context.device(function.value)
        if device is None:
            context.bag.error(
                codes.DEVICE_ABSENT,
                f"`{domain.name}` is given {function.value}, which host `{context.files.host}` does not have",
                function.span,
            )
            continue
        far = device.node is not None and nodes and device.node not in nodes and not moved
        if far and device.node is not None and not asked_devices.may_be_far(context, domain, function.value, nodes):
            context.bag.error(
                codes.DEVICE_FAR,
                f"{function.value} is on node {device.node}, `{domain.name}` on node {nodes}",
                function.span,
            )
        parent = pci.get(device.parent_pf) if device.parent_pf else None
        index = vf_index(parent, function.value) if parent else None
        made = [one for one in context.files.vfs if parent is not None and one.parent == parent.address]
        if index is not None and made and index >= max(one.count for one in made):
            context.bag.error(
                codes.DEVICE_ABSENT,
                f"`{domain.name}` is given VF {index} (from 0) of {made[0].parent}, which makes {made[0].count} VFs",
                function.span,
                secondary=[Label(made[0].span, "VFs")],
            )


def _topology(context: Context, domain: Domain) -> None:
    """What the guest sees of cores is no more than its pins give."""
    at, count = domain.topology, domain.count
    if at is None or domain.vcpus is None:
        return
    if at.value.product != count:
        context.bag.error(
            codes.GUEST_TOPOLOGY,
            f"the topology of `{domain.name}` has {at.value.product} threads, the guest {counted(count, 'vCPU')}",
            at.span,
            secondary=[domain.vcpus.label("vCPUs")],
        )
        return
    threads = at.value.threads
    blamed = context.blamed()
    if threads < 2 or context.topology.cores is None:
        return
    for start in range(0, count, threads):
        pins = [domain.pins[vcpu] for vcpu in range(start, start + threads) if vcpu in domain.pins]
        if any(pin.span in blamed for pin in pins) or (domain.pins and len(pins) < threads):
            continue
        own = bool(pins) and all(len(pin.value) == 1 for pin in pins)
        if context.files.handwritten and not own:
            continue
        if not own or not union(pin.value for pin in pins).issubset(context.core(pins[0].value.first)):
            shown = ", ".join(str(pin.value) for pin in pins) or "no CPU of its own"
            context.bag.error(
                codes.GUEST_TOPOLOGY,
                f"`{domain.name}` sees vCPUs {start} to {start + threads - 1} as one core; they run on {shown}",
                at.span,
                secondary=[pin.label() for pin in pins[:8]],
            )
            return


def _distances(context: Context, domain: Domain) -> None:
    """Distances between cells are those of the nodes that they lie on."""
    where = {cell.value.id: nodes_for(domain, cell.value.id) for cell in domain.cells}
    host = {id: at.value.first for id, at in where.items() if at is not None and len(at.value) == 1}
    if {at.span for at in where.values() if at is not None} & context.blamed():
        return
    for cell in domain.cells:
        node = context.topology.node(host.get(cell.value.id, -1))
        for other, at in cell.value.distances:
            if other not in where:
                context.bag.error(
                    codes.STRAY, f"`{domain.name}` has a distance to cell {other}, which is not there", at.span
                )
            real = node.distances.get(host.get(other, -1)) if node is not None else None
            if real is not None and real != at.value:
                context.bag.error(
                    codes.GUEST_TOPOLOGY,
                    f"`{domain.name}` sees cell {other} at {at.value} from cell {cell.value.id}; their nodes are {real} apart",
                    at.span,
                )
