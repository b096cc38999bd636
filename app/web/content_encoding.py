"""Decompresses request bodies as they arrive, up to a size limit."""

import zlib
from collections.abc import Iterator

from starlette.datastructures import Headers

from app.errors import ExpandsTooMuch, MalformedUpload, UnsupportedContentEncoding

ACCEPTED = ("gzip", "deflate")
GZIP = ("gzip", "x-gzip")
PIECE_BYTES = 64 * 1024  # decoded at a time
LIMIT_RATIO = 100
FREE_BYTES = 2**20  # decoded before the ratio applies: a small body of zeros is no attack

# zlib's `wbits`: which header it expects.
GZIP_HEADER = 16 + zlib.MAX_WBITS
ZLIB_HEADER = zlib.MAX_WBITS
NO_HEADER = -zlib.MAX_WBITS
DEFLATE_METHOD = 8  # the low four bits of a zlib header


class Decoder:
    """Decodes one body; UnsupportedContentEncoding if its `Content-Encoding` isn't one of ACCEPTED."""

    def __init__(self, headers: Headers) -> None:
        self._coding = ", ".join(headers.getlist("content-encoding")).strip().lower() or "identity"
        if self._coding not in ("identity", *GZIP, "deflate"):
            raise UnsupportedContentEncoding(self._coding, ACCEPTED)
        self._zlib = zlib.decompressobj(GZIP_HEADER) if self._coding in GZIP else None
        self.expands = self._coding != "identity"
        self._received = self._decoded = 0

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Decode this part of the body, in pieces of at most PIECE_BYTES; MalformedUpload, ExpandsTooMuch."""
        if not self.expands:
            yield chunk
            return
        self._received += len(chunk)
        is_full = False  # then zlib may hold more decoded bytes
        while chunk or is_full:
            piece, chunk = self._step(chunk)
            is_full = len(piece) == PIECE_BYTES and self._zlib is not None and not self._zlib.eof
            self._decoded += len(piece)
            if self._decoded > FREE_BYTES + LIMIT_RATIO * self._received:
                raise ExpandsTooMuch(LIMIT_RATIO)
            if piece:
                yield piece

    def end(self) -> None:
        """Raise MalformedUpload if the body ended before its compressed stream did."""
        if self._zlib is not None and not self._zlib.eof:
            raise MalformedUpload(f"the {self._coding} body is cut short; send it again, or uncompressed")

    def _step(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Decode one piece; return it, and the rest of the chunk."""
        if self._zlib is None:
            self._zlib = zlib.decompressobj(_deflate_header(chunk))
        if self._zlib.eof:
            if self._coding not in GZIP:
                raise MalformedUpload("bytes follow the end of the deflate body; send nothing after it")
            self._zlib = zlib.decompressobj(GZIP_HEADER)  # RFC 1952: several members may follow each other
        try:
            piece = self._zlib.decompress(chunk, PIECE_BYTES)
        except zlib.error as error:
            raise MalformedUpload(
                f"the body is not valid {self._coding}, its Content-Encoding; send it uncompressed"
            ) from error
        return piece, self._zlib.unconsumed_tail or self._zlib.unused_data


def _deflate_header(chunk: bytes) -> int:
    """RFC 9110's deflate has a zlib header; some clients leave it out."""
    return ZLIB_HEADER if chunk[0] & 15 == DEFLATE_METHOD else NO_HEADER
