#include "simulate/derived_rows.h"

#include <algorithm>

namespace pseudofeed::simulate {

bool DerivedRows::came_lately(double dt) const {
    return std::find(lately_.begin(), lately_.end(), dt) != lately_.end();
}

const double* DerivedRows::Use::of(double dt, std::size_t steps) {
    for (std::size_t i = 0; i < held_count_; ++i) {
        if (held_[i].dt == dt) return held_[i].rows.get();
    }
    if (held_count_ == most_kept) return nullptr;
    Entry* entry = std::find_if(rows_.kept_.begin(), rows_.kept_.end(),
                                [dt](const Entry& one) { return one.rows != nullptr && one.dt == dt; });
    if (entry == rows_.kept_.end()) {
        if (steps < 2 && !rows_.came_lately(dt)) {
            rows_.lately_[rows_.next_lately_++ % rows_.lately_.size()] = dt;
            return nullptr;
        }
        std::shared_ptr<double[]> made(aligned_zeros<double>(row_count_ * stride_));
        derive_(constants_, stride_, instruments_, dt, made.get());
        // In the place of the one that was used longest ago: never of one that this call holds, for it holds fewer than
        // there are, each used later than all others.
        entry = std::min_element(rows_.kept_.begin(), rows_.kept_.end(),
                                 [](const Entry& a, const Entry& b) { return a.used < b.used; });
        entry->dt = dt;
        entry->rows = std::move(made);
    }
    entry->used = ++rows_.clock_;
    held_[held_count_++] = {dt, entry->rows};
    return entry->rows.get();
}

}  // namespace pseudofeed::simulate
