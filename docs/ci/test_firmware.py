"""Limits of the firmware: accuracy, cycles, flash and RAM. Each is a test case of the JUnit report."""

import numpy as np

DATA = np.load("test.npz")  # x: (N, 3, 64) real values, channels first; y: (N,) class numbers


def test_accuracy(mq_dut):
    (port,) = mq_dut.project.inputs
    x = DATA["x"].transpose(0, 2, 1).reshape(-1, *port.shape[1:])  # channels last
    mq_dut.expect_accuracy(port.quantize(x), DATA["y"], min_accuracy=0.9)


def test_cycles(mq_dut):
    mq_dut.expect_cycles(max_cycles=100_000)


def test_flash(mq_dut):
    mq_dut.expect_flash(max_bytes=64_000)


def test_ram(mq_dut):
    mq_dut.expect_ram(max_bytes=16_000)
