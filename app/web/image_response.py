"""Responds with a stored photo so that a browser can't run anything in it."""

from fastapi import Response

from catdog import images

HEADERS = {
    "Cache-Control": "private, no-store",  # it may be taken out again, and who may see it is asked each time
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def picture(photo: bytes) -> Response:
    """The bytes as an image; UnsupportedImage where they aren't one."""
    return Response(photo, media_type=f"image/{images.identify(photo).lower()}", headers=HEADERS)
