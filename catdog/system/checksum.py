"""The sha256 of large files."""

from hashlib import sha256
from pathlib import Path

import numpy as np

# Read at a time, much more than `hashlib.file_digest` does: after each block other threads may take Python's lock, and
# do. All go through one buffer, whose pages are had once, and only as many as a file fills.
BLOCK_BYTES = 8 * 2**20


def sha256_of(*paths: Path) -> str:
    """Of what is in these files, one after the other, in hex; OSError where one can't be read."""
    digest, block = sha256(), np.empty(BLOCK_BYTES, np.uint8).data
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(block):
                digest.update(block[:size])
    return digest.hexdigest()
