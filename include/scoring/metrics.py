"""What Prometheus sees."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from include.scoring.service import Scored, Service


class Metrics:
    """Counters of one scorer, in a registry of its own."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._records = Counter("edgeloop_records", "Records that were scored.", ["kind"], registry=self.registry)
        self.refused = Counter(
            "edgeloop_refused_requests", "Requests that were not answered with a score.", ["status"], registry=self.registry
        )
        self.seconds = Histogram("edgeloop_score_seconds", "From a whole request to its answer.", registry=self.registry)
        self.registry.register(_Outbox(service))

    def scored(self, scored: Scored, *, replay: bool) -> None:
        """Count an answer."""
        anomalies = sum(score.anomaly for score in scored.scores)
        self._records.labels("replay" if replay else "insight").inc(len(scored.scores) - (0 if replay else anomalies))
        if not replay:
            self._records.labels("anomaly").inc(anomalies)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _Outbox(Collector):
    """Read when it is asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> list[Metric]:
        """Counts of the outbox and of the shipping."""
        counts = self._service.counts()
        found: list[Metric] = [
            CounterMetricFamily("edgeloop_events_recorded", "Events that were answered for.", counts.recorded),
            CounterMetricFamily("edgeloop_events_shipped", "Events that are in the queue.", counts.shipped),
            GaugeMetricFamily("edgeloop_events_pending", "Events that wait for the link.", counts.pending),
        ]
        if self._service.shipper:
            health = self._service.shipper.health
            found += [
                CounterMetricFamily("edgeloop_ship_failures", "Attempts to ship that failed.", health.failures),
                GaugeMetricFamily("edgeloop_last_shipped_timestamp_seconds", "When the queue last took a message.", health.last_success),
            ]
        return found
