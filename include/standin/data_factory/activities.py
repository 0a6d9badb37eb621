"""The activities: what each does, and the engine that runs them in their order."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from include.standin.data_factory import exceptions
from include.standin.data_factory.blobs import Blobs
from include.standin.data_factory.conversion import TextFormat, read_translator, to_parquet
from include.standin.data_factory.definitions import Definitions
from include.standin.data_factory.expressions import Scope, evaluate
from include.standin.data_factory.models import ActivityRun, Run

DEFAULT_BATCH, LARGEST_BATCH = 20, 50
"""Rounds of a ForEach at once, as Data Factory has them."""


@dataclass(frozen=True)
class Place:
    """A file of a dataset: what the dataset is, and where its linked service says that it lies."""

    kind: str
    endpoint: str
    container: str
    path: str
    properties: Mapping[str, Any]


class Engine:
    """Executes one run. The outcome of each activity is added to the run as it comes."""

    def __init__(self, run: Run, definitions: Definitions, blobs: Blobs) -> None:
        self.run = run
        self.definitions = definitions
        self.blobs = blobs
        self._kinds: dict[str, Callable[[Mapping[str, Any], Scope, ActivityRun], Awaitable[None]]] = {
            "Copy": self._copy,
            "ForEach": self._for_each,
            "Wait": self._wait,
        }
        self._resources: dict[tuple[str, str], Mapping[str, Any]] = {}

    async def execute(self) -> None:
        """Run the pipeline to its end; ActivityError when it failed."""
        properties = self._resource("pipelines", self.run.pipeline)
        parameters = {
            "parameters": self.run.parameters,
            "RunId": self.run.run_id,
            "Pipeline": self.run.pipeline,
            "TriggerTime": self.run.start,
        }
        await self._all(properties.get("activities") or [], Scope(pipeline=parameters))

    async def _all(self, activities: list[Mapping[str, Any]], scope: Scope) -> None:
        """Activities in the order that their dependencies allow; those that are free run at once. The first failure stops the rest."""
        outputs: dict[str, Any] = {}
        waiting = list(activities)
        while waiting:
            free = [one for one in waiting if all(self._met(need, outputs) for need in one.get("dependsOn") or [])]
            if not free:
                names = ", ".join(one["name"] for one in waiting)
                raise exceptions.Unsupported(f"a dependency that is never met (activities {names}; conditions other than Succeeded)")
            waiting = [one for one in waiting if one not in free]
            within = replace(scope, activities={**scope.activities, **outputs})
            done = await _gather([self._one(one, within) for one in free])
            outputs |= {one["name"]: {"output": record.output, "status": record.status} for one, record in zip(free, done, strict=True)}

    @staticmethod
    def _met(need: Mapping[str, Any], outputs: Mapping[str, Any]) -> bool:
        return need["activity"] in outputs and need.get("dependencyConditions", ["Succeeded"]) in (["Succeeded"], ["Completed"])

    async def _one(self, activity: Mapping[str, Any], scope: Scope) -> ActivityRun:
        record = ActivityRun(activity["name"], activity["type"], self.run.pipeline, self.run.run_id)
        self.run.activities.append(record)
        try:
            if activity["type"] not in self._kinds:
                raise exceptions.Unsupported(f"the activity type '{activity['type']}'")
            await self._kinds[activity["type"]](activity, scope, record)
        except exceptions.ActivityError as error:
            record.end_with("Failed", error.as_error(record.name))
            raise exceptions.ActivityError(f"Operation on target {record.name} failed: {error}") from error
        except asyncio.CancelledError:
            record.end_with("Cancelled")
            raise
        record.end_with("Succeeded")
        return record

    async def _for_each(self, activity: Mapping[str, Any], scope: Scope, record: ActivityRun) -> None:
        """Every item is tried, also when others fail, as Data Factory does."""
        said = activity["typeProperties"]
        items = evaluate(said["items"], scope)
        if not isinstance(items, list):
            raise exceptions.ExpressionError(str(said["items"]), f"a ForEach needs an array, and this is {type(items).__name__}")
        record.input = record.output = {"itemsCount": len(items)}
        places = asyncio.Semaphore(1 if said.get("isSequential") else min(int(said.get("batchCount") or DEFAULT_BATCH), LARGEST_BATCH))

        async def one(item: Any) -> str | None:
            async with places:
                try:
                    await self._all(said["activities"], replace(scope, item=item))
                except exceptions.ActivityError as error:
                    return str(error)
            return None

        failures = [why for why in await _gather([one(item) for item in items]) if why]
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise exceptions.ActivityError(f"Activity failed because an inner activity failed; {failures[0]}{more}")

    async def _wait(self, activity: Mapping[str, Any], scope: Scope, record: ActivityRun) -> None:
        await asyncio.sleep(float(evaluate(activity["typeProperties"]["waitTimeInSeconds"], scope)))

    async def _copy(self, activity: Mapping[str, Any], scope: Scope, record: ActivityRun) -> None:
        said, started = activity["typeProperties"], time.monotonic()
        source, sink = self._place(activity["inputs"][0], scope), self._place(activity["outputs"][0], scope)
        record.input = {
            "source": {"container": source.container, "path": source.path},
            "sink": {"container": sink.container, "path": sink.path},
        }
        data = await self.blobs.read(source.endpoint, source.container, source.path)
        content, rows = self._converted(data, source, sink, said, scope)
        kind = "application/vnd.apache.parquet" if sink.kind == "Parquet" else "application/octet-stream"
        await self.blobs.write(sink.endpoint, sink.container, sink.path, content, kind)
        record.output = {
            "dataRead": len(data),
            "dataWritten": len(content),
            "filesRead": 1,
            "filesWritten": 1,
            **({} if rows is None else {"rowsRead": rows, "rowsCopied": rows}),
            "copyDuration": round(time.monotonic() - started),
            "errors": [],
        }

    def _converted(self, data: bytes, source: Place, sink: Place, said: Mapping[str, Any], scope: Scope) -> tuple[bytes, int | None]:
        if (source.kind, sink.kind) == ("Binary", "Binary"):
            return data, None
        if (source.kind, sink.kind) != ("DelimitedText", "Parquet"):
            raise exceptions.Unsupported(f"a copy from {source.kind} to {sink.kind}")
        columns = read_translator(evaluate(said.get("translator") or {}, scope))
        return to_parquet(
            data, source.path, TextFormat.read(source.properties), columns, sink.properties.get("compressionCodec") or "snappy"
        )

    def _place(self, reference: Mapping[str, Any], scope: Scope) -> Place:
        """Where the dataset's file is, with the reference's parameters."""
        name = reference["referenceName"]
        dataset = self._resource("datasets", name)
        given = {**_defaults(dataset), **evaluate(reference.get("parameters") or {}, scope)}
        properties = evaluate(dataset["typeProperties"], Scope(dataset=given))
        location = properties["location"]
        if not location.get("fileName"):
            raise exceptions.Unsupported(f"dataset '{name}', which names a folder and no file,")
        folder = (location.get("folderPath") or "").strip("/")
        return Place(
            kind=dataset["type"],
            endpoint=self._endpoint(dataset["linkedServiceName"]),
            container=location["container"],
            path=f"{folder}/{location['fileName']}".lstrip("/"),
            properties=properties,
        )

    def _endpoint(self, reference: Mapping[str, Any]) -> str:
        name = reference["referenceName"]
        service = self._resource("linkedservices", name)
        given = {**_defaults(service), **(reference.get("parameters") or {})}
        endpoint = evaluate(service["typeProperties"], Scope(linked_service=given)).get("serviceEndpoint")
        if service["type"] != "AzureBlobStorage" or not endpoint:
            raise exceptions.Unsupported(f"linked service '{name}', which is not AzureBlobStorage with a serviceEndpoint,")
        return str(endpoint)

    def _resource(self, kind: str, name: str) -> Mapping[str, Any]:
        """A resource's properties; a run reads each once."""
        if (kind, name) not in self._resources:
            try:
                self._resources[kind, name] = self.definitions.get(self.run.factory, kind, name)["properties"]
            except exceptions.Refusal as error:
                raise exceptions.ActivityError(f"ErrorCode={error.code},{error}") from error
        return self._resources[kind, name]


def _defaults(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said["defaultValue"] for name, said in (resource.get("parameters") or {}).items() if "defaultValue" in said}


async def _gather(jobs: list[Awaitable[Any]]) -> list[Any]:
    """Every result; the first error, after all have ended. Cancelling it cancels them all."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
