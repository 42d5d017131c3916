"""How the institution is doing: health, readiness, metrics, reconciliation, and the description of its interface."""
