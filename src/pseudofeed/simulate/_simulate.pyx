# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native simulation: arrays in, arrays out, one call with the GIL released.

Callers (factor_model, heston_model, market) have validated shapes and ranges; what is checked here is only what memory safety needs.
"""

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from libc.stddef cimport size_t

from pseudofeed._status cimport Status, check


cdef extern from "random/philox.h" namespace "pseudofeed::random" nogil:
    cdef struct Words:
        uint32_t w0, w1, w2, w3
    Words _philox4x32 "pseudofeed::random::philox4x32"(Words counter, uint32_t key0, uint32_t key1)

cdef extern from "random/arrays.h" namespace "pseudofeed::random" nogil:
    void normals_of(uint64_t seed, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose, double* z0, double* z1)
    void uniforms_of(uint64_t seed, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose, double* u1, double* u2)
    void exponentials_of(const double* x, size_t count, double* out)
    void logarithms_of(const double* x, size_t count, double* out)
    void turns_of(const double* u, size_t count, double* sine, double* cosine)

cdef extern from "simulate/factors.h" namespace "pseudofeed::simulate" nogil:
    Status _cholesky "pseudofeed::simulate::cholesky"(const double* covariance, size_t factors, double* lower)
    void _factor_paths "pseudofeed::simulate::factor_paths"(
        const double* lower, const double* drift_dt, double sqrt_dt, size_t factors, uint64_t seed, uint64_t first_step,
        size_t steps, double* level_state, double* increments, double* levels)

cdef extern from "simulate/heston.h" namespace "pseudofeed::simulate" nogil:
    cdef struct HestonModel:
        size_t instruments
        size_t factors
        uint32_t substeps
        const uint32_t* ids
        const double* drift_dt
        const double* kappa_dt
        const double* theta
        const double* xi_sqrt_dt
        const double* rho
        const double* tail
        const double* own_variance
        const double* loadings
        double half_dt
        double sqrt_dt
    Status _heston_paths "pseudofeed::simulate::heston_paths"(
        const HestonModel& model, uint64_t seed, uint64_t first_step, size_t steps, const double* shocks,
        double* price, double* variance, double* prices, double* variances)
    const char* _instruction_set "pseudofeed::simulate::instruction_set"()


def instruction_set():
    """The instruction set of the Heston kernel on this machine: "avx512", "avx2" or "baseline" (all give the same bits)."""
    return _instruction_set().decode()


def philox4x32(counter, key):
    """Philox4x32-10 of four counter words under two key words, as tuples of ints (Salmon et al. 2011)."""
    cdef Words words
    words.w0, words.w1, words.w2, words.w3 = counter
    cdef Words out = _philox4x32(words, key[0], key[1])
    return out.w0, out.w1, out.w2, out.w3


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
    """Lower-triangular L with L L' = covariance, both (K, K); a semi-definite matrix is accepted. ValueError otherwise."""
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


def factor_paths(const double[:, ::1] lower, const double[::1] drift_dt, double sqrt_dt, uint64_t seed, uint64_t first_step,
                 double[::1] level_state, double[:, ::1] increments, double[:, ::1] levels):
    """Fill increments and levels, (T, K) each, for the steps from first_step; level_state (K,) is read and moved on."""
    cdef size_t factors = lower.shape[0]
    cdef size_t steps = increments.shape[0]
    if not (lower.shape[1] == drift_dt.shape[0] == level_state.shape[0] == increments.shape[1] == levels.shape[1]
            == lower.shape[0] and levels.shape[0] == increments.shape[0]):
        raise ValueError("factor_paths: shapes do not fit")
    if factors and steps:
        with nogil:
            _factor_paths(&lower[0, 0], &drift_dt[0], sqrt_dt, factors, seed, first_step, steps,
                          &level_state[0], &increments[0, 0], &levels[0, 0])


cdef class Heston:
    """The model of some instruments with what is constant over a run derived once; see csrc/simulate/heston.h."""

    cdef HestonModel model
    cdef tuple arrays

    def __init__(self, const uint32_t[::1] ids, const double[::1] drift_dt, const double[::1] kappa_dt, const double[::1] theta,
                 const double[::1] xi_sqrt_dt, const double[::1] rho, const double[::1] tail, const double[::1] own_variance,
                 const double[:, ::1] loadings, double half_dt, double sqrt_dt, uint32_t substeps=1):
        cdef Py_ssize_t n = ids.shape[0]
        if not (n == drift_dt.shape[0] == kappa_dt.shape[0] == theta.shape[0] == xi_sqrt_dt.shape[0] == rho.shape[0]
                == tail.shape[0] == own_variance.shape[0] == loadings.shape[1]):
            raise ValueError("Heston: shapes do not fit")
        if n == 0:
            raise ValueError("Heston: no instruments")
        self.arrays = (ids, drift_dt, kappa_dt, theta, xi_sqrt_dt, rho, tail, own_variance, loadings)
        self.model.instruments = n
        self.model.factors = loadings.shape[0]
        self.model.ids = &ids[0]
        self.model.drift_dt = &drift_dt[0]
        self.model.kappa_dt = &kappa_dt[0]
        self.model.theta = &theta[0]
        self.model.xi_sqrt_dt = &xi_sqrt_dt[0]
        self.model.rho = &rho[0]
        self.model.tail = &tail[0]
        self.model.own_variance = &own_variance[0]
        self.model.loadings = &loadings[0, 0] if loadings.shape[0] else NULL
        self.model.substeps = substeps
        self.model.half_dt = half_dt
        self.model.sqrt_dt = sqrt_dt

    def paths(self, uint64_t seed, uint64_t first_step, const double[:, ::1] shocks, double[::1] price, double[::1] variance,
              double[:, ::1] prices=None, double[:, ::1] variances=None, size_t threads=1):
        """Walk shocks.shape[0] steps from first_step.

        shocks (T, K): centred factor increments. price, variance (N,): the state before, moved on. prices, variances (T, N): filled, or
        both None to keep no step. SimulationError where a path leaves the range of doubles.
        """
        cdef size_t steps = shocks.shape[0]
        cdef Py_ssize_t n = self.model.instruments
        cdef double* out_prices = NULL
        cdef double* out_variances = NULL
        cdef const double* in_shocks = NULL
        cdef Status status
        if price.shape[0] != n or variance.shape[0] != n or shocks.shape[1] != <Py_ssize_t>self.model.factors:
            raise ValueError("paths: shapes do not fit")
        if (prices is None) != (variances is None):
            raise ValueError("paths: give prices and variances, or neither")
        if steps == 0:
            return
        if prices is not None:
            if (prices.shape[0] != shocks.shape[0] or prices.shape[1] != n or variances.shape[0] != shocks.shape[0]
                    or variances.shape[1] != n):
                raise ValueError("paths: shapes do not fit")
            out_prices = &prices[0, 0]
            out_variances = &variances[0, 0]
        if shocks.shape[1]:
            in_shocks = &shocks[0, 0]
        with nogil:
            status = _heston_paths(self.model, seed, first_step, steps, in_shocks, &price[0], &variance[0],
                                   out_prices, out_variances)
        check(status)
