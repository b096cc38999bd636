"""What serving and training share."""

__version__ = "0.1.0"
