"""What an operator runs beside the node: custody and backup."""
