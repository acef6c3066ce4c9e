import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dummy import BUSY, COUNT, FATAL, LOUD, SILENT, BusDummy
from numpy.testing import assert_array_equal

from sim import verilated
from sim.verilog import to_verilog
from sw.errors import BadInput
from sw.transport import DeviceSilent, Transport


def words(*values):
    return np.array(values, np.uint32)


@pytest.fixture(scope="module")
def program():
    return verilated.build(to_verilog(BusDummy(), "bus_dummy"), "bus_dummy")


@pytest.fixture
def dut(program):
    with verilated.VerilatedTransport(program) as transport:
        yield transport


def test_is_a_transport(dut):
    transport: Transport = dut
    assert transport.poll(BUSY, 1, 0, 0.0)


def test_reads_and_writes_in_order(dut):
    assert_array_equal(dut.read(0, 16), np.arange(16))
    dut.write(3, words(0xFFFFFFFF, 0, 0x12345678))
    assert_array_equal(dut.read(2, 5), words(2, 0xFFFFFFFF, 0, 0x12345678, 6))
    assert dut.read(2, 5).dtype == np.uint32


def test_takes_words_of_any_stride_and_byte_order(dut):
    dut.write(0, np.arange(32, dtype=">u4")[::2])
    assert_array_equal(dut.read(0, 16), np.arange(0, 32, 2))


def test_fixed_writes_go_to_one_address(dut):
    dut.write(5, words(7, 8, 9), fixed=True)
    assert_array_equal(dut.read(4, 4), words(4, 9, 6, 7))


def test_nothing_is_transferred_for_no_words(dut):
    dut.write(0, words())
    assert dut.read(0, 0).shape == (0,)
    assert dut.read(COUNT, 1)[0] == 0


def test_bursts_longer_than_a_request_arrive_whole(dut):
    n = 3 * (1 << 16) + 5
    dut.write(0, np.arange(n, dtype=np.uint32), fixed=True)
    assert_array_equal(dut.read(0, 1), words(n - 1))
    assert_array_equal(dut.read(COUNT, 1), words(n + 1))


def test_a_transfer_takes_two_cycles_and_the_next_follows_at_once(dut):
    before = dut.cycles
    dut.write(0, np.zeros(10, np.uint32))
    assert dut.cycles - before == 20


@pytest.mark.parametrize("cycles", [0, 1, 1000, 300_000])
def test_idle_passes_exactly_so_many_cycles(dut, cycles):
    before = dut.cycles
    dut.idle(cycles)
    assert dut.cycles - before == cycles


def test_poll_returns_soon_after_the_match(dut):
    before = dut.cycles
    dut.write(BUSY, words(100_000))
    assert dut.poll(BUSY, 1, 0, timeout=60)
    assert 100_000 <= dut.cycles - before <= 100_000 + 40


def test_poll_looks_at_the_masked_bits_only(dut):
    dut.write(0, words(0xA5))
    assert dut.poll(0, 0xF0, 0xA0, timeout=0)
    assert not dut.poll(0, 0xF0, 0xA5, timeout=0)


def test_poll_gives_up_in_time(dut):
    dut.write(BUSY, words(0xFFFFFFFF))
    start = time.monotonic()
    assert not dut.poll(BUSY, 1, 0, timeout=0.2)
    assert 0.2 <= time.monotonic() - start < 5


def test_reset_forgets_registers(dut):
    dut.write(0, words(1))
    assert dut.read(COUNT, 1)[0] == 1
    dut.reset()
    assert dut.read(COUNT, 1)[0] == 0


@pytest.mark.parametrize(
    "access",
    [
        lambda dut: dut.read(SILENT, 1),
        lambda dut: dut.write(SILENT, words(1)),
        lambda dut: dut.poll(SILENT, 1, 1, 1.0),
    ],
)
def test_a_bus_that_never_acknowledges_is_an_error_and_no_end(dut, access):
    with pytest.raises(DeviceSilent, match="0x00000012 within 100,000 clock cycles"):
        access(dut)
    assert_array_equal(dut.read(0, 16), np.arange(16))


