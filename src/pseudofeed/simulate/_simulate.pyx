# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The native simulation: arrays in, arrays out, one call with the GIL released.

Callers (factor_model, heston_model, stream) have validated shapes and ranges. The checks here are those that memory
safety needs. Every function computes in the default floating-point environment, whatever the caller's is. Both walks
can be interrupted: every 50 ms they run Python's signal handlers, and raise what these raise. Then they call the
function `stopping`, if it is given.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stddef cimport size_t
from libcpp cimport bool
from libcpp.memory cimport unique_ptr

from pseudofeed._status cimport Status, check, must_stop


cdef extern from "simulate/steps.h" namespace "pseudofeed::simulate" nogil:
    cdef struct Steps:
        uint64_t first
        size_t count
        const double* dt
        const uint8_t* nights
        double night_dt
        size_t dt_stride
    cdef struct Interruption:
        bool (*asked)(void* context) noexcept
        void* context

cdef extern from "simulate/factors.h" namespace "pseudofeed::simulate" nogil:
    cdef struct FactorWalk:
        size_t factors
        const double* root
        const double* drift
        uint64_t key
        Steps steps
        double* level
        double* increments
        double* levels
        double* shocks
        double* night_shocks
        Interruption interruption
    Status _walk_factors "pseudofeed::simulate::walk_factors"(const FactorWalk& walk)

cdef extern from "simulate/heston.h" namespace "pseudofeed::simulate" nogil:
    const double _lowest_price "pseudofeed::simulate::lowest_price"
    const double _highest_price "pseudofeed::simulate::highest_price"
    const size_t _state_count "pseudofeed::simulate::state_count"
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
        uint64_t key
        uint32_t substeps
        Scheme scheme
    cdef struct HestonWalk:
        Steps steps
        const double* shocks
        const double* night_shocks
        double* state
        double* prices
        double* variances
        double* old_prices
        double* old_variances
        size_t threads
        Interruption interruption
    cdef cppclass HestonModel:
        HestonModel(const HestonParameters& parameters) except +
        Status walk(const HestonWalk& walk, size_t* workers)
        bool may_fail(size_t steps, double dt, const double* shock_sums, const double* state)
        size_t instruments()
        size_t factors()
    Status _choose_instruction_set "pseudofeed::simulate::choose_instruction_set"(const char*& name)


LOWEST_PRICE = _lowest_price
HIGHEST_PRICE = _highest_price


def instruction_set():
    """The instruction set of the kernels on this machine: "avx512", "avx2" or "baseline" (all give the same bits).

    SettingsError where PSEUDOFEED_ISA names none, or one that this machine lacks; so do the walks.
    """
    cdef const char* name = NULL
    check(_choose_instruction_set(name))
    return name.decode()


cdef double* _rows(double[:, ::1] rows) noexcept:
    """Borrows the array; null where there is none, or nothing in it."""
    if rows is None or rows.shape[0] == 0 or rows.shape[1] == 0:
        return NULL
    return &rows[0, 0]


cdef const double* _const_rows(const double[:, ::1] rows) noexcept:
    if rows is None or rows.shape[0] == 0 or rows.shape[1] == 0:
        return NULL
    return &rows[0, 0]


cdef Steps _steps(uint64_t first_step, const double[:] dt, const uint8_t[::1] nights, double night_dt) except *:
    """Borrows the arrays. nights: None, or as many as dt."""
    cdef Steps steps
    if nights is not None and nights.shape[0] != dt.shape[0]:
        raise ValueError("steps: shapes do not fit")
    steps.first = first_step
    steps.count = dt.shape[0]
    steps.dt = &dt[0]
    steps.nights = NULL
    if nights is not None:
        steps.nights = &nights[0]
    steps.night_dt = night_dt
    if dt.strides[0] != 0 and dt.strides[0] != sizeof(double):
        raise ValueError("steps: dt is not contiguous")
    steps.dt_stride = dt.strides[0] != 0
    return steps


cdef size_t _count(const uint8_t[::1] nights) noexcept:
    cdef size_t total = 0
    cdef Py_ssize_t step
    if nights is not None:
        for step in range(nights.shape[0]):
            total += nights[step] != 0
    return total


def walk_factors(const double[:, ::1] root, const double[::1] drift, uint64_t key, uint64_t first_step,
                 const double[:] dt, double[::1] level, double[:, ::1] increments, double[:, ::1] levels,
                 double[:, ::1] shocks=None, double[:, ::1] night_shocks=None, *,
                 const uint8_t[::1] nights=None, double night_dt=0.0, stopping=None):
    """Walk the factors through dt.shape[0] steps from first_step.

    root (K, K), drift (K,): see csrc/simulate/factors.h. dt (T,): each step's length in years, contiguous or
    np.broadcast_to of one. nights (T,): 1 where a night of night_dt years precedes the step. level (K,) is read and
    moved on. increments and levels (T, K) are filled; so are shocks (T, K) and night_shocks (nights, K), if given.
    stopping: a function that is called every 50 ms; if it returns true, WalkStopped is raised.
    """
    cdef size_t k = root.shape[0]
    cdef size_t steps = dt.shape[0]
    cdef FactorWalk walk
    cdef Status status
    if not (root.shape[1] == k and drift.shape[0] == k and level.shape[0] == k and increments.shape[1] == k
            and levels.shape[1] == k and increments.shape[0] == steps and levels.shape[0] == steps
            and (shocks is None or (shocks.shape[0] == steps and shocks.shape[1] == k))
            and (night_shocks is None or (night_shocks.shape[0] == _count(nights) and night_shocks.shape[1] == k))):
        raise ValueError("walk_factors: shapes do not fit")
    if k == 0 or steps == 0:
        return
    walk.factors = k
    walk.root = &root[0, 0]
    walk.drift = &drift[0]
    walk.key = key
    walk.steps = _steps(first_step, dt, nights, night_dt)
    walk.level = &level[0]
    walk.increments = &increments[0, 0]
    walk.levels = &levels[0, 0]
    walk.shocks = _rows(shocks)
    walk.night_shocks = _rows(night_shocks)
    walk.interruption.asked = must_stop
    walk.interruption.context = NULL if stopping is None else <void*>stopping
    with nogil:
        status = _walk_factors(walk)
    check(status)


