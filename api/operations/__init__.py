"""How the institution is doing: health, metrics, reconciliation; and the description of its interface."""
