"""environment.py - the host as it is found: recorded in the manifest, judged by the report.

Nothing here names the machine. A fact that the host does not tell is recorded as None.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

CPUS = Path("/sys/devices/system/cpu")
KEPT_OBJECTS = {"Machine", "Package", "NUMANode", "L3Cache", "L2Cache", "L1Cache", "Core", "PU"}
KEPT_FIELDS = ("os_index", "cpuset", "cache_size", "local_memory")


def _text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def usable_cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def core_of(cpu: int) -> tuple[str | None, str | None]:
    topology = CPUS / f"cpu{cpu}" / "topology"
    return _text(topology / "physical_package_id"), _text(topology / "core_id")


def physical_cores() -> int:
    """Cores behind the usable CPUs; equal to their number where there is no SMT."""
    cores = {core_of(cpu) for cpu in usable_cpus()}
    return len(usable_cpus()) if (None, None) in cores else len(cores)


def _cpu_model() -> str | None:
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return None


def _governors() -> list[str] | None:
    found = {_text(path) for path in CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return sorted(g for g in found if g) or None


def _mitigations() -> dict[str, str]:
    return {
        path.name: _text(path) or ""
        for path in sorted((CPUS / "vulnerabilities").glob("*"))
        if path.is_file()
    }


def _caches(cpu: int) -> list[dict[str, str | None]]:
    fields = ("level", "type", "size", "shared_cpu_list")
    folders = sorted((CPUS / f"cpu{cpu}" / "cache").glob("index*"))
    return [{key: _text(folder / key) for key in fields} for folder in folders]


def _hwloc_tree(node: ET.Element) -> list[dict[str, Any]]:
    """The objects that matter for placing threads; names and addresses of the machine are left out."""
    below = [item for child in node.findall("object") for item in _hwloc_tree(child)]
    if node.get("type") not in KEPT_OBJECTS:
        return below
    kept: dict[str, Any] = {"type": node.get("type")}
    kept.update({key: node.get(key) for key in KEPT_FIELDS if node.get(key)})
    if below:
        kept["children"] = below
    return [kept]


def _topology() -> dict[str, Any]:
    cpus = usable_cpus()
    out: dict[str, Any] = {
        "usable_cpus": cpus,
        "physical_cores": physical_cores(),
        "core_of_cpu": {str(cpu): "/".join(part or "?" for part in core_of(cpu)) for cpu in cpus},
        "numa_nodes": _text("/sys/devices/system/node/online"),
        "caches_of_first_cpu": _caches(cpus[0]),
    }
    tool = shutil.which("lstopo-no-graphics")
    if tool:
        done = subprocess.run([tool, "--of", "xml"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            trees = [_hwloc_tree(node) for node in ET.fromstring(done.stdout).findall("object")]
            out["hwloc"] = [item for tree in trees for item in tree]
    return out


def steal_ticks() -> int | None:
    """Time the hypervisor gave to others, summed over all CPUs, in clock ticks since boot."""
    first = (_text("/proc/stat") or "").splitlines()[:1]
    fields = first[0].split() if first else []
    return int(fields[8]) if len(fields) > 8 else None


def capture() -> dict[str, Any]:
    memory = (_text("/proc/meminfo") or "").splitlines()[:1]
    return {
        "cpu_model": _cpu_model(),
        "topology": _topology(),
        "cpu_quota": _text("/sys/fs/cgroup/cpu.max"),
        "memory": memory[0].split(":")[1].strip() if memory else None,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "governor": _governors(),
        "turbo_off": _text(CPUS / "intel_pstate/no_turbo"),
        "boost": _text(CPUS / "cpufreq/boost"),
        "smt": _text(CPUS / "smt/control"),
        "aslr": _text("/proc/sys/kernel/randomize_va_space"),
        "transparent_hugepage": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "mitigations": _mitigations(),
        "load_1min": os.getloadavg()[0],
        "steal_ticks": steal_ticks(),
        "ticks_per_s": os.sysconf("SC_CLK_TCK"),
        "python": platform.python_version(),
    }


def crowding(vcpus: int, host: dict[str, Any]) -> str:
    """What a row must say about its vCPU count on this host; empty if each vCPU has a core."""
    topology = host["topology"]
    if vcpus > len(topology["usable_cpus"]):
        return "over-committed"
    if vcpus > topology["physical_cores"]:
        return "vCPUs share cores"
    return ""


def warnings(host: dict[str, Any]) -> list[str]:
    """Reasons to trust the numbers less, as sentences for the report."""
    out = []
    if any(g != "performance" for g in host["governor"] or []):
        out.append(f"The CPU governor is {', '.join(host['governor'])}, not performance.")
    if host["load_1min"] > 0.5:
        out.append(f"The load was {host['load_1min']:.2f} at the start: something else ran here.")
    if host["cpu_quota"] and not host["cpu_quota"].startswith("max"):
        out.append(f"The control group limits CPU time ({host['cpu_quota']}).")
    return out
