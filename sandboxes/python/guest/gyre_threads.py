"""Threads where there are none: one runs when it is started, to its end.

The guest is one thread, so `Thread.start` calls the target.  That is one of the
orders in which threads may run, and the idiom that starts one for its larger
stack works as it is.  A thread that waits for what another would do later would
wait for ever, and ends the guest.
"""

import _thread
import _threading_local
import sys
import threading
import traceback


class _Handle:
    """What `threading` keeps of a thread that it started."""

    def __init__(self):
        self.ident = None
        self._done = False

    def is_done(self):
        return self._done

    def _set_done(self):
        self._done = True

    def join(self, timeout=None):
        if self.ident is None:
            raise RuntimeError("thread not started")


def _install():
    idents = [_thread.get_ident()]
    last = [idents[0]]
    stack = [0]

    def get_ident():
        """Return a non-zero integer that names the current thread."""
        return idents[-1]

    def as_thread(function, *args, **kwargs):
        last[0] += 1
        idents.append(last[0])
        try:
            return function(*args, **kwargs)
        finally:
            idents.pop()

    def start_joinable_thread(function, handle=None, daemon=True):
        handle = _Handle() if handle is None else handle
        handle.ident = last[0] + 1
        try:
            as_thread(function)
        finally:
            handle._set_done()
        return handle

    def start_new_thread(function, args, kwargs={}, /):
        ident = last[0] + 1
        try:
            as_thread(function, *args, **kwargs)
        except SystemExit:
            pass
        except BaseException:
            print("Exception ignored in thread started by", repr(function), file=sys.stderr)
            traceback.print_exc()
        return ident

    def stack_size(size=0, /):
        """The bound is the guest's own; what is asked for is remembered."""
        if size and size < 32768:
            raise ValueError("size not valid: %d bytes" % size)
        before, stack[0] = stack[0], size
        return before

    for module in (_thread, threading):
        module.get_ident = get_ident
        module.stack_size = stack_size
    _thread.start_new_thread = _thread.start_new = start_new_thread
    _thread.start_joinable_thread = threading._start_joinable_thread = start_joinable_thread
    threading._start_new_thread = start_new_thread
    threading._ThreadHandle = _Handle
    threading.local = _threading_local.local


def _install_pool():
    from concurrent.futures import _base
    from concurrent.futures.thread import ThreadPoolExecutor, _WorkItem

    def submit(self, fn, /, *args, **kwargs):
        if self._broken:
            raise self.BROKEN(self._broken)
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = _base.Future()
        item = _WorkItem(future, self._resolve_work_item_task(fn, args, kwargs))

        def work():
            context = self._create_worker_context()
            # The initializer runs once: there is one worker.
            if not self._threads:
                try:
                    context.initialize()
                except BaseException:
                    _base.LOGGER.critical("Exception in initializer:", exc_info=True)
                    self._initializer_failed()
                    future.set_exception(self.BROKEN(self._broken))
                    return
            self._threads.add(threading.current_thread())
            item.run(context)

        threading.Thread(target=work, name=self._thread_name_prefix + "_0").start()
        return future

    submit.__doc__ = _base.Executor.submit.__doc__
    ThreadPoolExecutor.submit = submit


def _install_loop():
    import asyncio
    import time
    from asyncio import base_events, unix_events

    class _Nothing:
        """Stands where a loop waits for sockets: there are only its timers."""

        def select(self, timeout):
            if timeout is None:
                raise RuntimeError("deadlock: nothing is left that could wake the event loop")
            if timeout > 0:
                time.sleep(timeout)
            return []

    class EventLoop(base_events.BaseEventLoop):
        """An event loop of tasks and timers, without sockets."""

        def __init__(self):
            super().__init__()
            self._selector = _Nothing()

        def _process_events(self, event_list):
            pass

        def _write_to_self(self):
            pass

    unix_events._UnixDefaultEventLoopPolicy._loop_factory = EventLoop
    for module in (asyncio, unix_events):
        module.EventLoop = module.SelectorEventLoop = EventLoop


_install()
_install_pool()
_install_loop()
