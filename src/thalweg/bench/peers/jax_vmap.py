"""JAX: one compiled program for an epoch of all members, by vmap or by a map over them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.bench.cases import Case
from thalweg.bench.peers.base import Peer, Trained
from thalweg.bench.peers.jax_images import image_function
from thalweg.bench.peers.jax_scan import dense_network
from thalweg.bench.populations import PopulationProblem, by_epoch, population_of
from thalweg.bench.problem import BETA1, BETA2, EPSILON, Problem

GROUP = 8
"""Members of one turn of the map, where it takes several at once."""


class JaxVmap(Peer):
    """``jit(vmap(scan over the steps of an epoch))``."""

    name = "jax-vmap"
    title = "JAX vmap"
    packages = ("jax", "jaxlib")
    variants = ()
    image_variants = ()
    member_variants = ("vmap", "vmap, sharded")
    note = (
        "jit of one epoch, vmap of a `lax.scan` over batches, donated state; with several threads "
        "the faster of one device and of members sharded over as many devices as threads"
    )

    def first_ways(self, case: Case, threads: int) -> tuple[str, ...]:
        """On one device nothing is sharded."""
        found = super().first_ways(case, threads)
        return found if threads > 1 else tuple(way for way in found if "sharded" not in way)

    def environment(self, threads: int) -> dict[str, str]:
        """XLA reads the size of its thread pool and the number of devices from here."""
        devices = f"--xla_force_host_platform_device_count={threads}"
        return {"NPROC": str(threads), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": devices}

    def load(self, threads: int) -> None:
        """Import."""
        import jax  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]

    def open(self, problem: Problem, variant: str, threads: int) -> MappedSession:
        """Move the rows; an epoch is compiled when it is first trained."""
        return MappedSession(population_of(problem), variant, threads)


class JaxMap(JaxVmap):
    """``jit(lax.map(scan over the steps of an epoch))``: one member, or a few, after another."""

    name = "jax-map"
    title = "JAX map"
    member_variants = ("map", "map, groups", "map, sharded", "map, groups, sharded")
    note = (
        "as JAX vmap, but `lax.map` over members, or over groups of 8, whose state fits the cache; "
        "the fastest of its variants"
    )

    def ways(self, case: Case) -> tuple[str, ...]:
        """Groups are of the networks for tables."""
        found = super().ways(case)
        return tuple(way for way in found if not case.form or "groups" not in way)


class MappedSession:
    """Compiled epochs, by their number of batches.

    Args:
        problem: rows, starting weights, rates and orders.
        variant: vmap or map, sharded or not.
        threads: devices of a sharded one, if members can be split among them.
    """

    def __init__(self, problem: PopulationProblem, variant: str, threads: int) -> None:
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

        case = problem.case
        self.problem, self.variant = problem, variant
        devices = jax.devices()[:threads] if "sharded" in variant else jax.devices()[:1]
        self.devices = devices if case.members % len(devices) == 0 else devices[:1]
        self.x = jnp.asarray(problem.x.transpose(0, 2, 3, 1) if case.form else problem.x)
        self.y = jnp.asarray(problem.y.astype(np.int32))
        image = case.architecture
        self._network = image_function(image.parts, "NHWC") if image else dense_network
        self._programs: dict[int, Any] = {}

    def start(self) -> Any:
        """Starting weights, moments, numbers of steps, rates."""
        import jax  # pyright: ignore[reportMissingImports]

        weights = jax.tree.map(np.copy, self.problem.weights)
        zeros = jax.tree.map(np.zeros_like, weights)
        members = np.zeros(self.problem.members, np.float32)
        return self.placed((weights, zeros, zeros, members, self.problem.rates))

    def placed(self, tree: Any) -> Any:
        """Arrays on the devices, each with its members."""
        import jax  # pyright: ignore[reportMissingImports]
        from jax.sharding import (  # pyright: ignore[reportMissingImports]
            NamedSharding,
            PartitionSpec,
        )

        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec("members")))

    @property
    def mesh(self) -> Any:
        """The devices in a row."""
        from jax.sharding import Mesh  # pyright: ignore[reportMissingImports]

        return Mesh(np.array(self.devices), ("members",))

    def order(self, epoch: int, count: int) -> Any:
        """An epoch's places, (K, batches, batch size), on the devices."""
        order = self.problem.order(epoch, count)
        return self.placed(order.reshape(len(order), -1, self.problem.case.batch_size))

    def program(self, batches: int) -> Any:
        """The compiled epoch over so many batches."""
        import jax  # pyright: ignore[reportMissingImports]
        from jax.sharding import PartitionSpec  # pyright: ignore[reportMissingImports]

        if batches not in self._programs:
            count = batches * self.problem.case.batch_size
            parts = PartitionSpec("members")
            epoch: Any = jax.shard_map(
                self._members(), mesh=self.mesh, in_specs=parts, out_specs=parts, check_vma=False
            )
            lowered = jax.jit(epoch, donate_argnums=0).lower(self.start(), self.order(0, count))
            self._programs[batches] = lowered.compile()
        return self._programs[batches]

    def _members(self) -> Callable[..., Any]:
        import jax  # pyright: ignore[reportMissingImports]

        if self.variant.startswith("vmap"):
            return jax.vmap(self._epoch)
        group = GROUP if "groups" in self.variant else None

        def one(member: Any) -> Any:
            return self._epoch(*member)

        def mapped(*given: Any) -> Any:
            return jax.lax.map(one, given, batch_size=group)

        return mapped

    def _epoch(self, state: Any, order: Any) -> tuple[Any, Any]:
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

        def objective(weights: Any, places: Any) -> Any:
            logs = jax.nn.log_softmax(self._network(weights, self.x[places]))
            return -jnp.take_along_axis(logs, self.y[places][:, None], axis=1).mean()

        def step(state: Any, places: Any) -> tuple[Any, Any]:
            weights, means, squares, time, rate = state
            loss, gradients = jax.value_and_grad(objective)(weights, places)
            factor, root = rate / (1 - BETA1 ** (time + 1)), jnp.sqrt(1 - BETA2 ** (time + 1))

            def mean(before: Any, gradient: Any) -> Any:
                return before + (1 - BETA1) * (gradient - before)

            def square(before: Any, gradient: Any) -> Any:
                return before + (1 - BETA2) * (gradient * gradient - before)

            def value(before: Any, mean: Any, square: Any) -> Any:
                return before - factor * mean / (jnp.sqrt(square) / root + EPSILON)

            means = jax.tree.map(mean, means, gradients)
            squares = jax.tree.map(square, squares, gradients)
            weights = jax.tree.map(value, weights, means, squares)
            return (weights, means, squares, time + 1, rate), loss

        state, losses = jax.lax.scan(step, state, order)
        return state, losses.mean()

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call of the program for each epoch; compiling it counts as start."""
        import jax  # pyright: ignore[reportMissingImports]

        batches = self.problem.case.batches if batches is None else batches
        count = batches * self.problem.case.batch_size
        orders = [self.order(epoch, count) for epoch in range(epochs)]
        jax.block_until_ready(orders)
        opened = time.perf_counter()
        program = self.program(batches)
        losses: list[Any] = []
        began = time.perf_counter()
        state = self.start()
        for order in orders:
            state, loss = program(state, order)
            losses.append(loss)
        jax.block_until_ready((state, losses))
        seconds = time.perf_counter() - began
        found = by_epoch(self.problem, np.stack(losses, axis=1))
        return Trained(found, seconds, began - opened)
