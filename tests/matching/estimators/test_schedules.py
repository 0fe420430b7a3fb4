"""Loss weights at the epochs that matter, and at the steps of the published runs."""

import pytest
from pydantic import BaseModel, ValidationError

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.schedules import SCHEDULES, LossSchedule, get_schedule

EPOCHS = 600
# 22,116 and 7,721 training sounds in batches of 64, 600 times.
DEXED_STEPS, DIVA_STEPS = 207_337, 72_384


def at_epoch(name: str, epoch: float) -> tuple[float, float]:
    return get_schedule(name).weights(round(epoch / EPOCHS * DEXED_STEPS), DEXED_STEPS)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("PLoss", (1, 0), (1, 0)),
        ("Mix", (1, 0), (0.5, 5)),
        ("Switch", (1, 0), (0, 10)),
        ("ALoss", (0, 10), (0, 10)),
        ("Mix-reversed", (0, 10), (0.5, 5)),
        ("Switch-reversed", (0, 10), (1, 0)),
    ],
)
def test_weights_stay_for_a_third_change_in_a_line_for_a_third_and_stay(name, before, after):
    for epoch in (0, 100, 199.7):
        assert at_epoch(name, epoch) == before
    middle = tuple((x + y) / 2 for x, y in zip(before, after, strict=True))
    # The change takes 198 epochs from epoch 199.8 on.
    assert at_epoch(name, 199.8 + 99) == pytest.approx(middle, abs=1e-3)
    for epoch in (397.9, 400, 599, 600):
        assert at_epoch(name, epoch) == pytest.approx(after)


@pytest.mark.parametrize(
    ("total", "start", "length"), [(DEXED_STEPS, 69_043, 68_421), (DIVA_STEPS, 24_103, 23_886)], ids=["dexed", "diva"]
)
def test_the_change_begins_and_ends_at_the_published_steps(total, start, length):
    switch = get_schedule("switch")
    assert switch.weights(start, total) == (1, 0)
    assert switch.weights(start + 1, total).perceptual == pytest.approx(10 / length)
    assert switch.weights(start + length - 1, total).parameter == pytest.approx(1 / length)
    assert switch.weights(start + length, total) == (0, 10)


def test_weights_are_the_published_formula_at_every_step():
    total = 1_000
    start, warm = 333, 330
    for step in range(total):
        passed = max(step - start, 0)
        expected = (0.5 - 1) * (passed / max(warm, passed)) + 1
        assert get_schedule("mix").weights(step, total).parameter == pytest.approx(expected, abs=1e-12)


def test_a_change_without_length_is_a_jump():
    schedule = LossSchedule(parameter=(1, 0), perceptual=(0, 1), start=0.5, length=0)
    assert [tuple(schedule.weights(step, 4)) for step in range(4)] == [(1, 0), (1, 0), (1, 0), (0, 1)]
    assert LossSchedule(parameter=(1, 1), perceptual=(0, 0)).weights(0, 1) == (1, 0)


def test_only_schedules_with_the_perceptual_loss_need_a_proxy():
    assert [name for name, schedule in SCHEDULES.items() if not schedule.uses_proxy] == ["ploss"]


class Recipe(BaseModel):
    schedule: LossSchedule


def test_a_recipe_can_hold_one_and_its_mistakes_are_told():
    recipe = Recipe.model_validate({"schedule": {"parameter": [1, 0.2], "perceptual": [0, 3], "start": 0.1}})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    with pytest.raises(ValidationError, match="weights must not be negative"):
        LossSchedule(parameter=(1, -1), perceptual=(0, 0))
    with pytest.raises(ValidationError, match="frozen"):
        recipe.schedule.start = 0.5
    with pytest.raises(InvalidInputError, match="unknown loss schedule 'swich'; did you mean switch"):
        get_schedule("swich")
