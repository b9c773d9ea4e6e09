"""The same requests to our server and to the peer's, and what differs in their answers."""
