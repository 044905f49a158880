"""kvmc beside Nova's fit function and OR-Tools CP-SAT on the same instances, in one table.

    python benchmarks/peers.py [INSTANCE.json ...] [--scorer score.py] [--nova PYTHON] [--cases 500] [--cpsat SECONDS]

Without instances, those beside the scorer (`../shared/placement`). Nova (PyPI nova==34.0.0) gets a venv of its own below `build/`
unless `--nova` names a Python that has it; CP-SAT takes part where ortools is installed. `kvmc` is the whole resolver, with the
search for those that find no place at first; `kvmc, one` is its function for one guest on one host, guest after guest in the same
order as Nova, which must cost at most 1/20 of it. Then a fleet of 100 hosts and 2,000 guests, each tenth kept apart from others:
the whole resolver against Nova's function alone, guest after guest on the first host that takes it; kvmc must place all of them
clean in a third of that time. The random cases are one host each: of the guests that Nova placed soundly, no core shared by two
guests (kvmc never does that), kvmc must place every one. Exits 1 if one of these is not so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fleet
import placement
from placement import Instance

from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.resolver.best import best_choice
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.pins import settle
from kvmc.resolver.placement import Placement
from kvmc.resolver.state import State

ROOT = Path(__file__).resolve().parent.parent
RATIO = 20
FLEET_RATIO = 3
FLEET_HOSTS = 100
RUNS = 10
"""Runs of each function on each instance; the fastest counts, since others use the machine too."""
NOVA = "nova==34.0.0"


def nova_python(given: Path | None) -> Path:
    if given is not None:
        return given
    folder = ROOT / "build" / "peers" / "nova"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", NOVA], check=True)
        (folder / "made").touch()
    return python


def run_nova(python: Path, instances: list[Instance], runs: int = RUNS) -> list[dict[str, Any]]:
    worker = Path(__file__).with_name("nova_worker.py")
    done = subprocess.run(
        [python, worker],
        input=json.dumps({"runs": runs, "instances": instances}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stderr[-2000:])
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def run_kvmc(instance: Instance) -> tuple[list[dict[str, Any]], float]:
    """The result, and the CPU seconds of the resolver with all that leads to it."""
    start = time.process_time()
    found, _, _ = placement.place(instance)
    spent = time.process_time() - start
    return placement.result_of(instance, found), spent


def one_by_one(instance: Instance) -> float:
    """CPU seconds of `best_choice` for each guest in order, on the hosts as they fill; the mean of the best of some runs."""
    site, topologies = placement.site_of(instance, [vm["id"] for vm in instance["vms"]])
    kept, _ = keep(site, topologies, {}, Origins({}))
    assert kept is not None
    machines = placement.with_pages(instance, kept.machines)
    return min(_one_by_one(kept, State(machines)) for _ in range(RUNS))


def _one_by_one(kept: Kept, state: State) -> float:
    spent, calls = 0.0, 0
    for demand in kept.demands.values():
        for host in demand.hosts:
            start = time.process_time()
            found = best_choice(demand, state, host, strict=False)
            spent += time.process_time() - start
            calls += 1
            if found is not None:
                state.place(demand, found[1])
                break
    return spent / max(calls, 1)


def run_cpsat(instance: Instance, limit: float) -> list[dict[str, Any]] | None:
    """The most vCPUs of guests in clean places, one worker; None without ortools."""
    if importlib.util.find_spec("ortools") is None:
        return None
    from kvmc.resolver import exact

    site, topologies = placement.site_of(instance, [vm["id"] for vm in instance["vms"]])
    kept, _ = keep(site, topologies, {}, Origins({}))
    assert kept is not None
    machines = placement.with_pages(instance, kept.machines)
    model = exact.Model(State(machines))
    gain = []
    for demand in kept.demands.values():
        able = model.add(demand)
        model.model.add_at_most_one(able)
        gain.append(sum(able) * sum(cell.vcpus for cell in demand.cells))
    model.close()
    fewest = len(model.spread) + 1
    model.model.maximize(sum(gain) * fewest - sum(model.spread))
    solver = exact.a_solver(limit)
    if solver.status_name(solver.solve(model.model)) not in ("OPTIMAL", "FEASIBLE"):
        return []
    guests = {}
    busy = dict.fromkeys(machines, CpuSet())
    for vm, choice in model.choices(solver).items():
        guests[vm], busy[choice.host] = settle(kept.demands[vm], choice, machines[choice.host], busy[choice.host], None)
    return placement.result_of(instance, Placement({}, guests))


def a_host(rng: random.Random) -> dict[str, Any]:
    nodes, l3s, cores, threads = rng.choice((1, 2, 4)), rng.choice((1, 2)), rng.choice((3, 4, 6)), rng.choice((1, 2))
    count = nodes * l3s * cores
    return {
        "id": "h",
        "cpus": [
            [thread * count + core, core, core // cores, core // (l3s * cores), 0]
            for thread in range(threads)
            for core in range(count)
        ],
        "nodes": [
            {"id": node, "mem_mib": 0, "pages": {"1048576": rng.randint(8, 24)}, "pci": {}} for node in range(nodes)
        ],
        "reserved": [thread * count for thread in range(threads)],
    }


def a_case(seed: int) -> Instance:
    """One host and guests for half to one and a half times its CPUs."""
    rng = random.Random(seed)
    host = a_host(rng)
    vms: list[dict[str, Any]] = []
    left = len(host["cpus"]) * rng.uniform(0.5, 1.5)
    while left > 0:
        nodes = rng.choice((1, 1, 1, 2))
        vcpus = nodes * rng.choice((1, 2, 2, 3, 4, 4, 6))
        vms.append(
            {
                "id": f"vm{len(vms)}",
                "vcpus": vcpus,
                "smt": rng.choice(("prefer", "prefer", "isolate", "require")),
                "nodes": nodes,
                "mem_mib": nodes * rng.randint(1, 4) * 1024,
                "page_kib": 1048576,
                "emulator": int(rng.random() < 0.1),
                "near": None,
                "group": None,
            }
        )
        left -= vcpus
    return {"name": f"case-{seed}", "hosts": [host], "vms": vms}


def soundness(python: Path, score: Any, cases: int) -> bool:
    """Whether kvmc places all that Nova places, in every case."""
    instances = [a_case(seed) for seed in range(cases)]
    told = run_nova(python, instances, 1)
    checked = sharing = contradicting = 0
    missed: list[str] = []
    for instance, answer in zip(instances, told, strict=True):
        found = score(instance, answer["result"], live={vm["id"] for vm in instance["vms"]})
        if found["invalid"]:
            contradicting += 1
            continue
        if found["smtx"]:
            sharing += 1
            continue
        placed = {one["vm"] for one in answer["result"]}
        checked += 1
        mine, _ = run_kvmc({**instance, "vms": [vm for vm in instance["vms"] if vm["id"] in placed]})
        if {one["vm"] for one in mine} != placed:
            missed.append(f"{instance['name']}: {', '.join(sorted(placed - {one['vm'] for one in mine}))}")
    print(
        f"{cases} random hosts: Nova shares cores between guests on {sharing}, contradicts itself on {contradicting}; "
        f"of the other {checked} kvmc places all that Nova places on {checked - len(missed)}"
    )
    for one in missed:
        print("  not placed by kvmc:", one)
    return not missed


def beside_fleet(python: Path, score: Any) -> bool:
    """Whether the fleet is placed whole and clean in a third of the time of Nova's function."""
    instance = fleet.fleet(FLEET_HOSTS)
    (nova,) = run_nova(python, [instance], 1)
    theirs = score(instance, nova["result"])
    result, spent = min((run_kvmc(instance) for _ in range(3)), key=lambda one: one[1])
    mine = score(instance, result)
    print(
        f"{FLEET_HOSTS} hosts, {mine['of']} guests, {sum(bool(vm['group']) for vm in instance['vms'])} of them in groups apart:"
    )
    for who, found, seconds in (("nova", theirs, nova["seconds"]), ("kvmc", mine, spent)):
        print(
            f"  {who}  {found['placed']} placed, {found['clean']} of {found['req']} vCPUs clean, {found['l3x']} L3 splits, "
            f"{found['smtx']} shared cores, {seconds:.2f} s"
        )
    whole = mine["placed"] == mine["of"] and mine["clean"] == mine["req"] and not mine["invalid"]
    print(f"  kvmc takes 1/{nova['seconds'] / spent:.0f} of the time of Nova's function (limit 1/{FLEET_RATIO})")
    return whole and spent * FLEET_RATIO <= nova["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description="kvmc beside its peers")
    parser.add_argument("instances", nargs="*", type=Path)
    parser.add_argument("--scorer", type=Path, default=ROOT.parent / "shared" / "placement" / "score.py")
    parser.add_argument("--nova", type=Path)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--cpsat", type=float, default=20.0)
    options = parser.parse_args()
    spec = importlib.util.spec_from_file_location("score", options.scorer)
    if spec is None or spec.loader is None or not options.scorer.exists():
        sys.exit(f"no scorer at {options.scorer}")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    python = nova_python(options.nova)
    paths = options.instances or sorted(options.scorer.parent.glob("*.json"))
    instances = [json.loads(path.read_text()) for path in paths]
    told = run_nova(python, instances)
    print("instance                  who    placed   clean    L3 split  shared  ms a guest")
    slow = []
    for path, instance, nova in zip(paths, instances, told, strict=True):
        mine, spent = run_kvmc(instance)
        rows: list[tuple[str, list[dict[str, Any]], float | None]] = [
            ("nova", nova["result"], nova["seconds"] / max(nova["calls"], 1)),
            ("kvmc", mine, spent / len(instance["vms"])),
        ]
        solved = run_cpsat(instance, options.cpsat)
        if solved is not None:
            rows.append(("cpsat", solved, None))
        for who, result, each in rows:
            found = scorer.score(instance, result)
            cost = "" if each is None else f"{each * 1000:.2f}"
            bad = f"  invalid {found['invalid']}" if found["invalid"] else ""
            print(
                f"{path.stem:24}  {who:5} {found['placed']:3}/{found['of']:<3}  {found['clean']:4}/{found['req']:<4}"
                f"  {found['l3x']:7}  {found['smtx']:6}  {cost:>9}{bad}",
                flush=True,
            )
        one = one_by_one(instance)
        print(f"{path.stem:24}  kvmc, one {one * 1000:47.3f}", flush=True)
        if one * RATIO > nova["seconds"] / max(nova["calls"], 1):
            slow.append(f"{path.stem} ({nova['seconds'] / max(nova['calls'], 1) / one:.1f} times)")
    if slow:
        print(f"a guest costs more than 1/{RATIO} of Nova's function on {', '.join(slow)}")
    fast = beside_fleet(python, scorer.score)
    sound = soundness(python, scorer.score, options.cases)
    sys.exit(bool(slow) or not fast or not sound)


if __name__ == "__main__":
    main()
