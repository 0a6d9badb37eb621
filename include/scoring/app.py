"""The scorer over HTTP: the routes of docs/contracts.md, "Scorer"."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.scoring import oip, page, records
from include.scoring.metrics import Metrics
from include.scoring.model import RecordError
from include.scoring.outbox import KEPT_REQUESTS, OutboxError
from include.scoring.records import RequestError
from include.scoring.service import Scored, Service

LARGEST_BODY = 4 << 20
"""Bytes."""
GRACE = 10.0
"""Seconds to ship in after SIGTERM; Kubernetes gives 30 for everything."""


def create_app(service: Service) -> Starlette:
    """The ASGI app; closing it closes the service."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close, GRACE)

    handlers = Handlers(service)
    model = f"/v2/models/{service.model.contract.workload}"
    routes = [
        Route("/score", handlers.score, methods=["POST"]),
        Route("/feedback", handlers.feedback, methods=["POST"]),
        Route("/v2", handlers.server),
        Route("/v2/health/live", handlers.healthy),
        Route("/v2/health/ready", handlers.healthy),
        Route(model, handlers.model),
        Route(f"{model}/ready", handlers.healthy),
        Route(f"{model}/infer", handlers.infer, methods=["POST"]),
        Route("/recorded", handlers.recorded),
        Route("/outbox", handlers.outbox),
        Route("/metrics", handlers.metrics),
        *page.routes(service),
    ]
    refused = (RequestError, RecordError, OutboxError)
    refuse: dict[Any, Callable[[Request, Exception], Response]] = dict.fromkeys(refused, handlers.refuse)
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=refuse)


def _json(said: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(said), status, media_type="application/json")


async def _body(request: Request) -> Any:
    """The request's JSON; RequestError when it is too large or none."""
    if int(request.headers.get("content-length", "0")) > LARGEST_BODY:
        raise RequestError(f"a body may have {LARGEST_BODY} bytes", 413)
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_BODY:
            raise RequestError(f"a body may have {LARGEST_BODY} bytes", 413)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error}") from error


def _is_replay(request: Request) -> bool:
    return request.headers.get("edgeloop-replay", "").lower() == "true"


class Handlers:
    """One method a route."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._contract = service.model.contract
        self._metrics = Metrics(service)

    async def score(self, request: Request) -> Response:
        """POST /score."""
        scored = await self._scored(request, await _body(request))
        scores = [
            {"id": event_id, "expected": score.expected, "residual": score.residual, "anomaly": score.anomaly}
            for event_id, score in zip(scored.ids, scored.scores, strict=True)
        ]
        contract = self._contract
        return _json(
            {
                "model": contract.workload,
                "model_digest": contract.model_digest,
                "release": self._service.settings.release,
                "snapshot": contract.snapshot,
                "scores": scores,
            }
        )

    async def infer(self, request: Request) -> Response:
        """POST /v2/models/<workload>/infer."""
        said = await _body(request)
        scored = await self._scored(request, oip.records(said, self._contract))
        return _json(oip.answer(said, scored, self._contract))

    async def _scored(self, request: Request, said: Any) -> Scored:
        replay = _is_replay(request)
        with self._metrics.seconds.time():
            scored = await self._service.score(records.accept(said), replay=replay)
        self._metrics.scored(scored, replay=replay)
        return scored

    async def feedback(self, request: Request) -> Response:
        """POST /feedback."""
        found = await self._service.feedback(await _body(request))
        if found is None:
            return _json({"error": "there is no such event here; the newest 50,000 are kept"}, 404)
        return _json({"id": found}, 202)

    async def server(self, _: Request) -> Response:
        """GET /v2."""
        return _json(oip.server())

    async def healthy(self, _: Request) -> Response:
        """Live and ready: the model is loaded and warm before the port opens, and nothing remote is needed."""
        return _json({"live": True, "ready": True, "name": self._contract.workload})

    async def model(self, _: Request) -> Response:
        """GET /v2/models/<workload>."""
        return _json(oip.model(self._contract))

    async def recorded(self, request: Request) -> Response:
        """GET /recorded?limit=n."""
        limit = request.query_params.get("limit", "100")
        if not limit.isdecimal() or not 0 < len(limit) < 6:
            raise RequestError("limit is a whole number")
        found = await asyncio.to_thread(self._service.recorded, min(int(limit), KEPT_REQUESTS))
        return Response(b'{"requests":[' + b",".join(found) + b"]}", media_type="application/json")

    async def outbox(self, _: Request) -> Response:
        """GET /outbox."""
        counts = await asyncio.to_thread(self._service.counts)
        return _json({"recorded": counts.recorded, "shipped": counts.shipped, "pending": counts.pending})

    async def metrics(self, _: Request) -> Response:
        """GET /metrics."""
        return Response(await asyncio.to_thread(self._metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")

    def refuse(self, _: Request, error: Exception) -> Response:
        """Errors as answers that say what to change."""
        said: dict[str, Any] = {"error": str(error)}
        status = 400
        if isinstance(error, RecordError):
            status, said = 422, {**said, "record": error.record, "field": error.field, "reason": error.reason}
        elif isinstance(error, OutboxError):
            status, said = 503, {"error": "the score could not be recorded, so none is given; see the scorer's log and its disk"}
        elif isinstance(error, RequestError):
            status = error.status
        self._metrics.refused.labels(str(status)).inc()
        return _json(said, status)
