"""Ends a launch whose Ray no longer answers, which Tune would wait for without end or leave without a word."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable

import ray

from raysweep.core.errors import UserError

from .ray_internals import gcs_address, gcs_answers, raylet_connection

RAYLET_DIED = "Ray's process on this machine (raylet) has died: it was killed, or memory ran out"

LOOK_EVERY = 2.0
"""Seconds between two looks at Ray."""

HEAD_SECONDS = 5
"""Within which the head must answer a request."""

SILENT_SECONDS = 25.0
"""For how long the head must not answer. Ray itself ends the process after 60 seconds of it, without a sentence."""

LEAVE_SECONDS = 15.0
"""Within which a launch must have stopped once Ray is lost: some calls of Ray and Tune wait for it without end."""


class RayWatch:
    """Inside this context a thread looks whether Ray answers, and calls `lost` once, with a sentence, when it does not.

    If the context is not left within `LEAVE_SECONDS` of that, or Ray within another `LEAVE_SECONDS`, the process ends
    here, in the first case with the sentence and `command`.
    """

    def __init__(self, lost: Callable[[str], None], command: str) -> None:
        self.lost, self.command = lost, command
        self._left = threading.Event()
        self._silent_since: float | None = None

    def __enter__(self) -> RayWatch:
        try:
            self._raylet = raylet_connection()
        except OSError:
            raise UserError(RAYLET_DIED) from None
        threading.Thread(target=self._look, name="ray-watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._left.set()

    def _look(self) -> None:
        with self._raylet:
            while not self._left.wait(LOOK_EVERY):
                reason = self.trouble()
                if reason and not self._left.is_set():
                    self.lost(reason)
                    self._have_left(reason)
                    return

    def _have_left(self, reason: str) -> None:
        if not self._left.wait(LEAVE_SECONDS):
            text = f"\nstopped: {reason}; finished stages are kept. To continue:\n  {self.command}\n"
            sys.stderr.write(text)
        else:
            time.sleep(LEAVE_SECONDS)
        if ray.is_initialized():
            sys.stderr.flush()
            os._exit(1)

    def trouble(self) -> str:
        """What no longer answers, as a sentence; "" while all does."""
        if is_closed(self._raylet):
            return RAYLET_DIED
        if gcs_answers(HEAD_SECONDS):
            self._silent_since = None
            return ""
        self._silent_since = self._silent_since or time.monotonic() - HEAD_SECONDS
        if time.monotonic() - self._silent_since < SILENT_SECONDS:
            return ""
        return f"the cluster's head ({gcs_address()}) has not answered for {SILENT_SECONDS:.0f} s"


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end of a connection that does not block has closed it."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
