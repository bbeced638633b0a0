"""
A shop on three buses: the desk takes orders, the warehouse puts goods aside, billing takes the money.

Each bus logs what it completes. `shop.replay` rebuilds the shop's books from these logs, without running a handler.
"""
