"""What the steps of a measuring script are to be: the audit's own statement, made from the domains and not from the plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kvmc.audit.context import Context, cells_of, nodes_for
from kvmc.audit.domain import Domain
from kvmc.audit.hostfiles import Role
from kvmc.model.cpuset import CpuSet, union

HEAD = """\
set -u
folder=${1:-@folder@}
seconds=${KVMC_SECONDS:-60}
KVMC_SECONDS=$seconds
export KVMC_SECONDS
mkdir -p -- "$folder" || exit 1
failed=0
step() {
  name=$1
  printf '%s\\n  should show: %s\\n' "$1" "$2"
  shift 2
  if ! "$@" > "$folder/$name" 2> "$folder/$name.err"; then
    printf '  failed, see %s\\n' "$folder/$name.err" >&2
    failed=1
  fi
}
"""
DIRECTORY = """\
directory_of() {
  wanted=$1
  shift
  for word in "$@"; do
    case $word in
      "$wanted"=*) KVMC_DIRECTORY=${word#*=} && export KVMC_DIRECTORY && return ;;
    esac
  done
  printf '%s: left out; give %s=DIRECTORY, where its file system is mounted\\n' "$wanted" "$wanted"
  return 1
}
[ "$#" = 0 ] || shift
"""
HERE = 'here=$(dirname -- "$0")\n'
TAIL = '@steps@\nexit "$failed"\n'

_STRESS = '--timeout "$seconds"s --metrics --yaml "$folder/@name@.yaml"'
_LATENCY = "cyclictest --mlockall --policy=fifo --priority=95 --affinity={cpus} --threads={count}{main} --interval=1000"
_LATENCY += ' --duration="$seconds" --quiet --json="$folder/latency.json"'


def fifo(domain: Domain) -> bool:
    return any(sched.value.policy == "fifo" for sched in domain.scheds)


def on_host(domain: Domain) -> dict[str, str]:
    """Beside one guest: the step's name to its command as it stands in the script."""
    stats = f"virsh -c qemu:///system domstats --vcpu {domain.name}"
    steps = {
        "vcpus-before": stats,
        "threads": 'ps -L -o tid,psr,cls,rtprio,comm -p "$pid"',
        "memory": 'numastat -p "$pid"',
        "switches": 'pidstat -wt -p "$pid" "$seconds" 1',
    }
    if domain.type == "kvm":
        steps["exits-record"] = 'perf kvm stat record -p "$pid" -o "$folder/exits.data" sleep "$seconds"'
        steps["exits"] = 'perf kvm -i "$folder/exits.data" stat report --event=vmexit'
    else:
        steps["wait"] = 'sleep "$seconds"'
    steps["vcpus-after"] = stats
    return steps


def on_guest(domain: Domain, disks: Collection[str], commits: Collection[str]) -> dict[str, str]:
    """Within a guest. disks, commits: the disks with a job that reads, and with one that writes."""
    count = domain.count
    cells = len(domain.cells) > 1
    steps = {"cpus": "lscpu -e=CPU,NODE,SOCKET,CORE,ONLINE"}
    if cells:
        steps["nodes"] = "numactl --hardware"
    steps["steal"] = 'mpstat -P ALL -o JSON "$seconds" 1'
    steps["compute"] = f"stress-ng --matrix {count} --matrix-method prod {_stress('compute')}"
    steps["bandwidth"] = f"stress-ng --stream {count} {_stress('bandwidth')}"
    if cells:
        steps["numa"] = f"stress-ng --numa 1 {_stress('numa')}"
    if fifo(domain):
        steps["latency"] = _LATENCY.format(cpus=f"0-{count - 1}", count=count, main="")
    for disk in disks:
        steps[f"disk-{disk}"] = f'fio --readonly --output-format=json "$here/disk-{disk}.fio"'
        if disk in commits:
            steps[f"commit-{disk}"] = f'fio --output-format=json "$here/commit-{disk}.fio"'
    return steps


