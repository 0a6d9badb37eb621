"""Whether a model is trained again, and on which window: one request out of schedules, feedback and people."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.domain.windows import Window
from include.domain.workload import Retraining


@dataclass(frozen=True)
class World:
    """What is known when the question is asked. Times in UTC."""

    now: datetime
    newest: Window | None
    """The days that have validated partitions, first to last; None before the first."""
    answers: int
    """Answers of people, ever."""
    last_answers: int
    """Of these, known at the last request."""
    last_request: datetime | None
    last_window: Window | None

    @property
    def feedback(self) -> int:
        """Answers of people since the last request."""
        return max(0, self.answers - self.last_answers)


@dataclass(frozen=True)
class Decision:
    """A window to train on, or none; the reason either way."""

    window: Window | None
    reason: str


def by_hand(world: World, asked: Window | None, reason: str, rules: Retraining) -> Decision:
    """A person's request: always, as long as there is data to train on."""
    if world.newest is None:
        return Decision(None, "there is no validated partition yet: run ingest for a window first")
    if asked and (asked.last < world.newest.first or world.newest.last < asked.first):
        return Decision(None, f"{asked} has no validated day, they are {world.newest}: run ingest for the window first")
    return Decision(asked or latest(world.newest, rules), reason)


def by_schedule(world: World, rules: Retraining) -> Decision:
    """The clock's: only if the data changed since the last request; the same snapshot would give the same model."""
    if world.newest is None:
        return Decision(None, "there is no validated partition yet")
    window = latest(world.newest, rules)
    if window == world.last_window and not world.feedback:
        return Decision(None, f"nothing new since the last request, which trained on {window}")
    return Decision(window, f"schedule: {_news(window != world.last_window, world.feedback)}")


def by_events(world: World, rules: Retraining) -> Decision:
    """After new insights were published: enough answers of people, and no request a short while ago."""
    if world.newest is None:
        return Decision(None, "there is no validated partition yet")
    if world.feedback < rules.feedback_events:
        return Decision(None, f"{world.feedback} answers since the last request, {rules.feedback_events} start a training")
    if world.last_request is not None and world.now - world.last_request < timedelta(hours=rules.cool_down_hours):
        return Decision(None, f"{world.feedback} answers wait for the end of the cool-down of {rules.cool_down_hours:g} h")
    return Decision(latest(world.newest, rules), f"feedback: {world.feedback} answers")


def latest(newest: Window, rules: Retraining) -> Window:
    """The training window that ends at the newest day, as long as the rules say and the data reaches."""
    first = max(newest.first, newest.last - timedelta(days=rules.window_days - 1))
    return Window(first, newest.last)


def _news(window_moved: bool, feedback: int) -> str:
    parts = ["new validated days"] if window_moved else []
    parts += [f"{feedback} answers"] if feedback else []
    return " and ".join(parts)
