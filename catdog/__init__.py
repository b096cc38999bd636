"""The package shared by the service and the trainer."""

__version__ = "0.1.0"
