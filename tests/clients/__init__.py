"""Third-party clients: each file here is run in a separate environment, and prints JSON."""
