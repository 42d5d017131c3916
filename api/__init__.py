"""One institution's own service: its books, its customers and its view of the chain."""
