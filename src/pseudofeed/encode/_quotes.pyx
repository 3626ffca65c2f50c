# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Newest quotes as the cache's script takes them: the border to csrc/encode/quotes.h."""

import json

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass string_view:
        string_view()
        string_view(const char* data, size_t size)

cdef extern from "encode/quotes.h" namespace "pseudofeed::encode" nogil:
    size_t quote_texts
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
        const double* open
        const double* high
        const double* low
    cppclass EncodedQuotes:
        string texts
        string json
    EncodedQuotes encode_quotes(const QuoteColumns& columns, const vector[string]& symbols,
                                const vector[Opening]& openings, const int64_t* instruments, size_t count) except +

QUOTE_TEXTS = quote_texts


cdef class QuoteEncoder:
    """Quotes of a market with these symbols, N of them."""

    cdef vector[string] symbols

    def __init__(self, symbols):
        for symbol in symbols:
            self.symbols.push_back(json.dumps(symbol, ensure_ascii=False).encode())

    def encode(self, const int64_t[::1] instruments not None, *, const int64_t[::1] sequence not None,
               const int64_t[::1] time not None, const double[::1] price not None, const double[::1] variance not None,
               const int64_t[::1] first not None,
               const uint8_t[::1] known not None, dict openings not None, const double[::1] open not None,
               const double[::1] high not None, const double[::1] low not None):
        """The quotes of `instruments` (n,) from columns (N,) each: as MessagePack, an array of QUOTE_TEXTS texts a quote; and
        as JSON, a comma between two.

        The texts are sequence, time, time_ns, price, variance, session, open, high, low, and the length of the JSON. first: the first
        step of the quote's session, and openings: its opening as a text of at most 64 bytes, by that step. known: 0 or 1;
        where it is 0, session, open, high and low are "-".
        """
        cdef size_t n = self.symbols.size()
        cdef Py_ssize_t i
        cdef Opening opening
        cdef vector[Opening] texts
        cdef EncodedQuotes out
        cdef QuoteColumns columns
        if not (<size_t> sequence.shape[0] == n == time.shape[0] == price.shape[0] == variance.shape[0] == first.shape[0]
                == known.shape[0] == open.shape[0] == high.shape[0] == low.shape[0]):
            raise ValueError(f"columns must have the length {n}")
        held = {step: text.encode("ascii") for step, text in openings.items()}
        for step, text in held.items():
            if len(text) > 64:
                raise ValueError(f"openings[{step}] has {len(text)} bytes; at most 64 are allowed")
            opening.first = step
            opening.text = string_view(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            texts.push_back(opening)
        for i in range(instruments.shape[0]):
            if not 0 <= instruments[i] < <int64_t> n:
                raise ValueError(f"instruments[{i}] is {instruments[i]}; there are {n}")
        if n == 0 or instruments.shape[0] == 0:
            return b"\x90", b""
        columns.sequence = &sequence[0]
        columns.time = &time[0]
        columns.price = &price[0]
        columns.variance = &variance[0]
        columns.first = &first[0]
        columns.known = &known[0]
        columns.open = &open[0]
        columns.high = &high[0]
        columns.low = &low[0]
        with nogil:
            out = encode_quotes(columns, self.symbols, texts, &instruments[0], instruments.shape[0])
        return (PyBytes_FromStringAndSize(out.texts.data(), out.texts.size()),
                PyBytes_FromStringAndSize(out.json.data(), out.json.size()))
