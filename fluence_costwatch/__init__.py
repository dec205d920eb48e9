"""Cost monitoring and alerting for machines rented on the Fluence marketplace."""

__version__ = "0.1.0"
