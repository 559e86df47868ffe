"""Alarms that are set and never ring: nothing interrupts a program in the guest,
whose bound is its fuel.
"""

import signal

signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF = range(3)
signal.ItimerError = OSError


def alarm(seconds, /):
    return 0


def setitimer(which, seconds, interval=0.0, /):
    return (0.0, 0.0)


def getitimer(which, /):
    return (0.0, 0.0)


for _function in (alarm, setitimer, getitimer):
    _function.__module__ = "signal"
    setattr(signal, _function.__name__, _function)
