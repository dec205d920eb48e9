"""The rules of money and time: pure functions over values. Standard library only, no clock, no I/O, no logging."""
