"""What serving and training must agree on."""

__version__ = "0.1.0"
