# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native simulation: arrays in, arrays out, one call with the GIL released.

Callers (factor_model, heston_model, market) have validated shapes and ranges; what is checked here is only what memory safety needs.
"""

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from libc.stddef cimport size_t
from libcpp.memory cimport unique_ptr

from pseudofeed._status cimport Status, check


cdef extern from "random/arrays.h" namespace "pseudofeed::random" nogil:
    void philox_of(const uint32_t* counter, uint64_t seed, uint32_t* out)
    void normals_of(uint64_t seed, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose, double* z0, double* z1)
    void uniforms_of(uint64_t seed, const uint32_t* ids, size_t count, uint64_t step, uint32_t purpose, double* u1, double* u2)
    void exponentials_of(const double* x, size_t count, double* out)
    void exponentials_minus_1_of(const double* x, size_t count, double* out)
    void logarithms_of(const double* x, size_t count, double* out)
    void turns_of(const double* u, size_t count, double* sine, double* cosine)

cdef extern from "simulate/factors.h" namespace "pseudofeed::simulate" nogil:
    Status _cholesky "pseudofeed::simulate::cholesky"(const double* covariance, size_t factors, double* root) except +
    void _factor_paths "pseudofeed::simulate::factor_paths"(
        const double* root, const double* drift_dt, double sqrt_dt, size_t factors, uint64_t seed, uint64_t first_step,
        size_t steps, double* level_state, double* increments, double* levels) except +

cdef extern from "simulate/heston.h" namespace "pseudofeed::simulate" nogil:
    cdef enum class Scheme:
        euler
        qe
    cdef struct HestonParameters:
        size_t instruments
        size_t factors
        const uint32_t* ids
        const double* drift
        const double* kappa
        const double* theta
        const double* xi
        const double* rho
        const double* idiosyncratic_volatility
        const double* factor_loadings
        const double* factor_covariance
        double dt
        uint64_t seed
        uint32_t substeps
        Scheme scheme
    cdef cppclass HestonModel:
        HestonModel(const HestonParameters& parameters) except +
        Status walk(uint64_t first_step, size_t steps, const double* shocks, double* price, double* variance,
                    double* prices, double* variances, size_t threads)
        size_t instruments()
        size_t factors()
    const char* _instruction_set "pseudofeed::simulate::instruction_set"()


def instruction_set():
    """The instruction set of the Heston kernel on this machine: "avx512", "avx2" or "baseline" (all give the same bits)."""
    return _instruction_set().decode()


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
    """R with R R' = covariance, both (K, K): lower triangular where the matrix is not singular. ValueError where it is not
    positive semi-definite."""
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
    """Some instruments with what is constant over a run derived once; see csrc/simulate/heston.h."""

    cdef unique_ptr[HestonModel] model

    def __init__(self, *, const uint32_t[::1] ids, const double[::1] drift, const double[::1] kappa, const double[::1] theta,
                 const double[::1] xi, const double[::1] rho, const double[::1] idiosyncratic_volatility,
                 const double[:, ::1] factor_loadings, const double[:, ::1] factor_covariance, double dt, uint64_t seed,
                 str scheme, uint32_t substeps):
        cdef Py_ssize_t n = ids.shape[0]
        cdef Py_ssize_t k = factor_loadings.shape[1]
        if not (n == drift.shape[0] == kappa.shape[0] == theta.shape[0] == xi.shape[0] == rho.shape[0]
                == idiosyncratic_volatility.shape[0] == factor_loadings.shape[0] and factor_covariance.shape[0] == k
                and factor_covariance.shape[1] == k):
            raise ValueError("Heston: shapes do not fit")
        if n == 0:
            raise ValueError("Heston: no instruments")
        if scheme not in ("euler", "qe") or substeps == 0:
            raise ValueError("Heston: no such scheme")
        cdef HestonParameters given
        given.instruments = n
        given.factors = k
        given.ids = &ids[0]
        given.drift = &drift[0]
        given.kappa = &kappa[0]
        given.theta = &theta[0]
        given.xi = &xi[0]
        given.rho = &rho[0]
        given.idiosyncratic_volatility = &idiosyncratic_volatility[0]
        given.factor_loadings = &factor_loadings[0, 0] if k else NULL
        given.factor_covariance = &factor_covariance[0, 0] if k else NULL
        given.dt = dt
        given.seed = seed
        given.substeps = substeps
        given.scheme = Scheme.qe if scheme == "qe" else Scheme.euler
        self.model.reset(new HestonModel(given))

    def walk(self, uint64_t first_step, const double[:, ::1] shocks, double[::1] price, double[::1] variance,
             double[:, ::1] prices=None, double[:, ::1] variances=None, *, size_t threads=1):
        """Walk shocks.shape[0] steps from first_step.

        shocks (T, K): centred factor increments. price, variance (N,): the state before, moved on. prices, variances (T, N): filled, or
        both None to keep no step. SimulationError where a path leaves the range of doubles; the state is then as it was.
        """
        cdef HestonModel* model = self.model.get()
        if model == NULL:
            raise ValueError("Heston: not initialised")
        cdef size_t steps = shocks.shape[0]
        cdef size_t n = model.instruments()
        cdef double* out_prices = NULL
        cdef double* out_variances = NULL
        cdef const double* in_shocks = NULL
        cdef Status status
        if price.shape[0] != n or variance.shape[0] != n or shocks.shape[1] != model.factors():
            raise ValueError("walk: shapes do not fit")
        if (prices is None) != (variances is None):
            raise ValueError("walk: give prices and variances, or neither")
        if steps == 0:
            return
        if prices is not None:
            if (prices.shape[0] != steps or prices.shape[1] != n or variances.shape[0] != steps
                    or variances.shape[1] != n):
                raise ValueError("walk: shapes do not fit")
            out_prices = &prices[0, 0]
            out_variances = &variances[0, 0]
        if shocks.shape[1]:
            in_shocks = &shocks[0, 0]
        with nogil:
            status = model.walk(first_step, steps, in_shocks, &price[0], &variance[0], out_prices, out_variances, threads)
        check(status)
