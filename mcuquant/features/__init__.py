"""Features of sound for training, by the arithmetic that runs on the device, and the same in front of a network.

frontend = mq.features.MicroFrontend()
x = frontend.features(samples) * frontend.unit  # what the network is trained on
graph = mq.features.with_front_end(int8, frontend)  # samples in, the network's outputs out
"""

from __future__ import annotations

from ..ir import Graph
from ..passes import run_passes
from . import chain
from .micro_frontend import MicroFrontend

__all__ = ["MicroFrontend", "front_end_graph", "with_front_end"]


def front_end_graph(front: MicroFrontend, frames: int = 1) -> Graph:
    """Samples int16 (1, window + (frames - 1) * step) to features int16 (1, frames, channels).

    The noise is a state. An inference takes the window of the first frame and those behind it: the next inference
    begins frames * step samples later.
    """
    return run_passes(chain.front_end_graph(front, frames))


def with_front_end(network: Graph, front: MicroFrontend, frames: int | None = None) -> Graph:
    """A quantized network on features becomes one on samples; its one input holds rows of `front.channels` features.

    An inference computes `frames` new rows; the older ones are kept (a state, silence at first). Default: all rows of
    a network with a state and of one of up to 4 rows, else 1. The samples are int16 (1, window + (frames - 1) * step);
    the next inference begins frames * step samples later. ModelError where the input does not fit.
    """
    return run_passes(chain.with_front_end(network, front, frames))
