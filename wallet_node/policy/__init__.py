"""What the institution has decided may be signed: the file, its rules, its caps and its officers."""
