"""Weight sharing against an exhaustive clustering, and the clustering against a C++ one."""

from __future__ import annotations

import itertools
import json
import sys

import kmeans1d
import numpy as np
import pytest
from click.testing import CliRunner

from sw.cli.bench_kmeans import kmeans
from sw.compress import optimal
from sw.compress.kmeans import INITIALISATIONS, METHODS, cluster, nearest, starts
from sw.compress.optimal import optimal_breaks
from sw.compress.share import share, share_values, squared_error
from sw.errors import BadInput


def error_of(values, centroids) -> float:
    return squared_error(values, nearest(values, centroids), centroids)


def least_error(values, count) -> float:
    """Over all ways to cut the sorted values into `count` runs."""
    values = np.sort(values)
    best = np.inf
    for cuts in itertools.combinations(range(1, len(values)), count - 1):
        runs = np.split(values, cuts)
        best = min(best, sum(np.square(run - run.mean()).sum() for run in runs))
    return float(best)


def humps(rng, size):
    """Values like those of pruned weights."""
    return rng.choice([-1, 1], size) * (0.03 + 0.02 * rng.exponential(size=size))


def close_groups(rng, size):
    """Many clusterings are nearly as good, and errors are a tiny part of the sum of squares."""
    return rng.integers(0, 40, size) + 1e-4 * rng.normal(size=size)


DISTRIBUTIONS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "humps": humps,
    "far from 0": lambda rng, size: 1000 + rng.normal(size=size),
    "integers": lambda rng, size: np.round(30 * rng.normal(size=size)),
    "outliers": lambda rng, size: rng.standard_cauchy(size),
    "close groups": close_groups,
    "mostly two values": lambda rng, size: np.concatenate(
        [rng.integers(0, 2, size - 90), rng.normal(size=90)]
    ),
    "tiny": lambda rng, size: 1e-200 * rng.normal(size=size),
    "huge": lambda rng, size: 1e200 * rng.normal(size=size),
}


class TestOptimum:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("code_bits", [1, 2])
    def test_centroids_are_optimal(self, seed, code_bits):
        weights = np.random.default_rng(seed).normal(size=(3, 4))
        weights[1] = 0
        codes, centroids = share(weights, code_bits)
        count = 2**code_bits - 1
        assert len(centroids) == count + 1
        best = least_error(weights[weights != 0], count)
        assert squared_error(weights, codes, centroids) == pytest.approx(best)

    @pytest.mark.parametrize("count", [1, 2, 7, 31])
    @pytest.mark.parametrize("shape", DISTRIBUTIONS)
    def test_as_good_as_kmeans1d(self, shape, count):
        values = DISTRIBUTIONS[shape](np.random.default_rng(count), 3000)
        scale = np.abs(values).max()
        values /= scale  # kmeans1d squares them
        theirs = np.array(kmeans1d.cluster(values, count).centroids)
        ours = cluster(values * scale, count) / scale
        assert len(ours) == count
        assert error_of(values, ours) <= error_of(values, theirs) * (1 + 1e-12)

    def test_sums_stay_exact_where_groups_are_far_apart(self):
        """The optimum, 1e-11 of the sum of squares, is put together group by group."""
        groups = np.random.default_rng(8).normal(size=(6, 100))
        least = np.array([0.0] + [np.inf] * 30)
        for group in groups:
            alone = [
                error_of(group, np.array(kmeans1d.cluster(group, count).centroids))
                for count in range(1, 20)
            ]
            ways = [
                [least[total - count] + alone[count - 1] for count in range(1, min(total, 19) + 1)]
                for total in range(1, 31)
            ]
            least = np.array([np.inf, *map(min, ways)])
        values = groups + 2e4 * np.arange(6)[:, None] ** 2
        centroids = cluster(values, 30)
        assert error_of(values, centroids) == pytest.approx(least[30], rel=1e-6)

    @pytest.mark.parametrize("shape", ["humps", "outliers", "close groups", "mostly two values"])
    def test_cuts_made_finer_step_by_step_are_as_good(self, shape, monkeypatch):
        """More values than places that are all looked at, fewer cuts in the first round."""
        values = np.sort(DISTRIBUTIONS[shape](np.random.default_rng(3), 20_000))
        monkeypatch.setattr(optimal, "_GRID", 1 << 12)
        monkeypatch.setattr(optimal, "_ALL", 1 << 10)
        monkeypatch.setattr(optimal, "_CUTS", 4)
        monkeypatch.setattr(optimal, "_CHUNK", 1000)
        breaks, excess = optimal_breaks(values, 15)
        assert excess == 0
        ours = np.array([run.mean() for run in np.split(values, breaks)])
        theirs = np.array(kmeans1d.cluster(values, 15).centroids)
        assert error_of(values, ours) <= error_of(values, theirs) * (1 + 1e-12)

    def test_the_bound_holds_where_the_optimum_is_out_of_reach(self, monkeypatch):
        values = np.sort(humps(np.random.default_rng(4), 20_000))
        monkeypatch.setattr(optimal, "_CUTS_MAX", 3000)
        breaks, excess = optimal_breaks(values, 31)
        runs = np.split(values, breaks)
        found = sum(float(np.square(run - run.mean()).sum()) for run in runs)
        best = error_of(values, cluster(values, 31))  # Lloyd's iteration goes on from the breaks
        least = error_of(values, np.array(kmeans1d.cluster(values, 31).centroids))
        assert 0 < found - least <= excess < 0.1 * least
        assert least * (1 - 1e-12) <= best < found

    def test_a_million_weights_are_shared_optimally(self):
        """What is the optimum is told by its bound; it is better than its neighbours."""
        values = np.sort(humps(np.random.default_rng(5), 1_000_000))
        breaks, excess = optimal_breaks(values, 32)
        assert excess == 0
        assert len(breaks) == 31
        sums, squares = (np.concatenate([[0], np.cumsum(values**power)]) for power in (1, 2))

        def error(places):
            ends = np.concatenate([[0], places, [len(values)]])
            return np.sum(np.diff(squares[ends]) - np.diff(sums[ends]) ** 2 / np.diff(ends))

        least = error(breaks)
        for step in (-100, 100):
            for moved in np.eye(31, dtype=np.int64) * step:
                assert error(breaks + moved) > least


