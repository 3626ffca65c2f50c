# cython: language_level=3

from libcpp cimport bool

from pseudofeed import errors


cdef int check(const Status& status) except -1:
    """Raise the exception that the native status stands for; return 0 where it is ok. Needs the GIL.

    Code.interrupted stands for the exception that `pending_signal` has left raised.
    """
    if status.code == Code.ok:
        return 0
    text = (<const char*>&status.message[0]).decode("utf-8", "replace")
    if status.code == Code.invalid_argument:
        raise ValueError(text)
    if status.code == Code.not_finite:
        raise errors.SimulationError(text)
    if status.code == Code.malformed:
        raise errors.MalformedMessage(text)
    if status.code == Code.unavailable:
        raise errors.LibraryError(text)
    if status.code == Code.publish_failed:
        raise errors.PublishError(text)
    if status.code == Code.out_of_memory:
        raise MemoryError(text)
    if status.code == Code.bad_setting:
        raise errors.SettingsError(text)
    if status.code == Code.interrupted:
        return -1  # whoever interrupted has raised what it wanted: see pending_signal
    raise RuntimeError(f"unknown native status {<int>status.code}: {text}")


cdef extern from "Python.h":
    int PyErr_CheckSignals()  # without `except`: what it raises must stay raised until check()


cdef bool pending_signal(void* context) noexcept with gil:
    """Run Python's signal handlers: long native calls do so from time to time. Returns true if one of them has raised,
    such as the KeyboardInterrupt of Ctrl-C; the call must then end with Code.interrupted at once. Only the main thread
    handles signals."""
    return PyErr_CheckSignals() != 0