def on_whole_host(context: Context, own: CpuSet, services: CpuSet, *, storage: bool) -> dict[str, str]:
    """Of the host itself. own: CPUs for guests alone, services: those of the system, both as the script has them. Of the steps that
    a host may do without, those are here that its files give cause for."""
    steps = {"nodes": "numactl --hardware"}
    for supply in context.files.pages:
        for node in context.topology.nodes if supply.node is None else ():
            steps |= _pages(node.id, supply.size_kib)
        if supply.node is not None:
            steps |= _pages(supply.node, supply.size_kib)
    isolated = context.files.cpus(Role.ISOLATED)
    if isolated:
        steps["isolated"] = "cat /sys/devices/system/cpu/isolated"
    if own:
        steps["noise"] = f'mpstat -P {own} -o JSON "$seconds" 1'
        steps["sleep-states"] = f'turbostat --quiet --cpu {own} --interval "$seconds" --num_iterations 1'
    if isolated:
        latency = f" --mainaffinity={services.first}" if services else ""
        steps["latency"] = _LATENCY.format(cpus=isolated, count=len(isolated), main=latency)
    if storage:
        steps["storage"] = 'fio --readonly --output-format=json "$here/storage.fio"'
    if services:
        steps["disturb"] = f"stress-ng --taskset {services} --matrix {len(services)} {_stress('disturb')}"
    return steps


PAGES_STEP = re.compile(r"pages-node([0-9]{1,4})-([0-9]{1,12})")
"""A step of a host that counts its pages: the node, and the size in KiB."""


def _pages(node: int, size: int) -> dict[str, str]:
    path = f"/sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB/nr_hugepages"
    return {f"pages-node{node}-{size}": f"cat {path}"}


def _stress(name: str) -> str:
    return _STRESS.replace("@name@", name)


_LISTS = re.compile(r"(?<![A-Za-z])(CPU|node)s? ([0-9]+(?:[-,][0-9]+)*)")
_PIN = re.compile(r"vCPU ([0-9]+) on CPU ([0-9]+(?:[-,][0-9]+)*)")
_PAGES = re.compile(r"([0-9]+) pages of ([0-9]+) kB on node ([0-9]+)")
_AMOUNT = re.compile(r"([0-9]+) MB on node ([0-9]+)")


def wrong_words(
    text: str, cpus: set[CpuSet], nodes: set[CpuSet], pages: set[tuple[int, int, int | None]] | None = None
) -> Iterator[str]:
    """What a step's words say that is not so. cpus, nodes: the lists that are; pages: their number, size in KiB, node."""
    for count, size, node in _PAGES.findall(text) if pages is not None else ():
        if not {(int(count), int(size), int(node)), (int(count), int(size), None)} & (pages or set()):
            yield f"has {count} pages of {size} kB on node {node}"
    for kind, shown in _LISTS.findall(text):
        try:
            found = CpuSet.parse(shown)
        except ValueError:
            found = CpuSet()
        if found not in (cpus if kind == "CPU" else nodes):
            yield f"speaks of {kind}{'' if shown.isdecimal() else 's'} {shown}"


def wrong_of_guest(name: str, text: str, domain: Domain, *, inside: bool) -> Iterator[str]:
    """The same of a step of a guest's. inside: nodes are the guest's own, and CPUs are those of its helpers on the host."""
    pins = _PIN.findall(text)
    for vcpu, cpu in pins:
        pin = domain.pins.get(int(vcpu))
        if pin is None or str(pin.value) != cpu:
            yield f"has vCPU {vcpu} on CPU {cpu}"
    if pins and len(pins) != domain.count:
        yield f"tells of {len(pins)} pins"
    amounts = [(int(amount), int(node)) for amount, node in _AMOUNT.findall(text)]
    cells = cells_of(domain)
    has = [(cell.value.memory_kib >> 10, node) for cell in cells for node in host_nodes(domain, cell.value.id)]
    if amounts and sorted(amounts) != sorted(has):
        yield "has " + ", ".join(f"{amount} MB on node {node}" for amount, node in amounts)
    masks = {pin.value for pin in (domain.emulator, *domain.iothread_pins.values()) if pin is not None}
    helpers = {*masks, union(masks)} if masks else set()
    own = {union(pin.value for pin in domain.pins.values())}
    own |= helpers if name == "threads" else set()
    of_host = [host_nodes(domain, cell.value.id) for cell in cells]
    nodes = {CpuSet.of([cell.value.id]) for cell in cells} if inside else {*of_host, union(of_host)}
    yield from wrong_words(_PIN.sub("", text), helpers if inside else own, nodes)


def host_nodes(domain: Domain, cell: int) -> CpuSet:
    """The host nodes of a cell's memory."""
    at = nodes_for(domain, cell)
    return at.value if at else CpuSet()