class TestLloyd:
    def test_starts_are_those_of_the_paper(self):
        values = np.random.default_rng(0).exponential(size=1000)
        np.testing.assert_allclose(
            starts(values, 5, "linear"), np.linspace(values.min(), values.max(), 5)
        )
        density = starts(values, 10, "density")
        below = (values[:, None] < density).mean(axis=0)
        np.testing.assert_allclose(below, (np.arange(10) + 0.5) / 10)
        forgy = starts(values, 10, "forgy", seed=1)
        assert np.isin(forgy, values).all()
        assert len(forgy) == 10
        assert not np.array_equal(forgy, starts(values, 10, "forgy", seed=2))
        np.testing.assert_array_equal(forgy, starts(values, 10, "forgy", seed=1))

    @pytest.mark.parametrize("initialisation", INITIALISATIONS)
    def test_ends_where_no_sweep_changes_anything(self, initialisation):
        values = humps(np.random.default_rng(6), 2000)
        first = starts(values, 15, initialisation)
        centroids = cluster(values, 15, "lloyd", initialisation)
        places = nearest(values, centroids)
        means = [values[places == place].mean() for place in range(len(centroids))]
        np.testing.assert_allclose(centroids, means, rtol=1e-12)
        assert error_of(values, centroids) < error_of(values, first)
        assert error_of(values, cluster(values, 15)) <= error_of(values, centroids)

    def test_centroids_without_a_weight_are_left_out(self):
        weights = np.array([[1.0, 1.1, 1.2, 9.0, 9.1, 9.2]])
        codes, centroids = share_values(weights, 5, "lloyd", "linear")
        assert set(codes.ravel()) == set(range(1, len(centroids)))
        assert len(centroids) < 6

    def test_unknown_names(self):
        with pytest.raises(BadInput, match="method 'k' is unknown; use optimal or lloyd"):
            cluster(np.ones(3), 2, "k")
        with pytest.raises(BadInput, match="'random' is unknown; use linear, density, forgy"):
            cluster(np.ones(3), 2, "lloyd", "random")
        with pytest.raises(BadInput, match="number of centroids is 0"):
            starts(np.ones(3), 0)


