# cython: language_level=3

from cpython.object cimport PyObject
from libcpp cimport bool

from pseudofeed import errors


cdef int check(const Status& status) except -1:
    """Raise the exception that the native status stands for; return 0 where it is ok. Needs the GIL.

    Code.interrupted stands for the exception that `must_stop` has left raised.
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
        return -1  # must_stop has raised
    raise RuntimeError(f"unknown native status {<int>status.code}: {text}")


cdef extern from "Python.h":
    # Declared without `except`: what they raise must stay raised until check().
    int PyErr_CheckSignals()
    PyObject* PyObject_CallNoArgs(PyObject* function)
    int PyObject_IsTrue(PyObject* value)
    void PyErr_SetNone(PyObject* kind)
    void Py_DecRef(PyObject* value)


cdef object _stopped = errors.WalkStopped


cdef bool must_stop(void* context) noexcept with gil:
    """Whether a long native call must end, with Code.interrupted and at once. Such calls ask from time to time.

    Runs Python's signal handlers (in the main thread), which may raise the KeyboardInterrupt of Ctrl-C. Then, if
    context is a Python function without arguments, calls it; if it returns true, errors.WalkStopped is raised.
    """
    if PyErr_CheckSignals() != 0:
        return True
    if context == NULL:
        return False
    cdef PyObject* answer = PyObject_CallNoArgs(<PyObject*>context)
    if answer == NULL:
        return True
    cdef int stop = PyObject_IsTrue(answer)
    Py_DecRef(answer)
    if stop == 1:
        PyErr_SetNone(<PyObject*>_stopped)
    return stop != 0
