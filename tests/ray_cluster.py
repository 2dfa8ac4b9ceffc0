"""A Ray cluster of two nodes on this machine, started and stopped by its own command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: bytes of shared memory for each node; what tasks send is small
STORE = 80 * 2**20


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`: a head and one node, each of one CPU."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
