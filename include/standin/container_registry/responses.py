"""What the registry answers: OCI distribution specification 1.1, end points 1 to 12 without the deletes."""

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.oci.manifest import OCI_INDEX, Manifest
from include.oci.reference import is_digest
from include.standin.container_registry import exceptions as refuse
from include.standin.container_registry.models import LARGEST_MANIFEST, Repository, Store
from include.standin.container_registry.tokens import Door
from include.standin.container_registry.uploads import Upload

VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}
Handler = Callable[[Request], Awaitable[Response]]
PAGE = 1000


class Answers:
    """The handlers of one registry."""

    def __init__(self, store: Store, door: Door) -> None:
        self.store = store
        self.door = door

    def _repository(self, request: Request) -> Repository:
        """The repository that is asked for, once the caller is known to be allowed."""
        repository = self.store.repository(request.path_params["repository"])
        self.door.check(request, repository.name, "pull" if request.method in ("GET", "HEAD") else "push")
        return repository

    async def base(self, request: Request) -> Response:
        """Is this a registry, and is the login right?"""
        self.door.check(request, None, "pull")
        return JSONResponse({}, headers=VERSION)

    async def token(self, request: Request) -> Response:
        """Exchange the login for a token."""
        scopes = [scope for said in request.query_params.getlist("scope") for scope in said.split()]
        return JSONResponse(self.door.token(request.headers.get("Authorization", ""), scopes))

    async def blob(self, request: Request) -> Response:
        """Give a blob, or its size; from an offset on when a Range asks for it."""
        repository, digest = self._repository(request), request.path_params["digest"]
        try:
            data = await run_in_threadpool(repository.blob, digest)
        except refuse.BlobDamaged:
            if request.method == "HEAD":  # so that a client pushes it again
                raise refuse.BlobUnknown(f"{repository.name} has no whole blob {digest}") from None
            raise
        headers = VERSION | {"Docker-Content-Digest": digest, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        first = request.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(data))})
        if first.isdigit() and int(first) > 0:
            if int(first) >= len(data):
                raise refuse.RangeNotSatisfiable(f"the blob has {len(data)} bytes")
            span = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
            return Response(data[int(first) :], 206, headers | span)
        return Response(data, headers=headers)

    async def begin(self, request: Request) -> Response:
        """Begin an upload; or have the blob at once, by mount or in one piece."""
        repository, asked = self._repository(request), request.query_params
        source = asked.get("from")
        if "mount" in asked and source:
            self.door.check(request, source, "pull")
            if self.store.repository(source).has_blob(asked["mount"]):
                repository.link(asked["mount"])
                return self._created(repository, asked["mount"])
        upload = Upload.begin(self.store)
        if "digest" in asked:
            return await self._finished(repository, upload, request)
        return Response(status_code=202, headers=self._going_on(repository, upload))

    async def upload(self, request: Request) -> Response:
        """Where an upload stands (GET), one more chunk (PATCH), the end (PUT), or never mind (DELETE)."""
        repository = self._repository(request)
        upload = Upload(self.store, request.path_params["number"])
        if request.method == "PUT":
            return await self._finished(repository, upload, request)
        if request.method == "PATCH":
            await upload.take(request.headers.get("Content-Range"), request.stream())
            return Response(status_code=202, headers=self._going_on(repository, upload))
        if request.method == "DELETE":
            upload.drop()
            return Response(status_code=204, headers=VERSION)
        return Response(status_code=204, headers=self._going_on(repository, upload))

    async def manifest(self, request: Request) -> Response:
        """Give a manifest, or keep one."""
        repository, reference = self._repository(request), request.path_params["reference"]
        if request.method == "PUT":
            return await self._keep(repository, reference, request)
        found = await run_in_threadpool(repository.manifest, reference)
        headers = VERSION | {"Docker-Content-Digest": found.digest, "Content-Type": found.media_type}
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(found.content))})
        return Response(found.content, headers=headers)

    async def tags(self, request: Request) -> Response:
        """The tags, a page at a time."""
        repository = self._repository(request)
        asked, last = request.query_params.get("n", str(PAGE)), request.query_params.get("last", "")
        size = int(asked) if asked.isdigit() else PAGE
        left = [tag for tag in repository.tags() if tag > last]
        headers = dict(VERSION)
        if len(left) > size > 0:
            headers["Link"] = f'</v2/{repository.name}/tags/list?n={size}&last={left[size - 1]}>; rel="next"'
        return JSONResponse({"name": repository.name, "tags": left[:size]}, headers=headers)

    async def referrers(self, request: Request) -> Response:
        """What refers to a digest; an empty list when nothing does."""
        repository = self._repository(request)
        found = repository.referrers(request.path_params["digest"])
        headers, kind = dict(VERSION), request.query_params.get("artifactType")
        if kind:
            found = [one for one in found if one.get("artifactType") == kind]
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return JSONResponse(index, headers=headers, media_type=OCI_INDEX)

    async def unsupported(self, request: Request) -> Response:
        """Deleting: what is released stays."""
        self._repository(request)
        raise refuse.Unsupported("this registry deletes nothing: digests that are released must stay")

    async def _keep(self, repository: Repository, reference: str, request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_MANIFEST:
                raise refuse.TooLarge(f"a manifest over {LARGEST_MANIFEST} bytes")
        manifest = Manifest(bytes(body), request.headers.get("Content-Type", "").partition(";")[0].strip())
        repository.write_manifest(manifest, reference)  # not in a thread: looking at a tag and putting it must be one step
        headers = VERSION | {"Location": f"/v2/{repository.name}/manifests/{manifest.digest}", "Docker-Content-Digest": manifest.digest}
        if manifest.subject:
            headers["OCI-Subject"] = manifest.subject.digest
        return Response(status_code=201, headers=headers)

    async def _finished(self, repository: Repository, upload: Upload, request: Request) -> Response:
        digest = request.query_params.get("digest", "")
        if not is_digest(digest):
            raise refuse.DigestInvalid(f"{digest!r} is not a digest")
        await upload.take(request.headers.get("Content-Range"), request.stream())
        await run_in_threadpool(upload.finish, digest, repository)
        return self._created(repository, digest)

    def _created(self, repository: Repository, digest: str) -> Response:
        headers = {"Location": f"/v2/{repository.name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return Response(status_code=201, headers=VERSION | headers)

    def _going_on(self, repository: Repository, upload: Upload) -> dict[str, str]:
        return VERSION | upload.progress() | {"Location": f"/v2/{repository.name}/blobs/uploads/{upload.number}"}
