"""Every shape that travels on the wire, defined once. No behaviour."""
