"""metrics.jsonl: valid JSON, no step twice, equal bytes for equal runs."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tf_gtn.runtime import metrics


def write(path, steps, resume_step=0, value=0.1):
    writer = metrics.MetricsWriter(str(path), resume_step)
    for step in steps:
        writer.write(step, loss=np.float32(value * step))
    writer.close()
    return (path / "metrics.jsonl").read_bytes()


def test_values(tmp_path):
    writer = metrics.MetricsWriter(str(tmp_path))
    writer.write(
        np.int64(1),
        **{
            "outer/loss": tf.constant(0.1),
            "f64": np.float64(1 / 3),
            "f32": np.float32(1 / 3),
            "n": tf.constant(3),
            "ok": np.True_,
            "bf16": tf.Variable(1.5, dtype="bfloat16"),
            "name": "digits",
        },
    )
    writer.write(2, loss=float("nan"), norm=tf.constant(float("inf")), low=np.float32("-inf"), none=None)
    lines = (tmp_path / "metrics.jsonl").read_text()  # flushed without close
    assert lines == (
        '{"step": 1, "outer/loss": 0.100000001, "f64": 0.333333333, "f32": 0.333333343, "n": 3, "ok": true, "bf16": 1.5, '
        '"name": "digits"}\n{"step": 2, "loss": null, "norm": null, "low": null, "none": null}\n'
    )
    assert metrics.read(str(tmp_path)) == [json.loads(line) for line in lines.splitlines()]
    writer.close()


def test_nine_digits_tell_float32_apart():
    values = np.random.default_rng(0).standard_normal(1000).astype("float32")
    assert all(np.float32(metrics._scalar("x", v)) == v for v in values)


def test_mistakes_of_the_caller(tmp_path):
    writer = metrics.MetricsWriter(str(tmp_path))
    with pytest.raises(ValueError, match="losses takes a scalar"):
        writer.write(1, losses=[1.0, 2.0])
    writer.write(2, loss=1.0)
    for step in (1, 2):
        with pytest.raises(ValueError, match=f"step {step} after"):
            writer.write(step, loss=1.0)
    writer.close()


def test_a_resumed_run_ends_with_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = write(tmp_path / "a", range(10))
    write(tmp_path / "b", range(7), value=0.1)
    with open(tmp_path / "b" / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 7, "lo')  # killed here; the last checkpoint is that after step 4
    assert [line["step"] for line in metrics.read(str(tmp_path / "b"))] == list(range(7))
    assert write(tmp_path / "b", range(4, 10), resume_step=4) == whole


def test_a_start_from_nothing_keeps_nothing_but_step_0(tmp_path):
    write(tmp_path, range(5), value=0.5)
    assert write(tmp_path, [1, 2]) == (
        b'{"step": 0, "loss": 0.0}\n{"step": 1, "loss": 0.100000001}\n{"step": 2, "loss": 0.200000003}\n'
    )


def test_a_torn_line_alone(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step"')
    assert metrics.read(str(tmp_path)) == []
    assert write(tmp_path, [1], value=1.0) == b'{"step": 1, "loss": 1.0}\n'


def test_nothing_written_yet(tmp_path):
    assert metrics.read(str(tmp_path)) == []


def test_summaries(tmp_path):
    writer = metrics.MetricsWriter(str(tmp_path))
    writer.write(3, **{"outer/loss": 0.5, "name": "digits", "norm": float("nan")})
    events = event_accumulator.EventAccumulator(str(tmp_path / "summaries"), {event_accumulator.TENSORS: 0})
    events.Reload()  # flushed without close
    (event,) = events.Tensors("outer/loss")
    assert event.step == 3 and tf.make_ndarray(event.tensor_proto) == 0.5
    assert events.Tags()["tensors"] == ["outer/loss", "norm"]
    writer.close()
