"""The driver in threads and tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from faulty import Lost
from two_networks import EXPECTED, IMAGE, INPUTS, NETWORK, RECIPE, X

from hw.regmap import PLACE
from sim import golden
from sim.random_network import random_inputs, random_network
from sw import async_driver, driver
from sw.async_driver import AsyncAccelerator
from sw.asynchronous import Threaded
from sw.driver import Accelerator, Closed, DeviceError
from sw.transport import PortError


class TestThreads:
    def test_each_has_its_own_outputs(self, accelerator):
        wrong = []

        def use(number):
            x = random_inputs(RECIPE, 3, number)
            expected = golden.run(NETWORK, x)[-1]
            for _ in range(10):
                if not np.array_equal(accelerator.run(x), expected):
                    wrong.append(number)

        threads = [threading.Thread(target=use, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_closed_by_others(self, device, monkeypatch):
        """The port is closed once, and what comes after that is told so."""
        link = Lost(device)
        monkeypatch.setattr(driver, "open_port", lambda *_: link)
        accelerator = Accelerator.open(link.port)
        accelerator.load(NETWORK)
        under_way, go_on = threading.Event(), threading.Event()

        def hold(_):
            under_way.set()
            assert go_on.wait(60)

        with ThreadPoolExecutor(5) as pool:
            run = pool.submit(accelerator.run, INPUTS, progress=hold)
            assert under_way.wait(60)
            closes = [pool.submit(accelerator.close) for _ in range(2)]
            time.sleep(0.05)
            questions = [pool.submit(accelerator.info) for _ in range(2)]
            time.sleep(0.05)
            assert link.closed == 0
            go_on.set()
            np.testing.assert_array_equal(run.result(), golden.run(NETWORK, INPUTS)[-1])
            for close in closes:
                close.result()
            for question in questions:
                assert question.exception() is None or isinstance(question.exception(), Closed)
        assert link.closed == 1

    def test_not_closed_by_its_own_call(self, device, monkeypatch):
        link = Lost(device)
        monkeypatch.setattr(driver, "open_port", lambda *_: link)
        with Accelerator.open(link.port) as accelerator:
            accelerator.load(NETWORK)
            with pytest.raises(DeviceError, match="called by what its own method calls"):
                accelerator.run(INPUTS, progress=lambda _: accelerator.close())
            np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
        assert link.closed == 1


USES = {
    "info": (),
    "load": (NETWORK,),
    "attach": (NETWORK,),
    "run": (INPUTS,),
    "predict": (X,),
    "trace": (INPUTS,),
    "selftest": (),
    "counters": (),
    "reset": (),
    "release": (),
}


class TestClosed:
    """Closed again, either face does nothing; all else that uses the device is refused."""

    MESSAGE = "^the accelerator was closed; open it again$"

    def test_blocking(self, device):
        accelerator = Accelerator(device)
        accelerator.load(NETWORK)
        accelerator.close()
        accelerator.close()
        for name, arguments in USES.items():
            with pytest.raises(Closed, match=self.MESSAGE):
                getattr(accelerator, name)(*arguments)
        np.testing.assert_array_equal(device.read(PLACE["image_id"], 1), [IMAGE.id])

    def test_asynchronous(self, device):
        link = Lost(device)

        async def main():
            accelerator = AsyncAccelerator(Threaded(link))
            await accelerator.start()
            await accelerator.load(NETWORK)
            await accelerator.close()
            await accelerator.close()
            for name, arguments in USES.items():
                with pytest.raises(Closed, match=self.MESSAGE):
                    await getattr(accelerator, name)(*arguments)

        asyncio.run(main())
        assert link.closed == 1


def join(name):
    """Wait until threads of this name have ended."""
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            thread.join(10)
            assert not thread.is_alive()


class TestOpening:
    @pytest.fixture
    def slow(self, device, monkeypatch):
        """A port that takes its time to open."""
        link = Lost(device)
        link.go_on = threading.Event()

        def open_port(*_):
            assert link.go_on.wait(60)
            return link

        monkeypatch.setattr(async_driver, "open_port", open_port)
        return link

    def test_what_comes_too_late_is_closed(self, slow):
        async def main():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(AsyncAccelerator.open(slow.port), 0.05)
            assert slow.closed == 0
            slow.go_on.set()

        asyncio.run(main())
        join("opening")
        assert slow.closed == 1

    def test_what_comes_in_time_is_not(self, slow):
        slow.go_on.set()

        async def main():
            async with await AsyncAccelerator.open(slow.port):
                assert slow.closed == 0

        asyncio.run(main())
        assert slow.closed == 1

    def test_no_such_port(self):
        with pytest.raises(PortError, match="there is no such port"):
            asyncio.run(AsyncAccelerator.open("/dev/ttyNONE7"))


def test_a_port_that_cannot_be_closed_leaves_no_thread(device):
    class Stuck(Lost):
        def close(self):
            raise PortError("it cannot be closed")

    threaded = Threaded(Stuck(device))
    with pytest.raises(PortError, match="it cannot be closed"):
        asyncio.run(threaded.close())
    join("accelerator")


class TestAsync:
    def run(self, device, use):
        async def main():
            accelerator = AsyncAccelerator(Threaded(device))
            await accelerator.start()
            return await use(accelerator)

        return asyncio.run(main())

    def test_the_loop_goes_on(self, device):
        async def use(accelerator):
            turns = 0

            async def count():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            await accelerator.load(NETWORK)
            counting = asyncio.create_task(count())
            outputs = await accelerator.predict(X)
            counting.cancel()
            return outputs, turns

        outputs, turns = self.run(device, use)
        np.testing.assert_array_equal(outputs, EXPECTED)
        assert turns > 10

    def test_bars(self, device, capsys):
        async def use(accelerator):
            await accelerator.load(NETWORK, True)
            await accelerator.predict(X, progress=True)
            await accelerator.run(INPUTS, progress=True)
            await accelerator.trace(INPUTS[:1], progress=True)
            assert repr(accelerator) == "<AsyncAccelerator at a transport>"
            assert accelerator.line_seconds == 0

        self.run(device, use)
        said = capsys.readouterr().err
        assert [word for word in ("loading", "running", "tracing") if word not in said] == []

    def test_several_at_once(self, device):
        async def use(accelerator):
            await accelerator.load(NETWORK)
            return await asyncio.gather(*(accelerator.predict(X[n : n + 3]) for n in range(6)))

        for n, outputs in enumerate(self.run(device, use)):
            np.testing.assert_array_equal(outputs, EXPECTED[n : n + 3])

    def test_a_load_between(self, device):
        """What was asked for after it is of the network that it loads."""
        second = random_network(RECIPE, 2)

        async def use(accelerator):
            await accelerator.load(NETWORK)
            found = await asyncio.gather(
                accelerator.predict(X[:3]),
                accelerator.load(second),
                accelerator.predict(X[:3]),
                accelerator.trace(INPUTS[:2]),
            )
            assert found[3].difference is None
            return found

        found = self.run(device, use)
        expected = golden.dequantise(second, golden.run(second, INPUTS[:3])[-1])
        np.testing.assert_array_equal(found[0], EXPECTED[:3])
        np.testing.assert_array_equal(found[2], expected)

    @pytest.mark.parametrize("what", ["load", "run"])
    def test_cancelled(self, device, what):
        async def use(accelerator):
            def cancel(_):
                task.cancel()

            await accelerator.load(random_network(RECIPE, 2))
            task = asyncio.create_task(
                accelerator.load(NETWORK, cancel)
                if what == "load"
                else accelerator.run(INPUTS, progress=cancel)
            )
            with pytest.raises(asyncio.CancelledError):
                await task
            await accelerator.load(NETWORK)
            return await accelerator.predict(X)

        np.testing.assert_array_equal(self.run(device, use), EXPECTED)
