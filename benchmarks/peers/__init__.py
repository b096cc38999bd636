"""What a user would pick instead, each as its documentation has it, to serve a version of ours with Keras.

Each has a folder with the service and the packages that it needs, pinned.
"""

BATCH = 8  # photos at most
BATCH_WAIT_SECONDS = 0.005  # for others to come
