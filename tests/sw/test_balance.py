"""Balance: as good as the greedy order or better, within the room that there is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from sw.balance import distribute, light_last, over_groups, over_lanes

repeatable = settings(derandomize=True, deadline=None, database=None)


def greatest(work, place, bins):
    """Load of the fullest bin, by the measure that counts most there."""
    load = np.zeros((bins, work.shape[1]))
    np.add.at(load, place, work)
    return load.max()


def longest_first(work, kind, cells):
    """Longest processing time (Graham 1969), with room: each to the bin that is least full then."""
    load, free = np.zeros((cells.shape[1], work.shape[1])), cells.copy()
    place = np.empty(len(work), np.int64)
    for item in np.argsort(-work.sum(axis=1), kind="stable"):
        after = (load + work[item]).max(axis=1)
        after[free[kind[item]] == 0] = np.inf
        place[item] = after.argmin()
        load[place[item]] += work[item]
        free[kind[item], place[item]] -= 1
    return place


@st.composite
def instances(draw, measures=3):
    """Work, kinds and room for all of it."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    items, kinds, bins = draw(st.integers(1, 70)), draw(st.integers(1, 4)), draw(st.integers(1, 9))
    shape = (items, draw(st.integers(1, measures)))
    work = draw(
        st.sampled_from(
            [
                rng.integers(0, 4, shape),
                rng.integers(0, 200, shape),
                rng.pareto(1.0, shape),
                np.ones(shape),
                np.zeros(shape),
            ]
        )
    )
    kind = rng.integers(0, kinds, items)
    least = -(-np.bincount(kind, minlength=kinds) // bins)
    return work.astype(float), kind, np.tile((least + draw(st.integers(0, 2)))[:, None], bins)


class TestDistribute:
    @settings(repeatable, max_examples=400)
    @given(instances())
    def test_no_bin_holds_more_than_it_has_room_for(self, instance):
        work, kind, cells = instance
        place = distribute(work, kind, cells)
        assert place.shape == kind.shape
        held = np.zeros_like(cells)
        np.add.at(held, (kind, place), 1)
        assert (held <= cells).all()

    @settings(repeatable, max_examples=400)
    @given(instances(measures=1))
    def test_never_worse_than_the_greedy_order(self, instance):
        work, kind, cells = instance
        found = greatest(work, distribute(work, kind, cells), cells.shape[1])
        greedy = greatest(work, longest_first(work, kind, cells), cells.shape[1])
        assert found <= greedy * (1 + 1e-9)

    @settings(repeatable, max_examples=300)
    @given(instances(measures=1))
    def test_graham_s_bound(self, instance):
        """Which a limit on the number of items does not break, since the heavy ones come first."""
        work, _, cells = instance
        one_kind = cells.sum(axis=0, keepdims=True)
        bins = one_kind.shape[1]
        place = distribute(work, np.zeros(len(work), np.int64), one_kind)
        assert greatest(work, place, bins) <= work.sum() / bins + work.max() + 1e-9

    @settings(repeatable, max_examples=200)
    @given(instances(measures=1))
    def test_no_exchange_with_the_fullest_bin_is_left(self, instance):
        work, kind, cells = instance
        place, bins = distribute(work, kind, cells), cells.shape[1]
        load = np.bincount(place, work[:, 0], minlength=bins)
        fullest = load.argmax()
        for mine in np.flatnonzero(place == fullest):
            for other in np.flatnonzero((place != fullest) & (kind == kind[mine])):
                change = work[other, 0] - work[mine, 0]
                worst = max(load[fullest] + change, load[place[other]] - change)
                assert worst >= load[fullest] * (1 - 1e-6)

    def test_exchanges_better_the_greedy_order(self):
        """The textbook's instance: 3 + 2 + 2 beside 3 + 2, where 3 + 3 beside 2 + 2 + 2 is best."""
        work = np.array([3.0, 3, 2, 2, 2])[:, None]
        kind, cells = np.zeros(5, np.int64), np.array([[3, 3]])
        assert greatest(work, longest_first(work, kind, cells), 2) == 7
        assert greatest(work, distribute(work, kind, cells), 2) == 6

    def test_several_measures_are_balanced_at_once(self):
        work = np.array([[9.0, 0], [0, 9], [8, 0], [0, 8]])
        place = distribute(work, np.zeros(4, np.int64), np.array([[2, 2]]))
        assert greatest(work, place, 2) == 9

    def test_the_same_every_time(self):
        work = np.random.default_rng(1).pareto(1.0, (200, 2))
        kind, cells = np.arange(200) % 4, np.full((4, 4), 15)
        first = distribute(work, kind, cells)
        np.testing.assert_array_equal(distribute(work, kind, cells), first)


class TestLanes:
    @settings(repeatable, max_examples=100)
    @given(
        outputs=st.integers(1, 60),
        lanes=st.integers(1, 20),
        groups=st.integers(1, 4),
        seed=st.integers(0, 1000),
    )
    def test_no_lane_has_more_rows_than_it_has_room_for(self, outputs, lanes, groups, seed):
        work = np.random.default_rng(seed).integers(0, 30, (outputs, groups))
        rows = -(-outputs // lanes)
        lane = over_lanes(work.astype(float), lanes, rows)
        assert lane.shape == (outputs,)
        assert np.bincount(lane, minlength=lanes).max() <= rows
        assert lane.min() >= 0
        assert lane.max() < lanes

    def test_equal_rows_are_shared_out_equally(self):
        assert np.bincount(over_lanes(np.full((64, 1), 7.0), 16, 4)).tolist() == [4] * 16

    def test_the_heaviest_row_is_alone(self):
        work = np.array([1.0] * 8 + [8])
        assert np.bincount(over_lanes(work[:, None], 2, 8), work).tolist() == [8, 8]

    def test_the_fullest_element_counts_and_not_the_fullest_lane(self):
        work = np.array([[9.0, 0], [0, 9], [8, 0], [0, 8]])
        lane = over_lanes(work, 2, 2)
        loads = [np.bincount(lane, work[:, group], minlength=2).max() for group in range(2)]
        assert loads == [9, 9]


class TestGroups:
    ARTY = dataclasses.replace(PRESETS["arty_a7_35t"], lanes=4, groups=4)  # four lanes, four groups

    @settings(repeatable, max_examples=100)
    @given(outputs=st.integers(1, 100), spare=st.integers(0, 2), seed=st.integers(0, 1000))
    def test_every_row_has_its_own_slot_in_its_lane(self, outputs, spare, seed):
        rng = np.random.default_rng(seed)
        words = -(-outputs // 16) + spare
        lane = rng.permutation(np.arange(words * 16) % 4)[:outputs]
        slots = over_groups(lane, rng.random((outputs, 2)), words * 4, self.ARTY)
        assert len(set(slots.tolist())) == outputs
        assert (slots % 4 == lane).all()
        rows = slots // 4
        assert rows.min() >= 0
        assert rows.max() < words * 4
        for number in range(4):
            for one in range(4):
                mine = np.sort(rows[(lane == one) & (rows % 4 == number)])
                # From the top without gaps.
                assert mine.tolist() == [number + 4 * place for place in range(len(mine))]

    def test_groups_have_as_much_to_do_as_each_other(self):
        """Channels that fall off in activity, all of which a plain order would give to group 0."""
        demand = np.repeat([8.0, 4, 2, 1], 16)[:, None]
        slots = over_groups(np.arange(64) % 4, demand, 16, self.ARTY)
        load = np.bincount(slots // 4 % 4, demand[:, 0])
        assert load.tolist() == [60, 60, 60, 60]

    def test_heavier_rows_come_first(self):
        weight = np.arange(32.0)
        slots = over_groups(np.zeros(32, np.int64), np.ones((32, 1)), 32, self.ARTY, weight)
        for number in range(4):
            mine = np.flatnonzero(slots // 4 % 4 == number)
            assert np.argsort(slots[mine]).tolist() == np.argsort(-weight[mine]).tolist()


@pytest.mark.parametrize("bins", [1, 16])
def test_nothing_to_do(bins):
    assert distribute(np.zeros((0, 1)), np.zeros(0, np.int64), np.ones((1, bins), int)).shape == (
        0,
    )


class TestLightLast:
    def test_the_lightest_come_last_and_the_others_as_they_were(self):
        demand = np.random.default_rng(0).permutation(320).astype(float)
        weight = light_last(demand)
        slots = over_groups(np.arange(320) % 4, demand[:, None], 80, PRESETS["tiny"], weight)
        for lane in range(4):
            mine = np.flatnonzero(np.arange(320) % 4 == lane)
            light = demand[mine] < 7
            assert slots[mine][light].min() > slots[mine][~light].max()
            assert (np.diff(slots[mine][~light]) > 0).all()
            assert (np.diff(demand[mine][light][np.argsort(slots[mine][light])]) < 0).all()
