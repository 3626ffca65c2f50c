// Cuts a call's steps into segments (heston_kernel.h): runs of steps of one length, and nights. A step with very many
// substeps becomes several segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simulate/derived_rows.h"
#include "simulate/heston_kernel.h"
#include "simulate/steps.h"

namespace pseudofeed::simulate {

// Most substeps of a segment: some 5 to 20 ms for a tile. After a segment of this size a thread checks whether the walk
// was interrupted.
constexpr std::size_t segment_substeps = 8192;

struct SegmentedSteps {
    std::vector<Segment> segments;
    std::vector<std::size_t> part_begins;  // (parts + 1): the segments of each part
};

// Cuts the steps into `parts` parts (tasks.h) of about equal length, and the parts into segments. parts: at most the
// number of steps.
// shocks, night_shocks: as in HestonWalk. May throw std::bad_alloc.
SegmentedSteps cut(const Steps& steps, const double* shocks, const double* night_shocks, std::size_t factors,
                   std::uint32_t substeps, std::size_t parts, DerivedRows::Use& rows);

}  // namespace pseudofeed::simulate
