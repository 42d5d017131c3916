"""A bank's book of customers and standing orders, and its way through a running country."""
