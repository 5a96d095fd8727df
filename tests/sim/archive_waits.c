/* SPDX-License-Identifier: Apache-2.0 */
#include "archive_waits.h"

#include <storage/tier.h>

#define SOON_NS 3000000000u /* it looks once a second */

/* The first partition that is behind now. */
static void choose(struct world *w, struct store_shard *shard, struct archive_waits *waits)
{
    struct tier_view view;
    size_t cursor = 0;
    waits->end = 0;
    for (struct partition *part; waits->end == 0 && (part = store_tier_next(shard, &cursor)) != NULL;) {
        store_tier_view(part, &view);
        if (EL_MAX(view.archived_end, view.log_start) < view.durable_end) {
            *waits = (struct archive_waits){.topic_id = view.topic_id,
                                            .partition = view.partition,
                                            .end = view.durable_end,
                                            .since_ns = w->clock.now_ns};
        }
    }
}

void archive_waits_check(struct world *w, uint32_t index, struct archive_waits *waits)
{
    struct store_shard *shard = store_shard_at(w->store, index);
    struct partition *part = waits->end == 0 ? NULL : store_tier_find(shard, &waits->topic_id, waits->partition);
    struct tier_view view;
    if (part == NULL) {
        choose(w, shard, waits);
        return;
    }
    store_tier_view(part, &view);
    if (EL_MAX(view.archived_end, view.log_start) >= waits->end) {
        choose(w, shard, waits);
    } else if (w->clock.now_ns > waits->since_ns + SOON_NS &&
               metrics_get(store_shard_metrics(shard), METRIC_ARCHIVE_PENDING) == 0) {
        world_violation(w, "nothing is pending, says shard %u, and partition %d is archived to %lld of %lld", index,
                        view.partition, (long long)view.archived_end, (long long)waits->end);
    }
}
