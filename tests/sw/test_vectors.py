"""What `predict` takes, and what it says of what it clamps."""

from __future__ import annotations

import asyncio
import dataclasses
import warnings

import numpy as np
import pytest
from two_networks import EXPECTED, NETWORK, X

from sw import networks
from sw.async_driver import AsyncAccelerator
from sw.asynchronous import Immediate
from sw.errors import BadInput
from sw.format import read
from sw.vectors import ClampedInputs, as_vectors, clamped

LOW, HIGH = (
    bound * 2.0**-NETWORK.input.fraction for bound in (NETWORK.input.low, NETWORK.input.high)
)
STEP = 2.0**-NETWORK.input.fraction


@pytest.fixture(scope="module")
def digits():
    """A network for pixels, which takes 0 to 255 / 256."""
    return read(networks.LENET300100)


def test_one_vector_gives_one_answer(accelerator):
    y = accelerator.predict(X[3])
    assert y.shape == EXPECTED[3].shape
    np.testing.assert_array_equal(y, EXPECTED[3])
    np.testing.assert_array_equal(accelerator.predict(X[3].tolist()), EXPECTED[3])
    np.testing.assert_array_equal(accelerator.predict(X[3], trace_layers=True), EXPECTED[3])


def test_none_at_all_gives_none(accelerator):
    assert accelerator.predict(X[:0]).shape == (0, EXPECTED.shape[1])


@pytest.mark.parametrize("shape", [(), (29,), (3, 29), (30, 3), (1, 1)])
def test_other_shapes(shape):
    with pytest.raises(BadInput) as error:
        as_vectors(np.zeros(shape), 30)
    assert str(error.value) == (
        f"inputs have shape {shape}; (n, 30) is needed, or n of as many numbers, or one vector "
        "(30,)"
    )


def test_planes():
    x = np.arange(60.0)
    np.testing.assert_array_equal(as_vectors(x.reshape(2, 5, 2, 3), 30), x.reshape(2, 30))


class TestClamped:
    def test_the_warning_is_of_the_line_that_asked(self, accelerator):
        x = X[:2].copy()
        x[1, 5:8] = HIGH + 2 * STEP
        with pytest.warns(ClampedInputs) as warned:
            y = accelerator.predict(x)
        (warning,) = warned
        assert warning.filename == __file__
        assert str(warning.message) == (
            f"3 of 60 inputs lie outside of {LOW:g} to {HIGH:g}, the range that the network was "
            "compressed for, and are clamped"
        )
        np.testing.assert_array_equal(y, accelerator.predict(np.clip(x, LOW, HIGH)))

    def test_asynchronous(self, accelerator, device):
        async def main():
            asynchronous = AsyncAccelerator(Immediate(device))
            await asynchronous.start()
            await asynchronous.attach(NETWORK)
            return await asynchronous.predict(np.full(30, LOW - 3 * STEP))

        with pytest.warns(ClampedInputs) as warned:
            asyncio.run(main())
        assert [warning.filename for warning in warned] == [__file__]

    def test_a_step_beyond_is_rounding(self, accelerator):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            accelerator.predict(np.full(30, HIGH + STEP))
            accelerator.predict(np.full(30, LOW - STEP))

    def test_bytes_for_pixels(self, digits):
        x = np.zeros((2, 784))
        x[:, ::2] = 255
        said = clamped(digits, x)
        assert said.startswith("784 of 1,568 inputs lie outside of 0 to 0.996094, the range that ")
        assert said.endswith(": are they pixels of 0 to 255, which must be divided by 256?")

    @pytest.mark.parametrize("value", [1.5, 256, -3])
    def test_others_are_no_bytes(self, digits, value):
        assert clamped(digits, np.full((1, 784), float(value))).endswith("and are clamped")

    def test_bytes_for_a_network_of_another_range(self, digits):
        wide = dataclasses.replace(digits.input, fraction=2)  # to 63.75
        network = dataclasses.replace(digits, input=wide)
        assert clamped(network, np.full((1, 784), 255.0)).endswith("and are clamped")

    def test_pixels_from_0_to_1(self, digits):
        assert clamped(digits, np.linspace(0, 1, 784)[None]) is None
