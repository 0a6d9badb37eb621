"""The scorer as a process: killed, cut off, beside others, refused to start."""

import base64
import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from include.domain.events import validate
from include.standin.home import Home

RECORD = {"turbine": "R80711", "wind_speed_ms": 8.0, "power_kw": 790.0, "time": "2015-01-03T10:20:00Z"}


class Site:
    """The queue of the site, and the environment of a scorer that knows it, through a relay."""

    def __init__(self, home: Home) -> None:
        self.account = home.account("north")
        self.key = home.account_key(self.account)
        self.ca = home.ca
        credential = {"account_name": self.account, "account_key": self.key}
        self.queue = QueueClient(
            home.queue_url(self.account), "wind-power", credential=credential, api_version="2019-07-07", connection_verify=str(home.ca)
        )
        self.queue.clear_messages()
        self.port = int(home.queue_url(self.account).split(":")[2].split("/")[0])

    def environment(self, port: int) -> dict[str, str]:
        return {
            "EDGELOOP_QUEUE_ENDPOINT": f"https://localhost:{port}/{self.account}",
            "EDGELOOP_STORAGE_ACCOUNT": self.account,
            "EDGELOOP_STORAGE_KEY": self.key,
            "EDGELOOP_CA_PEM": self.ca.read_text(),
        }

    def events(self) -> list[dict[str, Any]]:
        """Everything in the queue, taken out."""
        found = []
        for message in self.queue.receive_messages(messages_per_page=32, visibility_timeout=600):
            text = base64.b64decode(message.content)
            assert len(text) <= 48_000
            batch = json.loads(text)
            assert len(batch) <= 100
            found += batch
        for raw in found:
            validate(raw, workload="wind_power", site="north")
        return found


@pytest.fixture
def site(storage: Home) -> Iterator[Site]:
    found = Site(storage)
    yield found
    found.queue.clear_messages()


def test_every_answered_event_reaches_the_queue(scorer: Callable[..., Any], site: Site) -> None:
    one = scorer(**site.environment(site.port))
    answered = [score["id"] for _ in range(5) for score in one.score(*[RECORD] * 45).json()["scores"]]
    answered.append(one.http.post("/feedback", json={"event": answered[0], "label": "confirmed", "comment": "ice"}).json()["id"])
    one.until(lambda: one.outbox()["pending"] == 0, "shipped")
    assert one.outbox() == {"recorded": 226, "shipped": 226, "pending": 0}
    events = site.events()
    assert sorted(event["id"] for event in events) == sorted(answered)
    feedback = next(event for event in events if event["type"] == "edgeloop.feedback")
    assert feedback["data"] == {**RECORD, "expected": 800, "residual": -10, "event": answered[0], "label": "confirmed", "comment": "ice"}
    assert feedback["release"] == "sha256:" + "d" * 64
    assert one.end() == 0


def test_a_cut_link_stops_nothing_and_loses_nothing(scorer: Callable[..., Any], site: Site, relay_to: Callable[[int], Any]) -> None:
    relay = relay_to(site.port)
    one = scorer(**site.environment(relay.port))
    first = [score["id"] for score in one.score(*[RECORD] * 3).json()["scores"]]
    one.until(lambda: one.outbox()["pending"] == 0, "shipped")
    relay.cut()
    second = [score["id"] for _ in range(4) for score in one.score(*[RECORD] * 30).json()["scores"]]
    one.until(lambda: "events wait in the outbox" in one.log, "aware of the cut link")
    assert one.outbox()["pending"] == 120
    assert one.http.get("/").status_code == 200
    assert site.key not in one.log
    relay.mend()
    one.until(lambda: one.outbox()["pending"] == 0, "shipped")
    assert {event["id"] for event in site.events()} == {*first, *second}


