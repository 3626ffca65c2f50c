#include "simulate/segments.h"

#include <algorithm>
#include <cmath>

#include "random/counters.h"

namespace pseudofeed::simulate {

SegmentedSteps cut(const Steps& steps, const double* shocks, const double* night_shocks, std::size_t factors,
                   std::uint32_t substeps, std::size_t parts, DerivedRows::Use& rows) {
    SegmentedSteps result;
    std::size_t nights = 0;
    const std::size_t most_steps = std::max<std::size_t>(1, segment_substeps / substeps);
    for (std::size_t part = 0; part < parts; ++part) {
        result.part_begins.push_back(result.segments.size());
        const std::size_t end = steps.count * (part + 1) / parts;
        for (std::size_t t = steps.count * part / parts; t < end;) {
            if (steps.night_before(t)) {
                result.segments.push_back({.step = (steps.first + t) | random::night_mark,
                                           .steps = 1,
                                           .begin = 0,
                                           .end = 1,
                                           .dt = steps.night_dt,
                                           .sqrt_dt = std::sqrt(steps.night_dt),
                                           .derived = rows.of(steps.night_dt, 1),
                                           .shocks = night_shocks + nights * factors,
                                           .row = Segment::kept_nowhere});
                ++nights;
            }
            std::size_t count = 1;
            while (t + count < end && steps.length(t + count) == steps.length(t) && !steps.night_before(t + count))
                ++count;
            const double dt = steps.length(t) / static_cast<double>(substeps);
            Segment segment = {.step = 0,
                               .steps = 1,
                               .begin = 0,
                               .end = substeps,
                               .dt = dt,
                               .sqrt_dt = std::sqrt(dt),
                               .derived = rows.of(dt, count * substeps),
                               .shocks = nullptr,
                               .row = 0};
            for (const std::size_t last = t + count; t < last; t += segment.steps) {
                segment.step = steps.first + t;
                segment.steps = std::min(most_steps, last - t);
                segment.shocks = shocks + t * factors;
                segment.row = t;
                for (std::uint32_t begin = 0; begin < substeps; begin = segment.end) {
                    segment.begin = begin;
                    segment.end = static_cast<std::uint32_t>(
                        std::min<std::size_t>(substeps, begin + (segment.steps > 1 ? substeps : segment_substeps)));
                    result.segments.push_back(segment);
                }
            }
        }
    }
    result.part_begins.push_back(result.segments.size());
    return result;
}

}  // namespace pseudofeed::simulate
