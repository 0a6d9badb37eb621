"""A bound on what a request may carry."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooLarge(Exception):
    """A request's body passed the bound while it was read."""


class BodyLimit:
    """Answers 413 to bodies over the limit, by their header or as they arrive."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = JSONResponse({"error": {"code": "RequestBodyTooLarge", "message": f"more than {self.limit} bytes"}}, 413)
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > self.limit:
            return await refusal(scope, receive, send)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise TooLarge(f"the request passed {self.limit} bytes")
            return message

        return await self.app(scope, counted, send)
