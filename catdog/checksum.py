"""The sha256 of files, however large."""

from hashlib import sha256
from pathlib import Path

# Read at a time, much more than `hashlib.file_digest` does: after each block other threads may take Python's lock, and
# do. All go through one buffer, for a new one's memory comes a page at a time.
BLOCK_BYTES = 8 * 2**20


def sha256_of(*paths: Path) -> str:
    """Of what is in these files, one after the other, in hex; OSError where one can't be read."""
    digest, block = sha256(), memoryview(bytearray(BLOCK_BYTES))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(block):
                digest.update(block[:size])
    return digest.hexdigest()
