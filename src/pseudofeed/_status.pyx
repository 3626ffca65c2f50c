# cython: language_level=3

from pseudofeed import errors


cdef int check(const Status& status) except -1:
    """Raise the exception that the native status stands for; return 0 where it is ok. Needs the GIL."""
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
    raise RuntimeError(f"unknown native status {<int>status.code}: {text}")
