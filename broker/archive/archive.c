/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive of a broker as a whole: made before the threads of the shards, taken down after them.
 */
#include <archive/archiver_state.h>

#include <core/alloc.h>

void archive_config_init(struct archive_config *cfg)
{
    *cfg = (struct archive_config){.lag_ms = 60000,
                                   .segment_len = 16u << 20,
                                   .segment_ms = 86400000,
                                   .replaced_ms = 7 * 86400000ull,
                                   .orphan_ms = 86400000,
                                   .sweep_ms = 3600000,
                                   .ages_ms = 60000,
                                   .sweep_names = 10000,
                                   .full_every = EL_MANIFEST_CHAIN_MAX,
                                   .hold_ms = 10000,
                                   .heals = true,
                                   .silent_ms = 240000,
                                   .memory_max = UINT64_MAX};
}

int archive_create(const struct archive_config *cfg, struct store *store, struct archive **archive,
                   struct el_error *err)
{
    struct archive *a = el_calloc(1, sizeof *a);
    EL_ASSERT(cfg->key_count > 0);
    if (a == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory for the archive");
    }
    a->cfg = *cfg;
    a->store = store;
    a->made_ns = el_clock_now(store_clock(store));
    a->shard_count = store_shard_count(store);
    a->shards = el_calloc(a->shard_count, sizeof *a->shards);
    struct el_uuid cluster = store_cluster_uuid(store);
    int code = a->shards == NULL ? EVLOG_ERR_NO_MEMORY
                                 : archive_ledger_create(cfg, &cluster, a->shard_count, &a->ledger);
    if (code != 0) {
        el_free(a->shards);
        el_free(a);
        return el_error_set(err, code, "out of memory for the archive");
    }
    pthread_mutex_init(&a->fail_lock, NULL);
    archive_root_init(a);
    for (uint32_t i = 0; i < a->shard_count; i++) {
        archiver_init(a, i);
    }
    a->io = a->shards[0].io;
    a->metrics = a->shards[0].metrics;
    *archive = a;
    return 0;
}

void archive_destroy(struct archive *archive)
{
    if (archive == NULL) {
        return;
    }
    bool idle = true;
    for (uint32_t i = 0; i < archive->shard_count; i++) {
        idle = idle && archiver_idle(&archive->shards[i]);
    }
    io_timer_cancel(archive->io, &archive->timer); /* after a crash they may be armed */
    io_timer_cancel(archive->io, &archive->deadline);
    for (uint32_t i = 0; i < archive->shard_count; i++) {
        struct archiver *ar = &archive->shards[i];
        archiver_timers_cancel(ar);
        if (idle) {
            EL_ASSERT(ar->results == NULL); /* the last round's went into a manifest, or were dropped */
            archiver_destroy(ar);
        }
        archive_results_free(ar->results);
        archive_cold_free(ar->cold_job.cold);
        for (uint32_t k = 0; k < LOADS; k++) {
            archive_result_free(ar->loads[k].pack.result);
        }
        archive_results_free(archive->make.results[i]);
    }
    archive_ledger_destroy(archive->ledger);
    pthread_mutex_destroy(&archive->fail_lock);
    el_free(archive->shards);
    el_free(archive);
}

struct archiver *archive_shard(struct archive *archive, uint32_t index)
{
    EL_ASSERT(index < archive->shard_count);
    return &archive->shards[index];
}
