"""Controllers: what makes the world as objects say. Each takes a step by what is stored now, and is asked again after every change."""

import asyncio
import logging
from collections.abc import Callable

from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.controllers import deployments, garbage, replica_sets, scheduling
from include.standin.kubernetes.exceptions import ApiError

LOG = logging.getLogger(__name__)
SETTLE = 0.02
"""Seconds that changes are gathered for."""
TICK = 1.0
"""Seconds after which controllers look up without a change: deadlines pass, nodes fall silent."""
STEPS: tuple[Callable[[Cluster], None], ...] = (
    deployments.reconcile,
    replica_sets.reconcile,
    scheduling.reconcile,
    garbage.reconcile,
)


async def run(cluster: Cluster) -> None:
    """Reconcile for ever. A controller that fails says so and is tried again; the others go on."""
    while True:
        changed = cluster.store.changed
        for step in STEPS:
            try:
                step(cluster)
            except ApiError as error:
                LOG.info("%s: %s", step.__module__, error)
            except Exception:
                LOG.exception("%s failed; it is tried again", step.__module__)
        if changed is cluster.store.changed:
            try:
                await asyncio.wait_for(changed.wait(), TICK)
            except TimeoutError:
                continue
        await asyncio.sleep(SETTLE)
