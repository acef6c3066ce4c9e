import os
import shutil
from pathlib import Path

import pytest
from dummy import EchoBoard, OpenStreams, StreamDummy

from sim.bench.runner import run_bench


def run_streams(fault="", testcases=("passes_all",), stalls=(0.0, 0.0), **options):
    env = {"count": 300, "stalls_in": stalls[0], "stalls_out": stalls[1]}
    env |= options.pop("env", {})
    options = {"module": "stream_bench", "name": "stream_dummy", **options}
    run_bench(StreamDummy(fault), env=env, testcases=testcases, **options)


@pytest.mark.parametrize("stalls_in", [0.0, 0.5])
@pytest.mark.parametrize("stalls_out", [0.0, 0.5])
def test_a_sound_component_passes(stalls_in, stalls_out):
    run_streams(stalls=(stalls_in, stalls_out))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("retracts", "o: valid fell before 0x.* was taken"),
        ("changes", "o: the payload went from 0x.* before it was taken"),
        ("blocks", "o: 0 of 300 payloads came, then none for 200 cycles"),
        ("loses", "o: 299 of 300 payloads came"),
        ("repeats", "o: 1 payloads too many"),
    ],
)
def test_a_faulty_component_fails(fault, message):
    with pytest.raises(AssertionError, match=rf"passes_all: .*{message}"):
        run_streams(fault, stalls=(0.0, 0.5))


def test_an_offer_that_is_never_taken_fails():
    with pytest.raises(AssertionError, match=r"i: payload 4 \(0x.*\) was not taken within 200"):
        run_streams("blocks", testcases=["sends_without_receiver"])


def test_failing_tests_are_named_with_the_end_of_the_log():
    with pytest.raises(
        AssertionError, match=r"(?s)1 of \d+ tests failed\nfails: .*FAIL"
    ) as failure:
        run_streams(testcases=["fails", "passes_all"])
    assert "as it must" in str(failure.value)


@pytest.mark.parametrize(
    ("module", "testcases"), [("stream_bench", ["no_such_test"]), ("dummy", None)]
)
def test_a_run_without_tests_fails(module, testcases):
    with pytest.raises(AssertionError):
        run_streams(module=module, testcases=testcases)


def test_a_module_that_does_not_exist_fails_by_name():
    with pytest.raises(AssertionError, match="no_such_module"):
        run_streams(module="no_such_module", testcases=None)


def test_a_simulation_that_dies_fails():
    with pytest.raises(AssertionError, match="ended before its tests did"):
        run_streams(testcases=["dies"])


@pytest.mark.parametrize("by_environment", [False, True])
def test_waves_are_written_when_asked_for(tmp_path, monkeypatch, by_environment):
    monkeypatch.setenv("THRESHER_WAVES", str(int(by_environment)))
    marker = tmp_path / "folder"
    run_streams(
        testcases=["tells_its_folder"], env={"marker": str(marker)}, waves=not by_environment
    )
    folder = Path(marker.read_text())
    assert "i__payload" in (folder / "dump.vcd").read_text()
    shutil.rmtree(folder)


def test_nothing_is_left_of_a_run_that_passed(tmp_path):
    marker = tmp_path / "folder"
    run_streams(testcases=["tells_its_folder"], env={"marker": str(marker)})
    assert not Path(marker.read_text()).exists()


def test_streams_may_be_always_ready_or_empty():
    run_bench(
        OpenStreams(),
        module="stream_bench",
        name="open_streams",
        env={"count": 50},
        testcases=["needs_no_stalls", "misuse_is_refused"],
    )


def test_the_environment_is_left_alone():
    before = dict(os.environ)
    run_streams()
    assert dict(os.environ) == before


def test_blocking_code_talks_over_the_uart():
    run_bench(
        EchoBoard(8),
        module="uart_bench",
        name="echo_board",
        env={"divisor": 8, "timeout": 500},
    )
