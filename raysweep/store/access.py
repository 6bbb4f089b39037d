"""Why a store at a URL cannot be reached or written, as a sentence with the remedy."""

from __future__ import annotations

from collections.abc import Iterator

from raysweep.core.errors import describe

_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure`, or give the machine a role"

_CAUSES = (
    (("unable to locate credentials", "nocredentialserror", "could not automatically determine credentials"),
     f"it needs credentials, and there are none: {_KEYS}"),
    (("invalidaccesskeyid", "signaturedoesnotmatch", "access key id you provided does not", "invalidclienttokenid"),
     f"it does not accept this key: {_KEYS}"),
    (("expiredtoken", "token has expired", "expired token"), "its credentials have expired: log in again"),
    (("profilenotfound", "config profile"), "AWS_PROFILE names no profile of ~/.aws/config: correct or unset it"),
    (("nosuchbucket", "bucket does not exist", "invalidbucketname", "bucket is not valid"),
     "there is no such bucket: make it, or correct the address"),
    (("forbidden", "access denied", "accessdenied", "permissionerror"),
     "this key may not use it: check the key, the bucket's name and the rights on it"),
    (("could not connect", "endpointconnectionerror", "connectionerror", "timed out", "timeout", "not known"),
     "nothing answers there: check the network, and AWS_ENDPOINT_URL if it is set"),
)  # fmt: skip
"""Words in an error or its causes, and what they mean. The first that fits counts."""


def why_refused(error: BaseException) -> str:
    """What is wrong with the access to a store, and the remedy; for an unknown error that error and what to check."""
    said = " ".join(f"{type(seen).__name__}: {seen}" for seen in causes(error)).lower()
    for words, meaning in _CAUSES:
        if any(word in said for word in words):
            return meaning
    if any((http_status(seen) or 0) >= 500 for seen in causes(error)):
        return f"its server is overloaded or down ({describe(error)}): wait until it answers"
    return f"{describe(error)}: check the address, the network and the credentials"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def http_status(error: BaseException) -> int | None:
    """The HTTP status of an error of botocore, gcsfs or aiohttp."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(error, "code", None)
    return int(found) if isinstance(found, int) or (isinstance(found, str) and found.isdigit()) else None