class TestShare:
    @pytest.mark.parametrize("method", METHODS)
    def test_zeros_have_code_0_and_nothing_else_has(self, method):
        weights = np.random.default_rng(1).normal(size=(40, 30))
        weights[weights < 0.5] = 0
        codes, centroids = share(weights, 4, method)
        np.testing.assert_array_equal(codes == 0, weights == 0)
        assert centroids[0] == 0
        assert (np.diff(centroids[1:]) > 0).all()
        assert codes.max() == len(centroids) - 1 <= 15

    def test_every_weight_has_its_nearest_centroid(self, monkeypatch):
        monkeypatch.setattr("sw.compress.share._CHUNK", 100)
        weights = np.random.default_rng(2).normal(size=(31, 33)).T
        weights[weights < 0] = 0
        codes, centroids = share(weights, 3)
        distances = np.abs(weights[..., None] - centroids[1:])
        np.testing.assert_array_equal(codes[weights != 0], distances.argmin(-1)[weights != 0] + 1)
        exact = np.square(weights - centroids[codes]).sum()
        assert squared_error(weights, codes, centroids) == pytest.approx(exact)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("distinct", [1, 2, 14, 15])
    def test_few_distinct_weights_are_exact(self, distinct, method):
        rng = np.random.default_rng(distinct)
        weights = rng.choice(rng.normal(size=distinct), size=(20, 20))
        codes, centroids = share(weights, 4, method)
        assert len(centroids) == distinct + 1
        np.testing.assert_array_equal(centroids[codes], weights)

    @pytest.mark.parametrize("method", METHODS)
    def test_a_layer_without_weights_has_code_0_only(self, method):
        codes, centroids = share(np.zeros((3, 4)), 4, method)
        np.testing.assert_array_equal(codes, np.zeros((3, 4)))
        np.testing.assert_array_equal(centroids, [0.0])

    def test_255_values_fill_a_byte(self):
        weights = np.random.default_rng(7).normal(size=(20, 20))
        codes, centroids = share(weights, 8)
        assert len(centroids) == 256
        assert codes.max() == 255
        np.testing.assert_array_equal(share_values(weights, 255)[1], centroids)

    @pytest.mark.parametrize("code_bits", [0, 9, -1])
    def test_code_bits_out_of_range(self, code_bits):
        with pytest.raises(BadInput, match=f"code bits are {code_bits}; they must be from 1 to 8"):
            share(np.ones((2, 2)), code_bits)

    @pytest.mark.parametrize("values", [0, 256])
    def test_values_out_of_range(self, values):
        with pytest.raises(BadInput, match=f"have {values} distinct weights; it can have 1 to 255"):
            share_values(np.ones((2, 2)), values)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_not_finite(self, bad):
        with pytest.raises(BadInput, match=f"is {bad}; all must be finite"):
            share(np.array([[1.0, bad, 2.0]]), 1)


class TestBench:
    SMALL = ("--weights", "2000", "--codes", "5")

    def test_all_methods_share_the_same_weights(self, tmp_path):
        plot = tmp_path / "starts.png"
        result = CliRunner().invoke(kmeans, [*self.SMALL, "--plot", str(plot), "--json"])
        assert result.exit_code == 0, result.output
        record = json.loads(result.stdout)
        ours, *others = record["methods"]
        assert ours["method"] == "optimal"
        assert len(others) == 4
        assert all(ours["squared_error"] <= other["squared_error"] for other in others)
        assert record["speedup"] == others[-1]["seconds"] / ours["seconds"]
        assert plot.read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--codes", "1"), "--codes is 1; it must be from 2 to 256"),
            (("--codes", "257"), "--codes is 257"),
            (("--weights", "3"), r"--weights is 3; it must be --codes \(32\) or more"),
            (("--plot", "plot.jpg"), "plot.jpg is not a name for a plot"),
            (("--plot", "nowhere/plot.png"), "no folder nowhere"),
        ],
    )
    def test_bad_settings(self, options, message):
        with pytest.raises(BadInput, match=message):
            CliRunner().invoke(kmeans, options, catch_exceptions=False)

    def test_seed_below_0(self):
        result = CliRunner().invoke(kmeans, ["--seed", "-1"])
        assert result.exit_code == 2
        assert "'--seed': -1 is not in the range x>=0" in result.stderr

    def test_without_scikit_learn(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
        with pytest.raises(BadInput, match=r"pip install 'thresher\[bench\]'"):
            CliRunner().invoke(kmeans, self.SMALL, catch_exceptions=False)
