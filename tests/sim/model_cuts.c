/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts in the model: each is kept, and one of the same time must divide the log at the same place.
 */
#include "model.h"

#include <core/assert.h>
#include <stdlib.h>

static const struct cut_result *cut_find(const struct model_cut *cut, const struct cut_result *like)
{
    for (uint32_t i = 0; i < cut->count; i++) {
        if (el_uuid_eq(&cut->results[i].topic_id, &like->topic_id) && cut->results[i].partition == like->partition) {
            return &cut->results[i];
        }
    }
    return NULL;
}

static bool is_compacted(const struct model *m, const struct el_uuid *topic_id)
{
    for (uint32_t t = 0; t < m->topic_count; t++) {
        if (el_uuid_eq(&m->topics[t].id, topic_id)) {
            return m->topics[t].compacted;
        }
    }
    return false;
}

static void cut_compare(struct model *m, const struct model_cut *now)
{
    for (uint32_t c = 0; c < m->cut_count; c++) {
        if (m->cuts[c].time_ns != now->time_ns) {
            continue;
        }
        for (uint32_t i = 0; i < now->count; i++) {
            const struct cut_result *a = &now->results[i], *b = cut_find(&m->cuts[c], a);
            int64_t same = b == NULL ? 0 : EL_MAX(b->end_offset, a->log_start_offset);
            bool holes = is_compacted(m, &a->topic_id); /* anywhere in the hole between two events is right */
            if (b != NULL && a->error == 0 && b->error == 0 && a->end_offset != same && !holes) {
                world_violation(m->w, "cut at %llu gave %lld for partition %d, now %lld",
                                (unsigned long long)now->time_ns, (long long)b->end_offset, a->partition,
                                (long long)a->end_offset);
            }
        }
    }
}

static void cut_trace(struct model *m, const struct model_cut *cut)
{
    SIM_TRACE(m->w->trace, "cut", cut->time_ns, cut->count);
    for (uint32_t i = 0; i < cut->count; i++) {
        const struct cut_result *r = &cut->results[i];
        SIM_TRACE(m->w->trace, "cut of", (uint64_t)r->error, (uint64_t)r->end_offset, (uint64_t)r->log_start_offset);
    }
}

void model_see_cut(struct model *m, const struct model_cut *cut)
{
    cut_trace(m, cut);
    cut_compare(m, cut);
    m->cuts[m->cut_count < MODEL_CUTS_MAX ? m->cut_count++ : world_below(m->w, MODEL_CUTS_MAX)] = *cut;
}

bool model_cut_now(struct model *m, uint64_t time_ns)
{
    struct world *w = m->w;
    struct model_cut *cut = calloc(1, sizeof(*cut));
    EL_ASSERT(cut != NULL);
    bool done = false;
    for (uint32_t t = 0; t < m->topic_count; t++) {
        bool asked = m->topics[t].state == TOPIC_THERE && !m->topics[t].memory;
        for (int32_t p = 0; asked && p < m->topics[t].partition_count; p++) {
            cut->results[cut->count].topic_id = m->topics[t].id;
            cut->results[cut->count++].partition = p;
        }
    }
    struct cut_op op = {.base = {.done = model_on_flag, .arg = &done},
                        .time_ns = time_ns,
                        .results = cut->results,
                        .result_count = cut->count};
    store_cut(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &op);
    bool good = world_wait(w, &done);
    if (good && op.base.error == 0) {
        cut->time_ns = op.time_ns;
        model_see_cut(m, cut);
    }
    free(cut);
    return good;
}
