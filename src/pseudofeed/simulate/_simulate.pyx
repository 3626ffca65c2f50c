# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native simulation: arrays in, arrays out, one call with the GIL released.

Callers (factor_model, heston_model, market) have validated shapes and ranges; what is checked here is only what memory safety needs.
"""

import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from libc.stddef cimport size_t
from libcpp.memory cimport unique_ptr

from pseudofeed._status cimport Status, check


cdef extern from "simulate/factors.h" namespace "pseudofeed::simulate" nogil:
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
