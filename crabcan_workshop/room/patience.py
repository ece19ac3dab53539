"""How patient a check has to be: where processors are emulated, all takes many times longer."""
import time

USUAL = 0.01  # seconds of a processor's time, at most, for the sum below
MOST = 6      # who writes an endless loop does not want to wait for minutes


def factor():
    """By how much the time for a check must be longer on this machine than on a usual one: 1 or
    more. What other programs are doing matters little: it is the processor's time that counts."""
    begin = time.process_time()
    sum(range(500_000))
    return min(MOST, max(1, (time.process_time() - begin) / USUAL))
