"""The driver in threads and tasks."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from two_networks import EXPECTED, INPUTS, NETWORK, RECIPE, X

from sim import golden
from sim.random_network import random_inputs, random_network
from sw.async_driver import AsyncAccelerator
from sw.asynchronous import Threaded


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
