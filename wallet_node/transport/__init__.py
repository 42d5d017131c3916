"""How the node is reached: endpoints, routes, limits, metrics, the description."""
