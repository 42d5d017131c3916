"""How long random histories are: moderate in the suite, as deep as asked with FLORIN_HISTORIES."""

import os

from hypothesis import HealthCheck, settings

DEEP_STEPS = 150
# `FLORIN_HISTORIES=100 make test ARGS=tests/contracts/test_invariants.py`: so many of each, of 150 steps.
DEEP_HISTORIES = int(os.environ.get("FLORIN_HISTORIES", "0"))


def bounds(*, examples: int, steps: int = 1) -> settings:
    """So many histories of so many steps (of a state machine), unless deeper ones are asked for."""
    return settings(
        max_examples=DEEP_HISTORIES or examples,
        stateful_step_count=DEEP_STEPS if DEEP_HISTORIES else steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
