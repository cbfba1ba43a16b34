# SPDX-License-Identifier: MIT
"""What was measured on and with: the head of the report, as pairs of a name and a text.

Whatever a machine does not tell is said to be unknown; nothing here fails.
"""

import glob
import os
import platform
import re
import shutil
import subprocess
import time

DEBIAN_PACKAGES = (
    *("liblmdb0", "libhdf5-103-1", "libhiredis0.14", "redis-server", "libiceoryx-binding-c2"),
    *("iceoryx", "liblz4-1", "libxxhash0", "libblosc1", "valgrind"),
)
PYTHON_PACKAGES = ("zarr", "numcodecs", "numpy", "tensorstore", "icechunk", "fasteners")


def _read(path, otherwise="unknown"):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return otherwise


def _run(*command):
    """What it prints, or nothing."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _processor():
    info = _read("/proc/cpuinfo", "")
    model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", info, re.M)
    text = model.group(1) if model else platform.machine()
    virtual = ", virtual" if re.search(r"^flags.*\bhypervisor\b", info, re.M) else ""
    return "%s, %d processors%s" % (text, len(os.sched_getaffinity(0)), virtual)


def _caches():
    found = []
    for index in sorted(glob.glob("/sys/devices/system/cpu/cpu0/cache/index*")):
        kind = _read(index + "/type", "")
        if kind != "Instruction":
            found.append("L%s %s" % (_read(index + "/level"), _read(index + "/size")))
    return ", ".join(found) or "unknown"


def _memory():
    total = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo", ""), re.M)
    return "%.1f GiB" % (int(total.group(1)) / 2**20) if total else "unknown"


def _system():
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release", ""), re.M)
    return name.group(1) if name else "unknown"


def _compiler(program):
    """As the program itself says it."""
    match = re.search(r"\]\s+(.*)", _run("readelf", "-p", ".comment", program))
    return match.group(1).strip() if match else "unknown"


def _c_library():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError):
        return "unknown"


def _file_system(path):
    """Its kind and size, by the mount that the path is below."""
    best = ("", "unknown")
    for text in _read("/proc/self/mounts", "").splitlines():
        fields = text.split()
        place = fields[1].rstrip("/")
        if (os.path.realpath(path) + "/").startswith(place + "/") and len(place) >= len(best[0]):
            best = (place, fields[2])
    try:
        size = os.statvfs(path)
        return "%s, %.0f GiB" % (best[1], size.f_blocks * size.f_frsize / 2**30)
    except OSError as error:
        return "%s: %s" % (path, error.strerror)


def untorn_version(top):
    text = _read(os.path.join(top, "include/untorn.h"), "")
    return ".".join(re.findall(r"#define UNTORN_VERSION_(?:MAJOR|MINOR|PATCH)\s+(\d+)", text))


def _commit(top):
    if not os.path.exists(os.path.join(top, ".git")):
        return ""
    commit = _run("git", "-C", top, "rev-parse", "--short=12", "HEAD").strip()
    changed = _run("git", "-C", top, "status", "--porcelain", "--untracked-files=no").strip()
    return " (commit %s%s)" % (commit, ", with changes" if changed else "") if commit else ""


def _debian_versions():
    text = _run(
        "dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package} ${Version}\n", *DEBIAN_PACKAGES
    )
    return ", ".join(line[3:].strip() for line in text.splitlines() if line.startswith("ii "))


def _python_versions(venv):
    """From the names of the packages' own records: nothing has to be run."""
    found = {}
    for path in glob.glob(os.path.join(venv, "lib/python*/site-packages/*.dist-info")):
        name, _, version = os.path.basename(path)[: -len(".dist-info")].partition("-")
        found[name.lower()] = version
    return ", ".join("%s %s" % (n, found[n]) for n in PYTHON_PACKAGES if n in found)


def versions(build):
    pairs = [("Debian packages", _debian_versions() or "unknown")]
    for venv in sorted(glob.glob(os.path.join(build, "venv-bench*"))):
        text = os.path.isdir(venv) and _python_versions(venv)
        if text:
            pairs.append(("Python packages, %s" % os.path.basename(venv), text))
    return pairs


def head(top, build):
    """To be taken before anything runs: the load is part of it."""
    load = os.getloadavg()
    governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    pages = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    return [
        ("Untorn", untorn_version(top) + _commit(top)),
        ("Date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("Machine", _processor()),
        ("Caches", _caches()),
        ("Memory", _memory()),
        ("System", _system()),
        ("Kernel", "%s %s" % (platform.system(), platform.release())),
        ("Compiler", _compiler(os.path.join(build, "bench/bench_read"))),
        ("C library", _c_library()),
        ("Python", platform.python_version()),
        ("Clock", _read(clock)),
        ("Frequency governor", _read(governor, "not shown")),
        ("Huge pages in /dev/shm", _read(pages)),
        ("/dev/shm", _file_system("/dev/shm")),
        ("Disk", _file_system(os.environ.get("BENCH_DISK", "/var/tmp"))),
        ("Load before", "%.2f %.2f %.2f" % load),
    ] + versions(build)
