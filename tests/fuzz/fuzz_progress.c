/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions of subscriptions: any word is refused, or is the one word of what it stands for, which rises by partition
 * and is equal to itself.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <wire/progress.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_progress progress;
    enum el_progress_order order;
    int rc = el_progress_parse(el_slice_of(data, len), &progress);
    if (rc != 0) {
        EL_ASSERT(rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_FORMAT || rc == EVLOG_ERR_NO_MEMORY);
        return 0;
    }
    for (uint32_t i = 0; i < progress.count; i++) {
        EL_ASSERT(progress.entries[i].offset >= 0);
        EL_ASSERT(progress.entries[i].leader_epoch >= -1);
        EL_ASSERT(i == 0 || progress.entries[i].partition > progress.entries[i - 1].partition);
        EL_ASSERT(el_progress_find(&progress, progress.entries[i].partition) == &progress.entries[i]);
    }
    if (progress.count > 0) {
        EL_ASSERT(el_progress_compare(&progress, &progress, &order) == 0);
        EL_ASSERT(order == EL_PROGRESS_EQUAL);
    }
    if (data[0] != 'A' || data[1] != 'Q') { /* not the word of a single position */
        struct el_buffer again = {0};
        el_progress_format(&again, &progress);
        EL_ASSERT(again.err != 0 || el_slice_eq(el_buffer_slice(&again), el_slice_of(data, len)));
        el_buffer_free(&again);
    }
    el_progress_free(&progress);
    return 0;
}
