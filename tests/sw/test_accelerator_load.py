"""What the driver writes of a network: all of it, or what differs from the one before."""

from __future__ import annotations

import random

import numpy as np
import pytest
from faulty import FAULTS, Faulty
from two_networks import (
    EXPECTED,
    IMAGE,
    INPUTS,
    LAYERS,
    NETWORK,
    OTHER,
    OTHER_LAYERS,
    RECIPE,
    WHOLE,
    X,
    far_apart,
    other_image,
)

from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sw import format as thr
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.words import differing_words, image_words


class TestLoad:
    def test_a_file(self, device, tmp_path):
        path = tmp_path / "net.thr"
        thr.write_file(path, thr.to_bytes(NETWORK))
        for model in (path, str(path)):
            accelerator = Accelerator(device)
            accelerator.load(model, whole=True)
            np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    @pytest.mark.parametrize("model", [None, 3, b"net.thr", INPUTS])
    def test_no_model(self, accelerator, model):
        """What is loaded stays so."""
        for use in (accelerator.load, accelerator.attach):
            with pytest.raises(BadInput) as error:
                use(model)
            assert str(error.value) == (
                "a model is the path of a .thr file, a CompressedNetwork or an Image, not of type "
                f"{type(model).__name__}"
            )
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_all_of_it_once(self, device):
        accelerator = Accelerator(device)
        assert accelerator.load(NETWORK) == WHOLE
        assert accelerator.load(NETWORK) == 0
        assert Accelerator(device).load(NETWORK) == 0
        assert accelerator.load(NETWORK, whole=True) == WHOLE

    def test_what_differs(self, accelerator):
        assert accelerator.load(other_image()) == 1
        outputs = golden.run(OTHER, INPUTS)[-1]
        np.testing.assert_array_equal(accelerator.run(INPUTS), outputs)
        assert (outputs != LAYERS[-1]).any()
        assert accelerator.load(NETWORK) == 1
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    @pytest.mark.parametrize("seed", range(5))
    def test_any_network_after_any_other(self, accelerator, seed):
        """Smaller and larger ones; only words that differ, with those between."""
        dice = np.random.default_rng(seed)
        for _ in range(4):
            sizes = [int(size) for size in dice.integers(3, 40, dice.integers(2, 5))]
            recipe = Recipe(sizes, density=float(dice.uniform(0.05, 0.5)))
            network = random_network(recipe, int(dice.integers(100)))
            accelerator.load(network)
            x = random_inputs(recipe, 3, seed)
            np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])

    def test_all_of_it_where_others_may_have_written(self, accelerator):
        accelerator.release()
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_where_another_program_has_loaded(self, accelerator, device):
        Accelerator(device).load(OTHER)
        assert accelerator.load(random_network(RECIPE, 2)) > WHOLE / 2
        Accelerator(device).load(OTHER)
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_after_one_that_failed(self, accelerator):
        def stop(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            accelerator.load(random_network(RECIPE, 2), stop)
        assert accelerator.image_id == 0
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_where_it_was_not_guarded(self, device):
        """Another program may have written into memories, which cannot be read back."""
        Accelerator(device).load(NETWORK)
        Accelerator(device).close()
        assert Accelerator(device).load(NETWORK) == 0
        released = Accelerator(device)
        released.release()
        released.close()
        assert Accelerator(device).load(NETWORK) == WHOLE

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("bit", range(9))
    def test_what_differs_on_a_bad_line(self, device, fault, bit):
        """Whatever word goes wrong, those between that stay are what they were, too."""
        Accelerator(device).load(NETWORK)
        counting = Faulty(device)
        accelerator = Accelerator(counting)
        accelerator.attach(NETWORK)
        before = counting.words
        accelerator.load(far_apart())
        for place in range(before, counting.words, 2):
            Accelerator(device).load(NETWORK)
            link = Faulty(device, place, FAULTS[fault](random.Random(bit)))
            accelerator = Accelerator(link)
            accelerator.attach(NETWORK)
            accelerator.load(far_apart())
            found = accelerator.run(INPUTS[:3])
            np.testing.assert_array_equal(found, golden.run(OTHER_LAYERS, INPUTS[:3])[-1])


class TestDifferingWords:
    @pytest.mark.parametrize("seed", range(20))
    def test_old_with_them_is_new(self, seed):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, 30, (4, 2))
        old = [
            (100 * n, rng.integers(0, 2, a).astype(np.uint32)) for n, (a, _) in enumerate(lengths)
        ]
        new = [
            (100 * n, rng.integers(0, 2, b).astype(np.uint32)) for n, (_, b) in enumerate(lengths)
        ]
        new.append((1000, np.arange(5, dtype=np.uint32)))
        memory = {a + i: int(w) for a, words in old for i, w in enumerate(words)}
        wanted = {a + i: int(w) for a, words in new for i, w in enumerate(words)}
        parts = differing_words(new, old)
        sent = {a + i: int(w) for a, words in parts for i, w in enumerate(words)}
        assert sent.items() <= wanted.items()
        assert (memory | sent) | wanted == memory | sent
        for address, words in parts:  # no part begins or ends with what is there already
            for place in (address, address + len(words) - 1):
                assert memory.get(place) != wanted[place]

    def test_nothing(self):
        assert differing_words(image_words(IMAGE), image_words(IMAGE)) == []
