"""Plan, then conduct: from a suite to the records of a run."""
