// The one status type of the native core. A function that can fail returns it; `_status.pyx` translates it to a Python
// exception in one place. It owns its text and allocates nothing, so it works when memory has run out.
#pragma once

#include <cstdarg>
#include <cstdio>

namespace pseudofeed {

enum class Code : int {
    ok = 0,
    invalid_argument,  // the caller's mistake                          -> ValueError
    not_finite,        // a path left its range                         -> SimulationError
    malformed,         // bytes that are not what they claim to be      -> MalformedMessage
    unavailable,       // a library or a function of it is missing      -> LibraryError
    publish_failed,    // librdkafka gave a message up                  -> PublishError
    out_of_memory,     //                                               -> MemoryError
    bad_setting,       // an environment variable                       -> SettingsError
    interrupted,       // by the caller, who knows why                  -> what the caller has raised
};

struct [[nodiscard]] Status {
    Code code = Code::ok;
    char message[256];

    // Not all of the text is zeroed: a decoder of single ticks makes several of these a tick.
    Status() { message[0] = 0; }

    bool ok() const { return code == Code::ok; }
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
inline Status failure(Code code, const char* format, ...) {
    Status status;
    status.code = code;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(status.message, sizeof status.message, format, arguments);
    va_end(arguments);
    return status;
}

}  // namespace pseudofeed
