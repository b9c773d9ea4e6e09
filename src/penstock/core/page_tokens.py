"""Page tokens: text that a client hands back unread."""

import base64


def write_page_token(content: bytes) -> str:
    """A token that fits into a URL as it is."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def read_page_token(token: str) -> bytes:
    """What was written into a token. ValueError when it is none."""
    return base64.b64decode(token + "=" * (-len(token) % 4), altchars="-_", validate=True)