def test_a_burst_names_the_word_that_was_not_acknowledged(dut):
    with pytest.raises(DeviceSilent, match="0x00000012"):
        dut.read(COUNT, 5)
    assert_array_equal(dut.read(0, 2), words(0, 1))


def test_what_the_design_prints_is_no_reply(dut):
    dut.write(LOUD, words(1))
    assert_array_equal(dut.read(0, 4), words(0, 1, 2, 3))


def test_a_failed_assertion_of_the_design_is_shown(dut):
    dut.write(LOUD, words(1))
    with pytest.raises(verilated.SimulationCrash, match=r"(?s)loud.*bus_dummy\.v:\d+.*assert"):
        dut.write(FATAL, words(1))
    with pytest.raises(ValueError, match="closed"):
        dut.read(0, 1)


def test_a_killed_simulation_is_a_clear_error(dut):
    os.kill(dut._child.pid, signal.SIGKILL)
    with pytest.raises(verilated.SimulationCrash, match="status -9"):
        dut.read(0, 1)


def test_close_ends_the_simulation_and_may_be_repeated(program):
    dut = verilated.VerilatedTransport(program)
    dut.close()
    assert dut._child.poll() == 0
    dut.close()


def test_the_simulation_dies_with_its_parent(program):
    script = (
        "import os, sys; from pathlib import Path; from sim.verilated import VerilatedTransport\n"
        "dut = VerilatedTransport(Path(sys.argv[1])); print(dut._child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(program)]
    parent = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    status = Path("/proc", parent.stdout.strip(), "stat")
    for _ in range(100):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the simulation still runs")


def test_a_second_build_needs_no_tool(program, monkeypatch):
    text = to_verilog(BusDummy(), "bus_dummy")
    monkeypatch.setenv("PATH", "nowhere")
    assert verilated.build(text, "bus_dummy") == program


def test_another_design_is_another_program(program):
    verilog = to_verilog(BusDummy(start=100), "bus_dummy")
    with verilated.simulate(verilog, "bus_dummy") as dut:
        assert_array_equal(dut.read(0, 2), words(100, 101))


def test_verilog_that_is_none_fails_with_what_verilator_said():
    with pytest.raises(BadInput, match=r"verilator failed.*syntax error"):
        verilated.build("module nonsense(;", "nonsense")


def test_two_simulations_are_independent(program):
    duts = [verilated.VerilatedTransport(program) for _ in range(2)]

    def run(dut, value):
        dut.write(0, np.full(16, value, np.uint32))
        dut.idle(value)

    threads = [threading.Thread(target=run, args=(d, n + 1)) for n, d in enumerate(duts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [dut.read(0, 1)[0] for dut in duts] == [1, 2]
    for dut in duts:
        dut.close()


def test_waves_show_the_bus(tmp_path):
    trace = tmp_path / "waves.vcd"
    text = to_verilog(BusDummy(), "bus_dummy")
    with verilated.simulate(text, "bus_dummy", verilated.Observed(waves=trace)) as dut:
        dut.write(0, words(0xCAFE))
    waves = trace.read_text()
    assert "bus__w_data" in waves
    assert f"b{0xCAFE:032b} " in waves


def test_waves_that_cannot_be_written_are_an_error(tmp_path):
    text = to_verilog(BusDummy(), "bus_dummy")
    waves = verilated.Observed(waves=tmp_path / "nowhere" / "waves.vcd")
    with pytest.raises(verilated.SimulationCrash, match="cannot write waves to"):
        verilated.simulate(text, "bus_dummy", waves)


def test_a_signal_that_is_not_there_cannot_be_watched():
    text = to_verilog(BusDummy(), "bus_dummy")
    path = "TOP.bus_dummy.missing"
    watched = verilated.Observed(watched=(("bus_dummy", "missing", path),))
    with pytest.raises(verilated.SimulationCrash, match=f"no signal {path}"):
        verilated.simulate(text, "bus_dummy", watched)


def test_nothing_is_watched_unless_asked_for(dut):
    assert dut.watched().shape == (0,)
