// What both halves of the simulation, factors and instruments, are told about the time that they walk through.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::simulate {

// Consecutive steps, and the nights before some of them. Borrows all pointers. A night is one step of the scheme, with
// draws of its own, whose effect comes out in the step behind it.
struct Steps {
    std::uint64_t first;
    std::size_t count;
    const double* dt;            // (count): the length of each step, in years, > 0
    const std::uint8_t* nights;  // (count): 1 where a night precedes the step, else 0; or null: no nights
    double night_dt;             // the length of a night, in years; > 0 where there are any
    std::size_t dt_stride = 1;   // or 0, where dt is one number for all steps

    double length(std::size_t step) const { return dt[step * dt_stride]; }

    bool night_before(std::size_t step) const { return nights != nullptr && nights[step] != 0; }
};

// How a caller ends a walk: the thread that called asks about every 50 ms, and the walk ends where the answer is true.
struct Interruption {
    bool (*asked)(void* context) = nullptr;
    void* context = nullptr;
};

}  // namespace pseudofeed::simulate
