"""How patient a check has to be: where processors are emulated or crowded, all takes many times longer."""
import os
import time

USUAL = 0.01  # seconds of a processor's time, at most, for the sum below
CROWD = 2     # programs that want each processor: from there on everybody waits in a queue
MOST = 6      # who writes an endless loop does not want to wait for minutes


def factor():
    """By how much the time for a check must be longer on this machine, now, than on a usual one: 1 or more."""
    begin = time.process_time()
    sum(range(500_000))
    return min(MOST, max(1, (time.process_time() - begin) / USUAL) * crowded())


def crowded(load=None):
    """By how much all takes longer because others are at work: right and slow is not wrong."""
    load = os.getloadavg()[0] if load is None else load
    return max(1, load / (CROWD * len(os.sched_getaffinity(0))))
