"""Runs a Ray cluster of three nodes on this machine: `with_ray.py CORES`, with the packages of ray.txt.

It prints the cluster's address. For each line on standard input it kills a node and prints so; at the end of the
input it ends the cluster.
"""

import sys

from ray.cluster_utils import Cluster

NODES = 3


def main() -> None:
    cores = int(sys.argv[1])
    quiet = {"include_dashboard": False, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores, **quiet})
    others = [cluster.add_node(num_cpus=cores, object_store_memory=200 * 2**20) for _ in range(NODES - 1)]
    cluster.wait_for_nodes()
    say(cluster.address)
    for _ in sys.stdin:
        cluster.remove_node(others.pop(), allow_graceful=False)
        say("killed")
    cluster.shutdown()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
