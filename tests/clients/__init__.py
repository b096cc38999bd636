"""The field's own clients, in an environment of theirs: each file here is run by it, and prints JSON."""
