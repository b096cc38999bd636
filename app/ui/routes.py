"""Serves the web page and the API page from `app/ui/static`."""

import gzip
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from fastapi import APIRouter, HTTPException, Request, Response

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
COMPRESSED = ("image/jpeg", "image/png")
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self' data: http: https:",  # other sites only for a picture whose address the user gives
    "manifest-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Cache-Control": "no-cache",  # cached, but revalidated each time: another version of the service has other files
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Asset(NamedTuple):
    """A file of the page; its ETag changes with its content."""

    content: bytes
    packed: bytes | None  # gzip; None for what is compressed already
    media_type: str
    etag: str

    @classmethod
    def of(cls, path: Path) -> Self:
        content, media_type = path.read_bytes(), MEDIA_TYPES[path.suffix]
        packed = None if media_type in COMPRESSED else gzip.compress(content, mtime=0)
        return cls(content, packed, media_type, f'W/"{sha256(content).hexdigest()[:16]}"')


NAMES = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*") if path.suffix in MEDIA_TYPES}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index(request: Request) -> Response:
    """The web page."""
    return _answer(request, "index.html")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The API page, which describes the addresses and sends requests to them."""
    return _answer(request, "docs.html")


@router.get("/page/{name:path}")
async def asset(name: str, request: Request) -> Response:
    """A file of these two pages."""
    if name not in NAMES:
        raise HTTPException(404, "the page has no such file; it is at /")
    return _answer(request, name)


@cache
def asset_of(name: str) -> Asset:
    """Read and compressed at the first request, because at the start it would delay the first answer."""
    return Asset.of(FOLDER / name)


def _answer(request: Request, name: str) -> Response:
    content, packed, media_type, etag = asset_of(name)
    headers = {**HEADERS, "ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type=media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(content, media_type=media_type, headers=headers)
