# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Newest quotes: encoded for the cache's script, and decoded when they are read back. Bindings to csrc/encode/quotes.h.
"""

import json

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize, PyBytes_Size
from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "Python.h":
    PyObject* PyList_GetItem(object texts, Py_ssize_t at)  # borrowed
    bint PyUnicode_CheckExact(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "<string_view>" namespace "std" nogil:
    cppclass string_view:
        string_view()
        string_view(const char* data, size_t size)

cdef extern from "encode/quotes.h" namespace "pseudofeed::encode" nogil:
    cppclass Opening:
        int64_t first
        string_view text
    cppclass QuoteColumns:
        const int64_t* sequence
        const int64_t* time
        const double* price
        const double* variance
        const int64_t* first
        const uint8_t* known
        const uint8_t* in_part
        const double* open
        const double* high
        const double* low
    cppclass EncodedQuotes:
        string packed
        string json
    EncodedQuotes encode_quotes(const QuoteColumns& columns, const vector[string]& symbols,
                                const vector[Opening]& openings, const int64_t* instruments, size_t count) except +
    size_t quote_integers
    size_t quote_doubles
    bint decode_quote(const string_view* texts, int64_t* integers, double* doubles, size_t stride)


cdef class QuoteEncoder:
    """Quotes of a market with N instruments, from columns (N,) that their owner updates.

    first: the first step of the quote's session. known: 0 or 1; 0 means that session, open, high and low are not
    known. in_part: 0 or 1; 1 means that they are not sent again. Raises ValueError if the lengths differ.
    """

    cdef vector[string] symbols
    cdef QuoteColumns columns
    cdef object _held  # keeps the columns' memory

    def __init__(self, symbols, *, const int64_t[::1] sequence not None, const int64_t[::1] time not None,
                 const double[::1] price not None, const double[::1] variance not None,
                 const int64_t[::1] first not None, const uint8_t[::1] known not None,
                 const uint8_t[::1] in_part not None, const double[::1] open not None,
                 const double[::1] high not None, const double[::1] low not None):
        for symbol in symbols:
            self.symbols.push_back(json.dumps(symbol, ensure_ascii=False).encode())
        cdef size_t n = self.symbols.size()
        if not (<size_t> sequence.shape[0] == n == time.shape[0] == price.shape[0] == variance.shape[0]
                == first.shape[0] == known.shape[0] == in_part.shape[0] == open.shape[0] == high.shape[0]
                == low.shape[0]):
            raise ValueError(f"columns must have the length {n}")
        self._held = (sequence, time, price, variance, first, known, in_part, open, high, low)
        if n == 0:
            return
        self.columns.sequence = &sequence[0]
        self.columns.time = &time[0]
        self.columns.price = &price[0]
        self.columns.variance = &variance[0]
        self.columns.first = &first[0]
        self.columns.known = &known[0]
        self.columns.in_part = &in_part[0]
        self.columns.open = &open[0]
        self.columns.high = &high[0]
        self.columns.low = &low[0]

    def encode(self, const int64_t[::1] instruments not None, dict openings not None):
        """The quotes of `instruments` (n,): as one MessagePack array, as csrc/encode/quotes.h has it; and as JSON, a
        comma between two.

        openings: of each session, by its first step, when it opens, as an ASCII text of at most 64 bytes; what has none
        there is not known. Raises ValueError.
        """
        cdef size_t n = self.symbols.size()
        cdef Py_ssize_t i
        cdef Opening opening
        cdef vector[Opening] texts
        cdef EncodedQuotes out
        held = {step: text.encode("ascii") for step, text in openings.items()}
        for step, text in held.items():
            if len(text) > 64:
                raise ValueError(f"openings[{step}] has {len(text)} bytes; at most 64 are allowed")
            opening.first = step
            opening.text = string_view(PyBytes_AsString(text), PyBytes_Size(text))
            texts.push_back(opening)
        for i in range(instruments.shape[0]):
            if not 0 <= instruments[i] < <int64_t> n:
                raise ValueError(f"instruments[{i}] is {instruments[i]}; there are {n}")
        if instruments.shape[0] == 0:
            return b"\x90", b""
        with nogil:
            out = encode_quotes(self.columns, self.symbols, texts, &instruments[0], instruments.shape[0])
        return (PyBytes_FromStringAndSize(out.packed.data(), out.packed.size()),
                PyBytes_FromStringAndSize(out.json.data(), out.json.size()))


def decode_quotes(list answers not None, int64_t[:, ::1] integers not None, double[:, ::1] doubles not None):
    """Parse answers of Redis, each a list of the texts of a quote. Fills an array (3, n) with epoch, sequence and time,
    integers from 0 on, and an array (5, n) with price, variance, open, high and low, which are finite; the last three
    are NaN if they are None. Returns false if an answer is something else; the arrays are then undefined."""
    cdef Py_ssize_t n = len(answers), i, j, size
    cdef string_view texts[8]
    cdef object answer
    cdef PyObject* text
    cdef const char* data
    if (<size_t> integers.shape[0], <size_t> doubles.shape[0]) != (quote_integers, quote_doubles):
        raise ValueError("integers must have 3 rows and doubles 5")
    if not integers.shape[1] == doubles.shape[1] == n:
        raise ValueError(f"there are {n} answers, {integers.shape[1]} integers and {doubles.shape[1]} doubles")
    for i in range(n):
        answer = answers[i]
        if type(answer) is not list or len(<list> answer) != 8:
            return False
        for j in range(8):
            text = PyList_GetItem(answer, j)
            if text is <PyObject*> None:
                texts[j] = string_view()
                continue
            if not PyUnicode_CheckExact(<object> text):
                return False
            data = PyUnicode_AsUTF8AndSize(<object> text, &size)
            texts[j] = string_view(data, size)
        if not decode_quote(texts, &integers[0, i], &doubles[0, i], n):
            return False
    return True
