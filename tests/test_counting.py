"""Updates of an iteration: the closed form against a loop, the schedule of the WassersteinGAN code; and phases."""

from itertools import product

import pytest

from ganlab.counting import Phase, UpdatePlan, phases_of

PLANS = [
    UpdatePlan(updates, iterations, warmup, every)
    for updates, iterations, warmup, every in product((1, 5), (0, 1, 4, 9), (2, 100), (0, 1, 3, 7, 40))
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "-".join(map(str, vars(plan).values())))
def test_what_came_before_is_the_sum_of_all_earlier_iterations(plan):
    total = 0
    for iteration in range(50):
        assert plan.before(iteration) == total
        total += plan.at(iteration)


def test_the_schedule_of_the_authors_code():
    """`Diters = 100 if gen_iterations < 25 or gen_iterations % 500 == 0 else 5`."""
    plan = UpdatePlan(updates=5, warmup_iterations=25, warmup_updates=100, warmup_every=500)
    expected = [100 if i < 25 or i % 500 == 0 else 5 for i in range(1600)]
    assert [plan.at(i) for i in range(1600)] == expected
    assert plan.before(1600) == sum(expected) == 28 * 100 + 1572 * 5


def test_a_constant_plan_multiplies():
    assert [UpdatePlan(3).at(i) for i in (0, 1, 10**12)] == [3, 3, 3]
    assert UpdatePlan(3).before(10**12) == 3 * 10**12
    assert UpdatePlan(3, warmup_updates=100).before(7) == 21


def test_the_first_iteration_is_a_multiple_too():
    assert [UpdatePlan(1, 0, 9, 3).at(i) for i in range(7)] == [9, 1, 1, 9, 1, 1, 9]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_batches_are_a_multiple_of_updates(factor):
    plan = UpdatePlan(5, 3, 20, 4)
    batches = plan.times(factor)
    assert all(batches.at(i) == factor * plan.at(i) and batches.before(i) == factor * plan.before(i) for i in range(20))


def test_phases_follow_one_another_and_the_last_takes_what_is_left():
    phases = phases_of({"layer_1": 3, "layer_2": 5}, "autoencoder", 12)
    assert phases == (Phase("layer_1", 0, 3), Phase("layer_2", 3, 8), Phase("autoencoder", 8, 12))
    covered = [phase.name for phase in phases for _ in range(phase.first, phase.last)]
    assert len(covered) == 12 == sum(phase.iterations for phase in phases)
    assert phases_of({}, "autoencoder", 4) == (Phase("autoencoder", 0, 4),)


@pytest.mark.parametrize("total", [3, 8])
def test_a_last_phase_of_no_iterations_is_no_run(total):
    with pytest.raises(ValueError, match=f"8 iterations in phases before the last one, of {total} in all"):
        phases_of({"layer_1": 3, "layer_2": 5}, "autoencoder", total)
