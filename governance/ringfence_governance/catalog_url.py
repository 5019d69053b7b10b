"""Say where a catalog lies that is no file in the store: a Postgres, named by URL.

Promise: what is written down of a URL holds no password. An option that holds a
secret, or that nobody here knows, is refused by its name; no message holds a value.
"""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import InvalidInput

SCHEMES = ("postgresql", "postgres")
OPTIONS = frozenset(
    {
        "application_name",
        "channel_binding",
        "gssencmode",
        "host",
        "krbsrvname",
        "passfile",
        "port",
        "require_auth",
        "service",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
    }
)
"""What may stand behind the `?` of a URL. They go to libpq as they are; none of them is a secret."""


def parse(text: str) -> URL:
    """Return a catalog's URL, its password still in it.

    Raises:
        InvalidInput: It is no URL of a Postgres, or has an option that may not stand in one.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "catalog: found no URL; expected postgresql://USER@HOST:PORT/DATABASE; "
            "without one the catalog is a file in the store"
        ) from None
    if url.drivername not in SCHEMES:
        raise InvalidInput(
            f"catalog: found a URL of {url.drivername!r}; expected one that begins with postgresql://; "
            "without one the catalog is a file in the store"
        )
    if unknown := sorted(set(url.query) - OPTIONS):
        raise InvalidInput(
            f"catalog: found the option {unknown[0]!r} in the URL; expected none but {', '.join(sorted(OPTIONS))}",
            hint="a password comes from PGPASSWORD, a password file or a service file",
        )
    if not url.database and "service" not in url.query:
        raise InvalidInput(
            "catalog: the URL names no database; expected postgresql://USER@HOST:PORT/DATABASE"
        )
    return url.set(drivername="postgresql")


def shown(text: str) -> str:
    """Return a catalog's URL, given as text, as it may be shown.

    Raises:
        InvalidInput: As in :func:`parse`.
    """
    return without_password(parse(text))


def without_password(url: URL) -> str:
    """Return a URL as it may be written down and shown."""
    # `set` takes None for "leave it", so the parts are put together again.
    bare = URL.create(
        url.drivername, url.username or None, None, url.host, url.port, url.database, dict(url.query)
    )
    return bare.render_as_string(hide_password=False)
