"""Calls of an fsspec file system that outlast a short outage; their other errors blame the store, never a cell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from json import JSONDecodeError
from typing import Any

from raysweep.core.errors import describe

from .access import causes, http_status, why_refused
from .unusable import FULL, GONE, StoreUnusable

PATIENCE = 90.0
"""Seconds for which a call is repeated that fails for a passing reason, at a store that has answered before."""

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each repetition; the last counts for all further ones."""

_PASSING_STATUS = frozenset({408, 425, 429})
_PASSING_NAMES = ("timeout", "connect", "incompleteread", "serverdisconnected", "clientpayload", "responseparser")
_ABSENCE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_OF_THE_CALL = (NotImplementedError, AttributeError, TypeError, KeyError)
"""What a file system cannot do, or a listing does not say. Other errors, of an answer that is no JSON too, are the
store's."""


class PatientFileSystem:
    """An fsspec file system. Its calls raise what says that a file is there or not, and StoreUnusable otherwise.

    Args:
        url: of the store, for messages.
        clock, sleep: for tests.
    """

    def __init__(
        self,
        fs: Any,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fs, self._url, self._clock, self._sleep = fs, url, clock, sleep
        self._answered = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._fs, name)
        return self._patiently(value) if callable(value) else value

    def _patiently(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def patient(*args: Any, **more: Any) -> Any:
            began, tries = self._clock(), 0
            while True:
                try:
                    answer = call(*args, **more)
                except (*_ABSENCE, *_OF_THE_CALL):
                    self._answered = True
                    raise
                except Exception as error:  # fsspec's packages have errors of their own
                    if not self._answered or not is_passing(error) or self._clock() - began > PATIENCE:
                        if self._is_of_a_disk(error):
                            raise
                        raise self._refused(error) from error
                    if not tries:
                        sys.stderr.write(f"raysweep: {self._url} does not answer ({describe(error)}): trying again\n")
                    self._sleep(WAITS[min(tries, len(WAITS) - 1)])
                    tries += 1
                else:
                    self._answered = True
                    return answer

        return patient

    @staticmethod
    def _is_of_a_disk(error: Exception) -> bool:
        """Whether `writing` and `reading` know a better sentence."""
        return isinstance(error, OSError) and error.errno in FULL | GONE and error.__cause__ is None

    def _refused(self, error: Exception) -> StoreUnusable:
        return StoreUnusable(
            f"{self._url} cannot be used: {why_refused(error)}; mend that and run the same command again"
        )


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later: the server is busy or down, or the network is."""
    return any(_passes(seen) for seen in causes(error))


def _passes(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError, JSONDecodeError)):  # a gateway's page in place of an answer
        return True
    status = http_status(error)
    if status is not None:
        return status >= 500 or status in _PASSING_STATUS
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    return any(word in name for name in names for word in _PASSING_NAMES)
