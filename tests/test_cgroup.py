"""P17: the CPUs that a container's quota leaves, read from files as Linux writes them, and from a cgroup of this machine."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("c++")

V1_MOUNT = "32 31 0:29 {part} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2_MOUNT = "41 31 0:38 {part} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
V1 = "/sys/fs/cgroup/cpu,cpuacct"
V2 = "/sys/fs/cgroup"


def v1(quota, period=100_000):
    return {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}


def v2(quota, period=100_000):
    return {"cpu.max": f"{quota} {period}"}


# name: lines of /proc/self/mountinfo, lines of /proc/self/cgroup, {folder: {file: contents}}, CPUs
FILES = {
    "nothing": ([], [], {}, math.inf),
    "v2, none": ([V2_MOUNT.format(part="/")], ["0::/a"], {f"{V2}/a": v2("max")}, math.inf),
    "v2": ([V2_MOUNT.format(part="/")], ["0::/a"], {f"{V2}/a": v2(150_000)}, 1.5),
    "v2, another period": ([V2_MOUNT.format(part="/")], ["0::/a"], {f"{V2}/a": v2(150_000, 50_000)}, 3),
    "v2, the least counts": (
        [V2_MOUNT.format(part="/")],
        ["0::/a/b/c"],
        {f"{V2}/a": v2(250_000), f"{V2}/a/b": v2("max"), f"{V2}/a/b/c": v2(400_000), f"{V2}/d": v2(100_000)},
        2.5,
    ),
    "v2, a container that sees itself as the root": ([V2_MOUNT.format(part="/")], ["0::/"], {V2: v2(50_000)}, 0.5),
    "v2, a container that is told its path outside": (
        [V2_MOUNT.format(part="/docker/f00")],
        ["0::/docker/f00"],
        {V2: v2(200_000)},
        2,
    ),
    "v2, a group within that container": (
        [V2_MOUNT.format(part="/docker/f00")],
        ["0::/docker/f00/job"],
        {V2: v2(400_000), f"{V2}/job": v2(300_000)},
        3,
    ),
    "v2, a name that only begins like the container's": (
        [V2_MOUNT.format(part="/docker/f00")],
        ["0::/docker/f00d"],
        {V2: v2(400_000), f"{V2}d": v2(100_000), f"{V2}/d": v2(100_000)},
        4,
    ),
    "v1": ([V1_MEMORY, V1_MOUNT.format(part="/")], ["5:cpu,cpuacct:/a"], {f"{V1}/a": v1(350_000)}, 3.5),
    "v1, none": ([V1_MOUNT.format(part="/")], ["5:cpu,cpuacct:/a"], {f"{V1}/a": v1(-1)}, math.inf),
    "v1, of another controller": ([V1_MOUNT.format(part="/")], ["5:cpuset:/a"], {f"{V1}/a": v1(100_000)}, math.inf),
    "v1, a container": ([V1_MOUNT.format(part="/docker/f00")], ["5:cpu,cpuacct:/docker/f00"], {V1: v1(600_000)}, 6),
    "both, v1 has the controller": (
        [V1_MOUNT.format(part="/"), V2_MOUNT.format(part="/").replace("/cgroup ", "/cgroup/unified ")],
        ["5:cpu,cpuacct:/a", "0::/b"],
        {f"{V1}/a": v1(700_000)},
        7,
    ),
}


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.skipif(not (ROOT / "csrc").is_dir(), reason="the C++ sources are not beside the tests")
def test_quotas_are_found_in_the_files_of_linux(tmp_path):
    """Version 1, version 2 and both, nested groups, and containers that see a part of the hierarchy alone."""
    program = tmp_path / "cgroup_cpus"
    sources = (ROOT / "tests/native/cgroup_cpus.cpp", ROOT / "csrc/cpu/cgroup.cpp")
    subprocess.run([COMPILER, "-std=c++20", f"-I{ROOT / 'csrc'}", *sources, "-o", program], check=True)
    folders = []
    for i, (mounts, groups, files, _) in enumerate(FILES.values()):
        folders.append(tmp_path / str(i))
        own = folders[-1] / "proc/self"
        own.mkdir(parents=True)
        (own / "mountinfo").write_text("".join(f"{line}\n" for line in mounts))
        (own / "cgroup").write_text("".join(f"{line}\n" for line in groups))
        for folder, contents in files.items():
            for name, text in contents.items():
                path = folders[-1] / folder[1:] / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{text}\n")
    said = subprocess.run([program, *folders], capture_output=True, text=True, check=True).stdout.split()
    expected = {name: cpus for name, (*_, cpus) in FILES.items()}
    assert dict(zip(FILES, map(float, said), strict=True)) == expected


def group_with_quota(share):
    """A new cgroup that may use this share of a CPU, or the reason why there is none."""
    name = f"fastconv-test-{os.getpid()}"
    try:
        if Path("/sys/fs/cgroup/cpu/cgroup.procs").exists():
            group = Path("/sys/fs/cgroup/cpu") / name
            group.mkdir()
            (group / "cpu.cfs_quota_us").write_text(str(int(share * 100_000)))
        else:
            group = Path("/sys/fs/cgroup") / name
            group.mkdir()
            (group / "cpu.max").write_text(f"{int(share * 100_000)} 100000")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no rights to make a cgroup with a quota: {error}")
    return group


@pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
def test_a_quota_is_the_number_of_threads():
    """Half a CPU is one thread. The affinity mask says nothing of it."""
    group = group_with_quota(0.5)
    script = f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid())); import fastconv; print(fastconv.get_num_threads())"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "FASTCONV_"))}
    try:
        said = subprocess.run([sys.executable, "-c", script], env=kept, capture_output=True, text=True, timeout=60)
        assert said.stdout.strip() == "1", said.stderr
    finally:
        group.rmdir()
