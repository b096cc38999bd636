"""Runs a Ray cluster on this machine: `ray_nodes.py CORES NODES`, in an environment with Ray.

It prints the cluster's address. For each line on standard input it kills a node, prints so, and adds another; at the
end of the input it ends the cluster. The first node, without which a cluster ends, is never killed.
"""

import os
import sys
from random import Random

from ray.cluster_utils import Cluster

WORKERS = {"RAY_num_workers_soft_limit": "4"}  # idle processes that a node keeps; docs/10-command-line.md
STORE_BYTES = 200 * 2**20  # a node's shared memory for objects


def main() -> None:
    os.environ.update(WORKERS)
    cores, nodes = map(int, sys.argv[1:])
    store = {"object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores, "include_dashboard": False, **store})
    try:
        others = [cluster.add_node(num_cpus=cores, **store) for _ in range(nodes - 1)]
        cluster.wait_for_nodes()
        say(cluster.address)
        chance = Random(0)  # noqa: S311  # nothing secret
        for _ in sys.stdin:
            cluster.remove_node(others.pop(chance.randrange(len(others))), allow_graceful=False)
            say("killed")
            others.append(cluster.add_node(num_cpus=cores, **store))
    finally:
        cluster.shutdown()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
