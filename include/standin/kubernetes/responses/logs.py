"""Logs of containers, fetched from the node that runs them."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from starlette.responses import Response, StreamingResponse

from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import ApiError, BadRequest, InternalError
from include.standin.kubernetes.responses.calls import Call
from include.standin.kubernetes.store import Key, Object, Store

SWITCHES = ("follow", "timestamps", "previous")
NUMBERS = ("tailLines", "sinceTime", "sinceSeconds", "limitBytes")
CONNECT_WITHIN = 5.0
"""Seconds."""


async def read(store: Store, call: Call, context: ssl.SSLContext) -> Response:
    """`GET .../pods/<name>/log`; BadRequest for a container that has none yet."""
    pod = store.peek(call.key)
    container = _container(pod, call.query.get("container", ""))
    url = f"{_agent(store, pod)}/containerLogs/{call.namespace}/{call.name}/{container}"
    query = {name: "true" for name in SWITCHES if call.says(name)} | {name: call.query[name] for name in NUMBERS if call.query.get(name)}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=timeout)
    try:
        reply = await session.get(url, params=query)
        if reply.status != 200:
            raise await _refusal(reply)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        await session.close()
        raise InternalError(f'Get "{url}": {error}; the node agent is not there') from error
    except ApiError:
        await session.close()
        raise
    return StreamingResponse(_pass_on(session, reply), media_type="text/plain")


async def _refusal(reply: aiohttp.ClientResponse) -> ApiError:
    text = (await reply.text()).strip()
    if reply.status == 404:
        return ApiError(404, "NotFound", text or "the server could not find the requested resource")
    return BadRequest(text) if reply.status < 500 else InternalError(text)


async def _pass_on(session: aiohttp.ClientSession, reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in reply.content.iter_any():
            yield chunk
    except aiohttp.ClientError as error:
        yield f"unexpected end of the log: {error}\n".encode()
    finally:
        reply.close()
        await session.close()


def _container(pod: Object, asked: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [one["name"] for one in spec.get("containers") or ()]
    first = [one["name"] for one in spec.get("initContainers") or ()]
    if asked and asked not in names + first:
        raise BadRequest(f"container {asked} is not valid for pod {name}")
    if not asked and len(names) != 1:
        raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    return asked or names[0]


def _agent(store: Store, pod: Object) -> str:
    """URL of the node agent, from what the node says of itself."""
    node_name = pod["spec"].get("nodeName")
    if not node_name:
        raise BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    status: dict[str, Any] = store.peek(Key(kinds.NODE, "", node_name)).get("status", {})
    addresses = [one["address"] for one in status.get("addresses") or () if one["type"] == "InternalIP"]
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    if not addresses or not port:
        raise InternalError(f"node {node_name} does not say where its agent listens")
    return f"https://{addresses[0]}:{port}"