cdef class Heston:
    """Some instruments with all that does not depend on a walk derived once; see csrc/simulate/heston.h."""

    cdef unique_ptr[HestonModel] model

    def __init__(self, *, const uint32_t[::1] ids, const double[::1] drift, const double[::1] kappa,
                 const double[::1] theta, const double[::1] xi, const double[::1] rho,
                 const double[::1] idiosyncratic_volatility, const double[:, ::1] factor_loadings,
                 const double[:, ::1] factor_covariance, uint64_t key, str scheme, uint32_t substeps):
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
        given.factor_loadings = _const_rows(factor_loadings)
        given.factor_covariance = _const_rows(factor_covariance)
        given.key = key
        given.substeps = substeps
        given.scheme = Scheme.qe if scheme == "qe" else Scheme.euler
        self.model.reset(new HestonModel(given))

    def walk(self, uint64_t first_step, const double[:] dt, const double[:, ::1] shocks, double[:, ::1] state,
             double[:, ::1] prices=None, double[:, ::1] variances=None, *, const uint8_t[::1] nights=None,
             double night_dt=0.0, const double[:, ::1] night_shocks=None, double[:, ::1] old_prices=None,
             double[:, ::1] old_variances=None, size_t threads=1, stopping=None):
        """Walk dt.shape[0] steps from first_step; return how many threads took part.

        dt (T,): each step's length in years, contiguous or np.broadcast_to of one. nights (T,): 1 where a night of
        night_dt years precedes the step. shocks (T, K), night_shocks (nights, K): centred factor increments. state
        (2, N): prices and variances before, moved on. prices, variances (T, N): filled, or both None to keep no step.
        stopping: as in walk_factors.

        SimulationError names the earliest step at which an instrument left its range. After this and any other error
        the state is as it was. So are prices and variances if old_prices and old_variances (T, N) are given, which
        receive their old values; otherwise their values are undefined.
        """
        cdef HestonModel* model = self._model()
        cdef size_t steps = dt.shape[0]
        cdef size_t n = model.instruments()
        cdef size_t k = model.factors()
        cdef HestonWalk walk
        cdef Status status
        cdef size_t workers = 0
        cdef size_t night_count = _count(nights)
        if not (state.shape[0] == _state_count and state.shape[1] == n
                and shocks.shape[0] == steps and shocks.shape[1] == k
                and (night_count == 0 or (night_shocks is not None and night_shocks.shape[0] == night_count
                                          and night_shocks.shape[1] == k))):
            raise ValueError("walk: shapes do not fit")
        if (prices is None) != (variances is None):
            raise ValueError("walk: give prices and variances, or neither")
        if prices is not None and not (prices.shape[0] == steps and prices.shape[1] == n and variances.shape[0] == steps
                                       and variances.shape[1] == n):
            raise ValueError("walk: shapes do not fit")
        if (old_prices is None) != (old_variances is None) or (old_prices is not None and not (
                prices is not None and old_prices.shape[0] == steps and old_prices.shape[1] == n
                and old_variances.shape[0] == steps and old_variances.shape[1] == n)):
            raise ValueError("walk: shapes do not fit")
        if steps == 0:
            return 0
        walk.steps = _steps(first_step, dt, nights, night_dt)
        walk.shocks = _const_rows(shocks)
        walk.night_shocks = _const_rows(night_shocks)
        walk.state = &state[0, 0]
        walk.prices = _rows(prices)
        walk.variances = _rows(variances)
        walk.old_prices = _rows(old_prices)
        walk.old_variances = _rows(old_variances)
        walk.threads = threads
        walk.interruption.asked = must_stop
        walk.interruption.context = NULL if stopping is None else <void*>stopping
        with nogil:
            status = model.walk(walk, &workers)
        check(status)
        return workers

    def may_fail(self, size_t steps, double dt, const double[::1] shock_sums, const double[:, ::1] state):
        """Whether `steps` steps of dt years from `state` (2, N) can leave the range at all; False is certain.

        shock_sums (K,): the sums of the steps' |shocks|.
        """
        cdef HestonModel* model = self._model()
        if not (shock_sums.shape[0] == model.factors() and state.shape[0] == _state_count
                and state.shape[1] == model.instruments()):
            raise ValueError("may_fail: shapes do not fit")
        cdef const double* sums = NULL
        if shock_sums.shape[0]:
            sums = &shock_sums[0]
        return model.may_fail(steps, dt, sums, &state[0, 0])

    cdef HestonModel* _model(self) except NULL:
        if self.model.get() == NULL:
            raise ValueError("Heston: not initialised")
        return self.model.get()
