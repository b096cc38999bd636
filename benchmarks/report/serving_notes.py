"""Describes the method of the serving benchmark, for its results."""

from collections.abc import Iterator, Sequence

from benchmarks.harness.photos import described
from benchmarks.peers import BATCH
from benchmarks.serving.comparison import Comparison, Plan
from benchmarks.serving.rounds import MANY, MANY_TIMES, OPEN_TIMES, SETTLE_TIMES
from benchmarks.serving.systems import OURS, PEERS, pinned


def notes(served: Sequence[Comparison], plan: Plan) -> Iterator[str]:
    precisions = ", ".join(f"{comparison.model} in {comparison.precision}" for comparison in served)
    yield f"The service computes {precisions}."
    yield (
        f"Serving: {described()}, interleaved rounds, every other one in reverse, each with a service"
        f" started anew and asked for {SETTLE_TIMES * plan.seconds:g} s before: {plan.seconds:g} s at each number of"
        f" clients, {MANY_TIMES * plan.seconds:g} s at {MANY} and of each limit, {OPEN_TIMES * plan.seconds:g} s at a"
        " constant rate. Medians over the rounds, also of their percentiles."
    )
    yield (
        f"Each system has an environment of its own, of pinned packages ({', '.join(map(pinned, PEERS))}); the others"
        f" serve the same weights with Keras, up to {BATCH} photos at once where they form batches."
    )
    cpu, answered = _clients(served)
    yield (
        f"All run on the same cores as the clients, who took {1e3 * cpu / max(1, answered):.2f} ms of the processor a"
        " request."
    )
    yield (
        "Memory is that of all processes of a service: the sum of Pss after the load, and for the peak the sum of what"
        " each one held at most (VmHWM), with what they share counted in each."
    )
    first = ", ".join(
        f"{each.first_start_seconds:.2f} s with {each.model}" for each in served if each.first_start_seconds
    )
    yield f"The very first start, before OpenVINO's cache was filled, answered after {first}."


def _clients(served: Sequence[Comparison]) -> tuple[float, int]:
    loads = [load for each in served for round_ in each.rounds[OURS] for load in round_.loads.values()]
    return sum(load.client_cpu_seconds for load in loads), sum(load.answered for load in loads)
