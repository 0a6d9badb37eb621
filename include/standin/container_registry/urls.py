"""Where the registry answers."""

from starlette.routing import BaseRoute, Route

from include.standin.container_registry.responses import Answers

NAME = "/v2/{repository:path}"


def routes(answers: Answers) -> list[BaseRoute]:
    """The routes of one registry. Uploads come before blobs: a repository's name may hold slashes."""
    return [
        Route("/v2/", answers.base, methods=["GET", "HEAD"]),
        Route("/v2", answers.base, methods=["GET", "HEAD"]),
        Route("/token", answers.token, methods=["GET"]),
        Route(f"{NAME}/blobs/uploads/", answers.begin, methods=["POST"]),
        Route(f"{NAME}/blobs/uploads", answers.begin, methods=["POST"]),
        Route(f"{NAME}/blobs/uploads/{{number}}", answers.upload, methods=["GET", "PATCH", "PUT", "DELETE"]),
        Route(f"{NAME}/blobs/{{digest}}", answers.blob, methods=["GET", "HEAD"]),
        Route(f"{NAME}/blobs/{{digest}}", answers.unsupported, methods=["DELETE"]),
        Route(f"{NAME}/manifests/{{reference}}", answers.manifest, methods=["GET", "HEAD", "PUT"]),
        Route(f"{NAME}/manifests/{{reference}}", answers.unsupported, methods=["DELETE"]),
        Route(f"{NAME}/tags/list", answers.tags, methods=["GET"]),
        Route(f"{NAME}/referrers/{{digest}}", answers.referrers, methods=["GET"]),
    ]
