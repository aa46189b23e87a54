"""Fails when it is imported."""

import no_such_framework  # noqa: F401
