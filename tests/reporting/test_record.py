"""Records of networks: what a file may say, and which networks no other beats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.errors import OutputError
from mcuquant.reporting.record import Record, best, load_records, records_text

FULL = Record(
    label="pruned",
    weight_bytes=1000,
    accuracy=0.97,
    accuracy_source="500 test samples, interpreter",
    flash_bytes=30_000,
    ram_bytes=8_000,
    cycles=123_456,
    cycles_source="cycles (modelled)",
    board="qemu-mps2-an386",
)


def test_written_records_are_read_back(tmp_path: Path) -> None:
    made = (FULL, Record(label="float", weight_bytes=4000))
    path = tmp_path / "records.json"
    path.write_text(records_text(made))
    assert load_records(path) == made
    assert json.loads(path.read_text())["records"][1] == {"label": "float", "weight_bytes": 4000}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", 'holds no records; expected {"records": [...]}, as compress and search write it'),
        ('{"records": 3}', 'holds no records; expected {"records": [...]}, as compress and search write it'),
        ('{"records": [7]}', ", record 0: expected a table of values, found 7"),
        ('{"records": [{"label": "a"}]}', ", record 0: key 'weight_bytes' is missing"),
        (
            '{"records": [{"label": "a", "weight_bytes": "9"}]}',
            ", record 0: 'weight_bytes' must be an integer, found '9'",
        ),
        (
            '{"records": [{"label": "a", "weight_bytes": true}]}',
            ", record 0: 'weight_bytes' must be an integer, found True",
        ),
        (
            '{"records": [{"label": "a", "weight_bytes": -1}]}',
            ", record 0: 'weight_bytes' must not be negative, found -1",
        ),
        (
            '{"records": [{"label": "a", "weight_bytes": 1, "accuracy": 97.5}]}',
            ", record 0: 'accuracy' must be from 0 to 1, found 97.5",
        ),
        (
            '{"records": [{"label": "a", "weight_bytes": 1, "accuracy": NaN}]}',
            ", record 0: 'accuracy' must be from 0 to 1, found nan",
        ),
        (
            '{"records": [{"label": "a", "bytes": 1}]}',
            ", record 0: unknown key 'bytes'; there are label, weight_bytes, macs, accuracy, metric, metric_value, "
            "merit, accuracy_source, constant_bytes, arena_bytes, flash_bytes, ram_bytes, cycles, cycles_source, board",
        ),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text(text)
    with pytest.raises(OutputError) as error:
        load_records(path)
    assert str(error.value) == f"{path}{'' if message.startswith(',') else ' '}{message}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    with pytest.raises(OutputError) as error:
        load_records(path)
    assert str(error.value) == f"{path} cannot be read: No such file or directory"
    path.write_text("{")
    with pytest.raises(OutputError, match="is not JSON: Expecting property name"):
        load_records(path)


def test_the_front_leaves_out_what_is_beaten_and_what_is_not_known() -> None:
    small = Record(label="small", weight_bytes=10, accuracy=0.5)
    large = Record(label="large", weight_bytes=30, accuracy=0.9)
    beaten = Record(label="beaten", weight_bytes=30, accuracy=0.8)
    equal = Record(label="no better", weight_bytes=40, accuracy=0.9)
    unknown = Record(label="unknown", weight_bytes=1)
    assert best([unknown, equal, beaten, large, small], "weight_bytes") == (small, large)
    assert best([small, large], "cycles") == ()


POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=12)


@settings(deadline=None, max_examples=60)
@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    records = [Record(label=str(i), weight_bytes=w, accuracy=a / 20) for i, (w, a) in enumerate(points)]
    front = {(r.weight_bytes, r.accuracy) for r in best(records, "weight_bytes")}
    beaten = {(w, a / 20) for w, a in points if any(v <= w and b >= a and (v, b) != (w, a) for v, b in points)}
    assert front == {(w, a / 20) for w, a in points} - beaten