def test_sigkill_loses_nothing_that_was_answered(scorer: Callable[..., Any], site: Site, relay_to: Callable[[int], Any]) -> None:
    """The link is cut at first, so that all lies in the outbox; it is killed while it answers."""
    relay = relay_to(site.port)
    relay.cut()
    one = scorer(**site.environment(relay.port))
    answered: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        try:
            while True:
                answered.extend(score["id"] for score in one.score(*[RECORD] * 7).json()["scores"])
                if len(answered) > 100:
                    enough.set()
        except Exception:
            enough.set()  # it was killed while it answered

    asking = threading.Thread(target=ask)
    asking.start()
    assert enough.wait(60)
    one.end(signal.SIGKILL)
    asking.join(30)
    relay.mend()
    again = scorer(**site.environment(relay.port))
    again.until(lambda: again.outbox()["pending"] == 0, "shipped")
    recorded = again.outbox()["recorded"]
    events = [event["id"] for event in site.events()]
    assert len(answered) > 100
    assert set(answered) <= set(events)
    assert len(set(events)) == recorded
    assert recorded - len(answered) in (0, 7), "the request in flight was committed whole, or not at all"


def test_sigterm_ships_what_waits(scorer: Callable[..., Any], site: Site) -> None:
    one = scorer(**site.environment(site.port))
    answered = {score["id"] for score in one.score(*[RECORD] * 250).json()["scores"]}
    assert one.end() == 0
    assert {event["id"] for event in site.events()} == answered


def test_two_scorers_in_one_folder_and_the_heir_of_one(scorer: Callable[..., Any], site: Site) -> None:
    first, second = scorer(), scorer()  # without a link: all stays in the outboxes
    one = first.score(RECORD).json()["scores"][0]["id"]
    two = second.score(RECORD).json()["scores"][0]["id"]
    assert first.http.post("/feedback", json={"event": two, "label": "confirmed"}).status_code == 202
    first.end(signal.SIGKILL)
    second.end(signal.SIGKILL)
    heir = scorer(**site.environment(site.port))
    heir.until(lambda: heir.outbox() == {"recorded": 3, "shipped": 3, "pending": 0}, "heir of both")
    assert {one, two} < {event["id"] for event in site.events()}


def test_a_canary_records_nothing(scorer: Callable[..., Any], tmp_path: Path) -> None:
    canary = scorer(EDGELOOP_SHIP="false")
    event = canary.score(RECORD).json()["scores"][0]
    assert event["expected"] == 800
    assert canary.outbox() == {"recorded": 0, "shipped": 0, "pending": 0}
    assert canary.http.get("/recorded").json() == {"requests": []}
    assert canary.http.post("/feedback", json={"event": event["id"], "label": "confirmed"}).status_code == 404
    assert not list(tmp_path.glob("outbox*"))


def test_a_full_disk_is_said_and_claims_nothing(scorer: Callable[..., Any], tmp_path: Path) -> None:
    one = scorer(EDGELOOP_OUTBOX_BYTES=str(256 << 10))
    replies = [one.score(*[RECORD] * 100) for _ in range(6)]
    assert [reply.status_code for reply in replies][-1] == 503
    assert "could not be recorded" in replies[-1].json()["error"]
    acknowledged = sum(len(reply.json().get("scores", ())) for reply in replies)
    assert one.outbox()["recorded"] == acknowledged > 0
    assert one.score(RECORD, **{"EdgeLoop-Replay": "true"}).status_code == 200
    with sqlite3.connect(tmp_path / "outbox.db") as found:
        assert found.execute("select count(*) from events").fetchone() == (acknowledged,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"EDGELOOP_WORKLOAD": ""}, "the environment lacks EDGELOOP_WORKLOAD"),
        ({"EDGELOOP_WORKLOAD": "other"}, "this scorer serves other"),
        ({"EDGELOOP_OUTBOX": ""}, "the environment lacks EDGELOOP_OUTBOX"),
        ({"EDGELOOP_SHIP": "perhaps"}, "EDGELOOP_SHIP is true or false"),
        ({"PORT": "x"}, "PORT is a whole number"),
        ({"EDGELOOP_QUEUE_ENDPOINT": "http://localhost"}, "https:// URL"),
        ({"MODEL_DIR": "/nowhere"}, "cannot be read"),
    ],
)
def test_what_must_not_serve_says_why(scorer: Callable[..., Any], change: dict[str, str], says: str) -> None:
    one = scorer(wait=False, **change)
    assert one.process.wait(60) == 1
    assert says in one.log.splitlines()[-1]
