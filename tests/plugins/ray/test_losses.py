"""What Ray says of the dead, in ptbench's words."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayError

from ptbench import Status
from ptbench_ray.losses import failure_of_loss


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (OutOfMemoryError("Task was killed"), Status.OOM, "the memory of node n1 was used up, and Ray ended"),
        (ActorUnavailableError("gone", b"0" * 16), Status.CRASHED, "its node n1 cannot be reached: it died,"),
        (
            RayActorError(error_msg="It died because its node has died."),
            Status.CRASHED,
            "its node n1 died",
        ),
        (
            RayActorError(error_msg="Worker exits unexpectedly. Worker exits with an exit code 4."),
            Status.CRASHED,
            "its process on node n1 died, with exit code 4",
        ),
        (
            RayActorError(error_msg="connection error code 2. End of file."),
            Status.CRASHED,
            "its process on node n1 died",
        ),
    ],
)
def test_a_loss_has_a_status_and_a_line(error: RayError, status: Status, text: str) -> None:
    failure = failure_of_loss(error, "n1")
    assert failure.status is status
    assert failure.error.startswith(text)
    assert "\n" not in failure.error
