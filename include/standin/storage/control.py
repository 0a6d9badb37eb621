"""`/_health` and `/_faults` of the proxy, and how it commits a fault."""

import asyncio

from aiohttp import web

from include.standin.faults import Fault, Faults

LARGEST_FAULT = 64 * 1024
"""Bytes of a request to `/_faults`."""


async def control(request: web.BaseRequest, faults: Faults) -> web.Response | None:
    """The answer of the proxy's own routes; None for every other path."""
    if request.path == "/_health":
        return web.json_response({"status": "ok"})
    if request.path != "/_faults":
        return None
    if request.method == "DELETE":
        faults.clear()
    if request.method == "PUT":
        if (request.content_length or 0) > LARGEST_FAULT:
            return web.json_response({"error": f"more than {LARGEST_FAULT} bytes"}, status=413)
        try:
            faults.add(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
    return web.json_response({"faults": faults.pending()})


async def misbehave(request: web.BaseRequest, fault: Fault) -> web.Response | None:
    """Commit the fault; None when the request goes on afterwards."""
    await asyncio.sleep(fault.delay)
    if fault.drop:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    if fault.status is None:
        return None
    if isinstance(fault.body, str):
        return web.Response(text=fault.body, status=fault.status, headers=fault.headers, content_type="application/xml")
    return web.json_response(fault.body or {}, status=fault.status, headers=fault.headers)
