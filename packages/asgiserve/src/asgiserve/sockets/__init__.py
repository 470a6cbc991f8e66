"""Sockets to listen on, wherever they come from; and accepting connections on them."""
