"""What can go wrong with a request, in the words of the domain; doors turn these into answers.

PenstockServerError
├── NotFound            there is nothing with this id or name
├── Conflict            it clashes with what is there
├── InvalidInput        a value is not acceptable; says which one and why
├── BadRequest          the request cannot be carried out as it stands
│   └── HydrationError  a parameter's template or reference cannot be resolved
├── Forbidden           the name or object is reserved
├── Gone                the lease or attempt is over
├── Locked              no slot is free; try again later
├── Misconfigured       the server lacks what its database needs; an operator has to act
├── NotServed           the contract has this, this server does not yet
└── Unavailable         the server cannot do it now; nothing was changed
"""


class PenstockServerError(Exception):
    """The request cannot be answered as asked."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        super().__init__(self.message)


class NotFound(PenstockServerError):
    """There is nothing with this id."""


class Conflict(PenstockServerError):
    """This clashes with what is already there."""


class InvalidInput(PenstockServerError):
    """A value is not acceptable."""

    def __init__(self, message: str, loc: tuple[str | int, ...] = ("body",)) -> None:
        super().__init__(message)
        #: where the value stands, outermost first: `("body", "parameters", "n")`
        self.loc = loc


class BadRequest(PenstockServerError):
    """The request cannot be carried out as it stands."""


class HydrationError(BadRequest):
    """A template or reference in the parameters cannot be resolved."""


class Forbidden(PenstockServerError):
    """This is reserved."""


class Gone(PenstockServerError):
    """The lease or attempt is over."""


class Locked(PenstockServerError):
    """No slot is free now."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        #: seconds after which another try makes sense
        self.retry_after = retry_after


class NotServed(PenstockServerError):
    """This server does not serve this yet."""


class Unavailable(PenstockServerError):
    """The server cannot do this now; nothing was changed."""

    def __init__(self, message: str | None = None, *, retry_after: float = 1) -> None:
        super().__init__(message)
        #: seconds after which another try makes sense
        self.retry_after = retry_after


class Misconfigured(PenstockServerError):
    """The server lacks what its database needs; an operator has to act."""


class OutcomeUnknown(PenstockServerError):
    """The database went away in the middle of a change: it may have been made, or not."""
