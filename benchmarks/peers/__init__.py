"""Other servers that run a version of ours with Keras, set up as their documentation says.

Each has a folder with the service and the packages that it needs, pinned.
"""

BATCH = 8  # photos at most
BATCH_WAIT_SECONDS = 0.005  # for others to come
