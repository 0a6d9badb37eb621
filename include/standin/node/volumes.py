"""Volumes are folders: emptyDir, configMap, secret, projected, downwardAPI in the pod's; claims in the node's; hostPath where it says."""

from pathlib import Path, PurePosixPath

from include.standin.node.api import Api, ApiError, Json
from include.standin.node.data import field, read
from include.standin.node.paths import Mount
from include.standin.node.service_account import replace, token
from include.standin.node.settings import ConfigError


class Volumes:
    """The volumes of one pod."""

    def __init__(self, api: Api, pod: Json, folder: Path, claims: Path, address: str, host: str) -> None:
        self.api, self.pod, self.folder, self.claims = api, pod, folder, claims
        self.address, self.host = address, host
        self.namespace = pod["metadata"]["namespace"]

    async def mounts(self, container: Json) -> tuple[Mount, ...]:
        """The folders that a container's volumeMounts name, with their content. ConfigError says what is missing."""
        known = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or ()}
        found = []
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in known:
                raise ConfigError(f"volume {mount['name']!r} is mounted and not declared")
            folder = await self._folder(known[mount["name"]])
            if part := mount.get("subPath"):
                folder = _inside(folder, part)
                if not folder.exists():
                    folder.mkdir(parents=True)
            found.append(Mount(mount["mountPath"], folder))
        return tuple(found)

    async def _folder(self, volume: Json) -> Path:
        folder = self.folder / volume["name"]
        if "hostPath" in volume:
            return _host(volume["hostPath"])
        if "persistentVolumeClaim" in volume:
            return await self._claim(volume["persistentVolumeClaim"]["claimName"])
        folder.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            return folder
        for source in (volume["projected"].get("sources") or ()) if "projected" in volume else (volume,):
            for path, content in (await self._files(volume["name"], source)).items():
                replace(_inside(folder, path), content)
        return folder

    async def _claim(self, name: str) -> Path:
        try:
            await self.api.get(f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/{name}")
        except ApiError as error:
            raise ConfigError(f'persistentvolumeclaim "{name}" not found: {error}') from error
        folder = self.claims / self.namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _files(self, volume: str, source: Json) -> dict[str, bytes]:
        if said := source.get("configMap"):
            return _items(said, await read(self.api, self.namespace, "configmaps", said["name"], bool(said.get("optional"))))
        if said := source.get("secret"):
            name = said.get("secretName") or said["name"]
            return _items(said, await read(self.api, self.namespace, "secrets", name, bool(said.get("optional"))))
        if said := source.get("downwardAPI"):
            return {
                item["path"]: field(self.pod, item["fieldRef"]["fieldPath"], self.address, self.host).encode()
                for item in said.get("items") or ()
                if "fieldRef" in item
            }
        if said := source.get("serviceAccountToken"):
            content = await token(self.api, self.pod, said.get("audience"), said.get("expirationSeconds", 3600))
            return {said["path"]: content.encode()}
        kinds = ", ".join(key for key in source if key != "name")
        raise ConfigError(f"volume {volume!r}: this node has no volumes of kind {kinds or 'none'}")


def _items(said: Json, content: dict[str, bytes]) -> dict[str, bytes]:
    if not said.get("items"):
        return content
    missing = [item["key"] for item in said["items"] if item["key"] not in content]
    if missing and not said.get("optional"):
        raise ConfigError(f"a volume refers to the key {missing[0]!r}, which is not in {said.get('secretName') or said.get('name')!r}")
    return {item["path"]: content[item["key"]] for item in said["items"] if item["key"] in content}


def _inside(folder: Path, path: str) -> Path:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ConfigError(f"the path {path!r} leaves its volume")
    return folder / path


def _host(said: Json) -> Path:
    path, kind = Path(said["path"]), said.get("type") or ""
    if kind in ("DirectoryOrCreate", "FileOrCreate"):
        (path if kind == "DirectoryOrCreate" else path.parent).mkdir(parents=True, exist_ok=True)
        if kind == "FileOrCreate":
            path.touch()
    if not path.exists():
        raise ConfigError(f"hostPath {path} does not exist on this machine")
    return path
