"""The environment of a container: envFrom, env, references, and `$(NAME)` in values and arguments."""

import re

from include.standin.node.api import Api, Json
from include.standin.node.data import field, key, read
from include.standin.node.settings import ConfigError

NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def expand(text: str, known: dict[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known, `$$(NAME)` kept as `$(NAME)`: Kubernetes' rule."""

    def one(found: re.Match[str]) -> str:
        if found[0].startswith("$$"):
            return found[0][1:]
        return known.get(found[1], found[0])

    return re.sub(r"\$?\$\(([^()]+)\)", one, text)


class Environment:
    """Reads the environment that containers of one pod ask for."""

    def __init__(self, api: Api, pod: Json, address: str, host: str) -> None:
        self.api, self.pod, self.address, self.host = api, pod, address, host
        self.namespace = pod["metadata"]["namespace"]

    async def of(self, container: Json, given: dict[str, str]) -> dict[str, str]:
        """The variables that a container names. `given` are those that a value may refer to besides."""
        said: dict[str, str] = {}
        for source in container.get("envFrom") or ():
            said |= await self._all(source)
        for variable in container.get("env") or ():
            value = await self._one(variable, given | said)
            if value is not None:
                said[variable["name"]] = value
        return said

    async def _all(self, source: Json) -> dict[str, str]:
        kind, reference = ("configmaps", source["configMapRef"]) if "configMapRef" in source else ("secrets", source["secretRef"])
        content = await read(self.api, self.namespace, kind, reference["name"], bool(reference.get("optional")))
        return {source.get("prefix", "") + name: _text(name, value) for name, value in content.items() if NAME.fullmatch(name)}

    async def _one(self, variable: Json, known: dict[str, str]) -> str | None:
        source = variable.get("valueFrom")
        if not source:
            return expand(variable.get("value") or "", known)
        if "fieldRef" in source:
            return field(self.pod, source["fieldRef"]["fieldPath"], self.address, self.host)
        for kind, name in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
            if name in source:
                content = await key(self.api, self.namespace, kind, source[name])
                return None if content is None else _text(variable["name"], content)
        raise ConfigError(f"variable {variable['name']}: this node cannot read {', '.join(source)}")


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"the value for {name} is not UTF-8 text: mount it as a file") from error
    if "\0" in text:
        raise ConfigError(f"the value for {name} holds a zero byte: mount it as a file")
    return text
