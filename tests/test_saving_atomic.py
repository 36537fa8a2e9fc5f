"""At every moment, also after a crash or on a full disk, the target is the old file or the new one."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fastconv.saving import load_archive, save_archive
from fastconv.saving.atomic import atomic_write
from fastconv.testing.kills import kill_while_saving
from fastconv.testing.kills import numbered_archive as archive

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ARCHIVES = """
from fastconv.saving import save_archive
from fastconv.testing.kills import numbered_archive as archive
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ARCHIVES + code, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


KILL_AT = """
import os, signal, sys
import fastconv.saving.atomic as atomic
where, path = sys.argv[1:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
original_fsync, original_replace = os.fsync, os.replace
if where == "created":
    atomic.os.fdopen = die
elif where == "writing":
    import fastconv.saving.writer as writer
    build = writer.build_header
    writer.build_header = lambda *args: build(*args) if set(args[2]) == {"0"} else die()
elif where == "written":
    os.fsync = die
elif where == "synced":
    os.replace = die
elif where == "replaced":
    os.replace = lambda *args: (original_replace(*args), die())
save_archive(path, archive(2))
"""


@pytest.mark.parametrize("where", ["created", "writing", "written", "synced", "replaced"])
def test_killed_at_each_step_of_a_save(tmp_path, where):
    path = tmp_path / "m"
    save_archive(path, archive(1))
    process = child(KILL_AT, where, path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert load_archive(path).config == {"version": 2 if where == "replaced" else 1}
    assert len(names(tmp_path)) == (1 if where == "replaced" else 2)  # what the dead process left …
    save_archive(path, archive(3))
    assert names(tmp_path) == ["m"] and load_archive(path).config == {"version": 3}  # … the next save removes


def test_killed_at_random_points(tmp_path):
    """50 in bench/nightly/kills.py."""
    assert kill_while_saving(tmp_path, 5, seed=1)[1] == []


SAVE_AND_REPORT = """
import os, sys
path = sys.argv[1]
if sys.argv[2] != "0":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    save_archive(path, archive(2))
except OSError as error:
    print(error.errno, error.filename == path, sorted(os.listdir(os.path.dirname(path))))
"""


def test_file_size_limit_leaves_the_old_file(tmp_path):
    path = tmp_path / "m"
    save_archive(path, archive(1))
    old = path.read_bytes()
    output, errors = child(SAVE_AND_REPORT, path, 200_000).communicate(timeout=60)
    assert (output.split()[1:], errors) == (["True", "['m']"], "")
    assert path.read_bytes() == old


def test_full_disk_leaves_the_old_file(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare(1) for a small tmpfs of its own")
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o size=600k tmpfs "$1"'
    if subprocess.run([*isolated, mount, "sh", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    save_archive(tmp_path / "old", archive(1))
    # The mount hides tmp_path and everything in it, so the old file comes in through standard input.
    script = mount + '; cat > "$1/m"; "$2" -c "$3" "$1/m" 0; cat "$1/m" >&2'
    command = [*isolated, script, "sh", str(tmp_path), sys.executable, ARCHIVES + SAVE_AND_REPORT]
    old = (tmp_path / "old").read_bytes()
    result = subprocess.run(command, input=old, capture_output=True, env=ENVIRONMENT, timeout=60)
    assert result.stdout.decode() == "28 True ['m']\n"  # ENOSPC
    assert result.stderr == old


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt(), ValueError("x")], ids=repr)
def test_an_error_inside_the_block_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["m"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_system_call_leaves_the_old_file(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(5, "Input/output error")

    path = tmp_path / "m"
    path.write_bytes(b"old")
    monkeypatch.setattr(f"fastconv.saving.atomic.os.{step}", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*m'$"):
        save_archive(path, archive(1))
    assert path.read_bytes() == b"old" and names(tmp_path) == ["m"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        save_archive(tmp_path / "m", archive(1))
    finally:
        os.umask(before)
    assert mode(tmp_path / "m") == 0o666 & ~umask


@pytest.mark.parametrize("old_mode", [0o600, 0o640, 0o666, 0o755])
def test_a_replaced_file_keeps_its_mode(tmp_path, old_mode):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(old_mode)
    save_archive(path, archive(1))
    assert mode(path) == old_mode


def test_symbolic_links_stay_and_their_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(Path("real") / "m")
    for version in (1, 2):  # first dangling, then not
        save_archive(tmp_path / "first", archive(version))
        assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink()
        assert not (tmp_path / "real" / "m").is_symlink()
        assert load_archive(tmp_path / "real" / "m").config == {"version": version}
    assert names(tmp_path) == ["first", "real", "second"] and names(tmp_path / "real") == ["m"]


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_archive("m", archive(1))
    assert load_archive("m").config == {"version": 1} and names(tmp_path) == ["m"]


def test_a_name_of_255_bytes(tmp_path):
    save_archive(tmp_path / ("x" * 255), archive(1))
    assert names(tmp_path) == ["x" * 255]


def test_targets_that_cannot_be_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)
    with pytest.raises(OSError, match="got a FIFO"):
        save_archive(tmp_path / "fifo", archive(1))
    with pytest.raises(OSError, match="got a character device"):
        save_archive("/dev/null", archive(1))
    for path in (tmp_path / "folder", f"{tmp_path}/new/"):
        with pytest.raises(IsADirectoryError):
            save_archive(path, archive(1))
    with pytest.raises(OSError, match="loop"):
        save_archive(tmp_path / "loop", archive(1))
    with pytest.raises(FileNotFoundError, match="missing/m"):
        save_archive(tmp_path / "missing" / "m", archive(1))
    with pytest.raises(NotADirectoryError):
        save_archive(tmp_path / "fifo" / "m", archive(1))
    assert names(tmp_path) == before


SAVE_UNPRIVILEGED = """
import os, sys
import numpy.ma  # NumPy loads it late, when this user may no longer read the environment
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    save_archive(sys.argv[1], archive(2))
except PermissionError as error:
    print(error.filename)
"""


@pytest.mark.parametrize("case", ["read-only folder", "read-only file"])
def test_read_only_targets_stay(tmp_path, case):
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)  # so that user "nobody" gets here, where we are root
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o444)
    tmp_path.chmod(0o555 if case == "read-only folder" else 0o777)
    output, errors = child(SAVE_UNPRIVILEGED, path).communicate(timeout=60)
    tmp_path.chmod(0o755)
    assert (output, errors) == (f"{path}\n", "")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["m"]


def test_only_temporary_files_of_dead_processes_of_this_host_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host, token = os.uname().nodename[:64], "0" * 16
    stays = [
        f".fastconv-{host}-1-{token}.tmp",  # alive
        f".fastconv-other{host}-{dead.pid}-{token}.tmp",  # another host's
        f".fastconv-{host}-{dead.pid}.tmp",  # not our pattern
        "mine.tmp",
    ]
    goes = [f".fastconv-{host}-{dead.pid}-{token}.tmp", f".fastconv-{host}-{os.getpid()}-{token}.tmp"]
    for name in stays + goes:
        (tmp_path / name).write_bytes(b"")
    save_archive(tmp_path / "m", archive(1))
    assert names(tmp_path) == sorted([*stays, "m"])


def test_two_saves_at_once_in_one_process_do_not_disturb_each_other(tmp_path):
    with atomic_write(tmp_path / "a") as slow:
        slow.write(b"slow")
        save_archive(tmp_path / "b", archive(1))
    assert (tmp_path / "a").read_bytes() == b"slow" and names(tmp_path) == ["a", "b"]
