"""The books: double entry, per institution and currency, in whole minor units."""
