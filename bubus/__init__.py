"""The event bus for strictly typed async Python."""
