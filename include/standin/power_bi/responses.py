"""Answers of the refresh routes (https://learn.microsoft.com/rest/api/power-bi/datasets)."""

import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.standin.home import Home
from include.standin.power_bi import exceptions
from include.standin.power_bi.models import KEPT, Dataset


@dataclass(frozen=True)
class Responses:
    """What each route answers."""

    home: Home

    def _dataset(self, request: Request) -> Dataset:
        known = self.home.identity
        if request.path_params["group"] != known.group_id:
            raise exceptions.entity_not_found("The group")
        if request.path_params["dataset"] != known.dataset_id:
            raise exceptions.entity_not_found("The dataset")
        return Dataset(self.home.folder("power_bi"))

    async def refreshes(self, request: Request) -> Response:
        """GET: the history. POST: begin a refresh."""
        dataset = self._dataset(request)
        if request.method == "POST":
            return await self._begin(request, dataset)
        top = request.query_params.get("$top", str(KEPT))
        if not top.isdigit() or int(top) < 1:
            raise exceptions.invalid("$top is a number from 1")
        return JSONResponse({"value": [refresh.as_entry() for refresh in dataset.history(int(top))]})

    async def _begin(self, request: Request, dataset: Dataset) -> Response:
        try:
            asked = json.loads(await request.body() or b"{}")
        except ValueError as error:
            raise exceptions.invalid(f"The body is not JSON: {error}") from error
        if not isinstance(asked, dict):
            raise exceptions.invalid("The body is not an object")
        refresh = dataset.start()
        location = f"{self.home.url('cloud')}{request.url.path}/{refresh.request_id}"
        return Response(
            status_code=202, headers={"Location": location, "RequestId": refresh.request_id, "x-ms-request-id": refresh.request_id}
        )

    async def refresh(self, request: Request) -> Response:
        """GET: one refresh, 202 while it runs. DELETE: cancel it."""
        dataset = self._dataset(request)
        request_id = request.path_params["refresh"]
        if request.method == "DELETE":
            dataset.cancel(request_id)
            return Response(status_code=200)
        found = dataset.get(request_id)
        return JSONResponse(found.as_entry(), 202 if found.status == "Unknown" else 200)
