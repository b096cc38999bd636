"""Other servers that run a version of ours with Keras, configured as their documentation recommends.

Each has a folder with the service and its pinned packages.
"""

BATCH = 8  # largest number of photos
BATCH_WAIT_SECONDS = 0.005  # how long a batch waits for more photos
