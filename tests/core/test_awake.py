"""A process that is stopped for a while, and what it says of the time."""

import os
import signal
import subprocess
import sys
import time

STOPPED = """
import os, sys, time
from raysweep.core import awake
awake.TICK, awake.MISSED = 0.02, 0.3
began, clock = awake.awake(), time.monotonic()
print("ready", flush=True)
sys.stdin.readline()
print(awake.awake() - began, time.monotonic() - clock, awake.slept())
child = os.fork()
if not child:
    os._exit(0 if awake.slept() == 0 else 1)
print(os.waitpid(child, 0)[1])
"""


def said(stop):
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    if stop:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.8)
        os.kill(process.pid, signal.SIGCONT)
    parts = process.communicate("go on\n", timeout=60)[0].split()
    assert parts[3] == "0"
    return [float(word) for word in parts[:3]]


def test_time_that_a_process_is_stopped_for_does_not_count():
    awake, wall, slept = said(stop=True)
    assert wall > 0.8
    assert slept > 0.5
    assert abs(wall - awake - slept) < 0.05


def test_all_time_counts_else():
    awake, wall, slept = said(stop=False)
    assert slept == 0
    assert abs(awake - wall) < 0.05
