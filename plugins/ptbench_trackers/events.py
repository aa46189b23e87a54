"""A file of events as TensorBoard reads it, written by TensorBoard's own records without TensorFlow.

`EventFileWriter` of TensorBoard would import TensorFlow where it is installed, write from a thread, and give
the file another name each time; here a file is there whole, and written again it takes its own place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

NAME = "events.out.tfevents.ptbench"
"""TensorBoard looks for ``tfevents`` in the names of files."""


class Events:
    """The events of one run of TensorBoard; use it as a context manager. ``time``: seconds since 1970."""

    def __init__(self, folder: Path, time: float) -> None:
        self.path, self.time = folder / NAME, time

    def __enter__(self) -> Events:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_name(f"part-of-{self.path.name.replace('tfevents', 'events')}")
        self._file = self._part.open("wb")
        self._records = RecordWriter(self._file)
        self._records.write(
            event_pb2.Event(wall_time=self.time, file_version="brain.Event:2").SerializeToString()
        )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if exc is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    def scalar(self, tag: str, value: float, step: int = 0) -> None:
        """Add a number; TensorBoard keeps it in single precision."""
        self._write(summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)]), step)

    def text(self, tag: str, markdown: str) -> None:
        """Add a text."""
        tensor = tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING,
            string_val=[markdown.encode("utf-8", "backslashreplace")],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(),
        )
        metadata = create_summary_metadata(display_name="", description="")
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self._write(summary_pb2.Summary(value=[value]), 0)

    def settings(self, settings: Mapping[str, str | float | bool]) -> None:
        """Add what the run was done with, for the tab of hyper-parameters."""
        self._write(hparams_pb(dict(settings), start_time_secs=self.time), 0)

    def _write(self, summary: object, step: int) -> None:
        event = event_pb2.Event(wall_time=self.time, step=step, summary=summary)
        self._records.write(event.SerializeToString())
