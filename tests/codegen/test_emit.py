"""The network's own C files: where the steps and the constants are."""

import numpy as np
from fast_graphs import dense
from harness import lowered
from nets import Net

from mcuquant.codegen.emit import model_files


def test_the_model_file_opens_with_the_network_and_the_weights_have_a_file_of_their_own() -> None:
    net = Net(np.random.default_rng(2))
    program = lowered(net.graph(dense(net, net.input((1, 24)), 8)), 0)
    files = model_files(program)
    assert list(files) == ["src/mq_m0.h", "src/mq_m0.c", "src/mq_m0_weights.h"]
    names = [array.name for array in program.arrays]
    assert "weights_0" in names
    assert all(f" {name}[" in files["src/mq_m0_weights.h"] for name in names)
    assert not any(f" {name}[" in files["src/mq_m0.c"] for name in names)
    assert '#include "mq_m0_weights.h"\n\n/* 0: ' in files["src/mq_m0.c"]
