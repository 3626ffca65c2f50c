# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Draws, elementary functions and the Cholesky factor: arrays in, arrays out, one call with the GIL released."""

import functools

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from libc.stddef cimport size_t
from libcpp.memory cimport unique_ptr

from pseudofeed._status cimport Status, check


cdef extern from "floating_point.h" namespace "pseudofeed" nogil:
    cdef cppclass _DefaultFloatingPoint "pseudofeed::DefaultFloatingPoint":
        pass

cdef extern from "random/counters.h" namespace "pseudofeed::random" nogil:
    enum:
        instrument_purpose
        factor_purpose
        parameter_purpose
        variance_purpose
        path_purpose
        substep_shift
        most_substeps
        initial_price_number
        initial_variance_number
        drift_number
        kappa_number
        theta_number
        xi_number
        rho_number
        idiosyncratic_volatility_number
        first_loading_number
    const uint64_t night_mark

cdef extern from "random/arrays.h" namespace "pseudofeed::random" nogil:
    void philox_of(const uint32_t* counter, uint64_t key, uint32_t* out)
    void normals_of(uint64_t key, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose,
                    double* z0, double* z1)
    void uniforms_of(uint64_t key, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose,
                     double* u1, double* u2)
    uint64_t key_of_path(uint64_t seed, uint32_t path)
    void exponentials_of(const double* x, size_t count, double* out)
    void exponentials_minus_1_of(const double* x, size_t count, double* out)
    void logarithms_of(const double* x, size_t count, double* out)
    void turns_of(const double* u, size_t count, double* sine, double* cosine)

cdef extern from "random/cholesky.h" namespace "pseudofeed::random" nogil:
    Status _cholesky "pseudofeed::random::cholesky"(const double* covariance, size_t factors, double* root) except +


# The fields of the counter, as csrc/random/counters.h defines them.
INSTRUMENT_PURPOSE = instrument_purpose
FACTOR_PURPOSE = factor_purpose
PARAMETER_PURPOSE = parameter_purpose
VARIANCE_PURPOSE = variance_purpose
PATH_PURPOSE = path_purpose
SUBSTEP_SHIFT = substep_shift
MOST_SUBSTEPS = most_substeps
NIGHT_MARK = night_mark
PARAMETER_NUMBERS = {
    "initial_price": initial_price_number,
    "initial_variance": initial_variance_number,
    "drift": drift_number,
    "kappa": kappa_number,
    "theta": theta_number,
    "xi": xi_number,
    "rho": rho_number,
    "idiosyncratic_volatility": idiosyncratic_volatility_number,
}
FIRST_LOADING_NUMBER = first_loading_number


def path_key(uint64_t seed, uint32_t path):
    """The key (64 bits) of a market's path, 0 to 2^32 - 1, by csrc/random/counters.h; that of path 0 is the seed."""
    return key_of_path(seed, path)


def default_floating_point(function):
    """Decorate a function whose Python and NumPy arithmetic decides bits: in this thread it rounds to nearest and keeps
    subnormal numbers, whatever a library has set. The caller's environment is restored afterwards. Native functions do
    not need it: they set the environment themselves."""

    @functools.wraps(function)
    def inside(*arguments, **named):
        cdef unique_ptr[_DefaultFloatingPoint] environment
        environment.reset(new _DefaultFloatingPoint())
        try:
            return function(*arguments, **named)
        finally:
            environment.reset()

    return inside


def philox4x32(counter, key):
    """Philox4x32-10 of four counter words under two key words, as tuples of ints (Salmon et al. 2011)."""
    cdef uint32_t[4] words = counter
    cdef uint32_t[4] out
    philox_of(words, key[0] | <uint64_t>key[1] << 32, out)
    return tuple(out)


def standard_normals(uint64_t seed, const uint32_t[::1] ids, uint64_t step, uint32_t purpose):
    """The two standard normals of each id (uint32) at `step`: (z0, z1), float64 arrays of the length of `ids`."""
    z0 = np.empty(ids.shape[0])
    z1 = np.empty(ids.shape[0])
    cdef double[::1] z0_view = z0
    cdef double[::1] z1_view = z1
    if ids.shape[0]:
        with nogil:
            normals_of(seed, &ids[0], ids.shape[0], step, purpose, &z0_view[0], &z1_view[0])
    return z0, z1


def uniforms(uint64_t seed, const uint32_t[::1] ids, uint64_t step, uint32_t purpose):
    """The two 53-bit uniforms of each id (uint32) at `step`: u1 in (0, 1], u2 in [0, 1)."""
    u1 = np.empty(ids.shape[0])
    u2 = np.empty(ids.shape[0])
    cdef double[::1] u1_view = u1
    cdef double[::1] u2_view = u2
    if ids.shape[0]:
        with nogil:
            uniforms_of(seed, &ids[0], ids.shape[0], step, purpose, &u1_view[0], &u2_view[0])
    return u1, u2


def exp(const double[::1] x):
    """e^x by csrc/random/elementary.h, for -708 <= x <= 709.4."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            exponentials_of(&x[0], x.shape[0], &view[0])
    return out


def expm1(const double[::1] x):
    """e^x - 1 by csrc/random/elementary.h, for -708 <= x <= 709.4."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            exponentials_minus_1_of(&x[0], x.shape[0], &view[0])
    return out


def log(const double[::1] x):
    """log x by csrc/random/elementary.h, for positive normal x."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            logarithms_of(&x[0], x.shape[0], &view[0])
    return out


def turn(const double[::1] u):
    """(sin 2πu, cos 2πu) by csrc/random/elementary.h, for 0 <= u <= 1."""
    sine = np.empty(u.shape[0])
    cosine = np.empty(u.shape[0])
    cdef double[::1] sine_view = sine
    cdef double[::1] cosine_view = cosine
    if u.shape[0]:
        with nogil:
            turns_of(&u[0], u.shape[0], &sine_view[0], &cosine_view[0])
    return sine, cosine


def cholesky(const double[:, ::1] covariance):
    """R with R R' = covariance, both (K, K): lower triangular if the matrix is not singular. Raises ValueError if it is
    not positive semi-definite."""
    lower = np.zeros((covariance.shape[0], covariance.shape[0]))
    cdef double[:, ::1] view = lower
    cdef Status status
    if covariance.shape[1] != covariance.shape[0]:
        raise ValueError("covariance: not square")
    if covariance.shape[0]:
        with nogil:
            status = _cholesky(&covariance[0, 0], covariance.shape[0], &view[0, 0])
        check(status)
    return lower
