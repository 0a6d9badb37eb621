"""What the demo does, chapter by chapter, and how it sees that each is done. A chapter that is done already is left out."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module

from include.demo.api import AirflowApi, Run, RunFailed
from include.demo.edge import Edge
from include.demo.world import World
from include.domain.windows import Window
from include.domain.workload import Workload

TRAINING = Window(date(2014, 1, 1), date(2015, 1, 31))
"""What is ingested: 2014 to learn from, January 2015 to be tested on."""
REPLAYED = Window(date(2015, 1, 1), date(2015, 1, 31))
"""What users ask the scorers for."""
ANSWERS = 60
"""How many anomalies people answer."""
PATIENCE = 600.0
"""Seconds that one DAG run may take; a demo on a slow machine is slow, not broken."""
Say = Callable[[str], None]


@dataclass
class Story:
    """One workload's loop, told through Airflow's REST API and the scorers' HTTP."""

    workload: Workload
    api: AirflowApi
    world: World
    say: Say = print
    runs: list[Run] = field(default_factory=list)
    digest: str = ""
    """The release that the sites should serve at the end."""
    gate: str = ""
    """What the retraining's gate decided."""

    def export(self, say: Say) -> None:
        """The sites' historians leave their daily files."""
        files = import_module(f"include.workloads.{self.workload.name}.sample.export").export(TRAINING.first, TRAINING.last)
        count = self.world.upload_exports(files)
        say(f"{count} daily files")

    def ingest(self, say: Say) -> None:
        """Data Factory brings the window, Great Expectations validates it."""
        if self.world.count("validated") >= self.world.expected(TRAINING):
            return say("was there already")
        window = {"window_start": str(TRAINING.first), "window_end": str(TRAINING.last), "reason": "demo: history"}
        self.finish(self.api.trigger(self.dag("ingest"), window), say)
        self.follow("validate", str(TRAINING), say)
        say(f"{self.world.count('raw')} raw, {self.world.count('validated')} validated, {self.world.count('quarantine')} with bad rows")
        return None

    def first_model(self, say: Say) -> None:
        """A person asks for the first model; it goes all the way to the sites."""
        champion = self.world.champion()
        if champion is None:
            champion = self.train("demo: the first model", say)
        if champion is None:
            raise RunFailed("the first model was refused: see the gate in the ledger")
        self.digest = champion

    def roll_out(self, say: Say) -> None:
        """The release reaches both sites, wave after wave."""
        if all(self.world.serves(site) == self.digest for site in self.workload.sites):
            return say("both sites serve it already")
        self.follow("roll_out", self.digest, say)
        say(f"{self.digest[:19]} on {', '.join(self.workload.sites)}")
        return None

    def replay(self, say: Say) -> None:
        """Users of both sites send January 2015 for scoring."""
        with ThreadPoolExecutor(len(self.workload.sites)) as pool:
            counts = list(pool.map(self._replay_site, self.edges()))
        say(f"{sum(counts)} records scored, {sum(len(edge.anomalies) for edge in self.edges())} anomalies")

    def drain(self, say: Say) -> None:
        """What the scorers queued arrives in compliant storage, once each."""
        self.until(self._all_stored, say, "events on their way")
        say(f"{self.world.stored()} events stored")

    def publish(self, say: Say) -> None:
        """The global page shows it."""
        self.until(lambda: 0 if self.world.page() else 1, say, "page to be written")
        self.quiet(("drain", "publish"), say)
        say(self.world.page_url)

    def feedback(self, say: Say) -> None:
        """People answer anomalies; the answers take the same way."""
        sent = sum(edge.answer(ANSWERS // len(self.workload.sites)) for edge in self.edges())
        self.until(self._all_stored, say, "answers on their way")
        self.quiet(("drain", "publish", "retrain"), say)
        say(f"{sent} answers")

    def retrain(self, say: Say) -> None:
        """A person asks for a retraining with the answers; the gate decides."""
        promoted = self.train("demo: retraining with the answers of people", say)
        if promoted and promoted != self.digest:
            self.digest, self.gate = promoted, "released"
            self.follow("roll_out", promoted, say)
        say(f"the gate decided: {self.gate}")

    def settle(self, say: Say) -> None:
        """Nothing runs any more."""
        self.quiet((), say)

    def train(self, reason: str, say: Say) -> str | None:
        """Request, training, promotion; the digest of the release, or None when the gate refused."""
        asked = {"window_start": str(TRAINING.first), "window_end": str(TRAINING.last), "reason": reason}
        request = self.finish(self.api.trigger(self.dag("retrain"), asked), say)
        trained = self.follow("train", self.api.result(request, "request")["request"], say)
        candidate = self.api.result(trained, "register")
        promoted = self.follow("promote", candidate["snapshot"], say)
        verdict = self.world.ledger(candidate["snapshot"], "gate") or {}
        self.gate = str(verdict.get("decision"))
        if self.gate != "accepted":
            return None
        return str(self.api.result(promoted, "copy")["digest"])

    def dag(self, stage: str) -> str:
        """Id of a stage's DAG."""
        return f"{self.workload.name}.{stage}"

    def edges(self) -> list[Edge]:
        """The sites' scorers."""
        return [self.world.edge(site) for site in self.workload.sites]

    def finish(self, run: Run, say: Say) -> Run:
        """Wait for the run's end; RunFailed with the failing task's log."""
        end = time.monotonic() + PATIENCE
        while not (run := self.api.run(run)).finished:
            if time.monotonic() > end:
                raise RunFailed(f"{run.dag} run {run.id} is still {run.state} after {PATIENCE:.0f} s")
            say(f"{run.dag.partition('.')[2]} is {run.state}")
            time.sleep(0.5)
        if run.state == "failed":
            raise RunFailed(self.api.failure(run))
        self.runs.append(run)
        return run

    def follow(self, stage: str, key: str, say: Say) -> Run:
        """The newest run of the stage for the key, which an event starts; waits for its start and its end."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [run for run in self.api.runs(self.dag(stage)) if run.partition_key == key]
            if found:
                return self.finish(found[-1], say)
            if time.monotonic() > end:
                raise RunFailed(f"no event started {self.dag(stage)} for {key} within {PATIENCE:.0f} s")
            say(f"waiting for {stage}")
            time.sleep(0.5)

    def until(self, missing: Callable[[], int], say: Say, what: str) -> None:
        """Wait until nothing is missing."""
        end = time.monotonic() + PATIENCE
        while left := missing():
            if time.monotonic() > end:
                raise RunFailed(f"after {PATIENCE:.0f} s there are still {left} {what}")
            say(f"{left} {what}")
            time.sleep(0.5)

    def quiet(self, stages: tuple[str, ...], say: Say) -> None:
        """Wait until no run of the stages (none named: of any) is on its way. One that failed is told."""

        def running() -> int:
            names = {self.dag(stage) for stage in stages}
            runs = [run for run in self.api.runs() if not names or run.dag in names]
            for run in runs:
                if run.state == "failed":
                    raise RunFailed(self.api.failure(run))
            return sum(not run.finished for run in runs)

        self.until(running, say, "runs on their way")

    def _replay_site(self, edge: Edge) -> int:
        requests = import_module(f"include.workloads.{self.workload.name}.sample.export").records(edge.site, REPLAYED.first, REPLAYED.last)
        return edge.replay(requests)

    def _all_stored(self) -> int:
        return sum(len(edge.sent - self.world.accounted(edge.site)) for edge in self.edges())
