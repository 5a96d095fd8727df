/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger and the shards' readers lie on the heap. What they take is charged to the memory of the shards, so that
 * all of it stays within memory.max: blocks are taken from the buddies and not touched, the ledger's by all shards
 * alike, a reader's by its own.
 *
 *   1. a job that ends says how much it keeps; a shard that gets an order, or an answer, takes or gives back blocks
 *   2. when a root was told: is the ledger, and a reader of its size on each shard, more than cfg.memory_max, or had a
 *      shard no block? Then nothing new is archived, which would make it larger. Rounds go on: what has left by age,
 *      what is removed, and segments that become one make it smaller. So it is where a full manifest would be longer
 *      than one may be: without this limit a round would make it, and archiving would end for good
 *   3. a reader that nobody has used for READER_IDLE_NS is closed
 *
 * What is not archived stays on this disk, is counted as pending, and makes the archive late.
 */
#include <archive/archive_cold.h>
#include <archive/archive_ledger_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

#define CHARGE_LEN_MIN (64u << 10)
#define CHARGE_LEN_MAX (4u << 20)
#define READER_IDLE_NS 300000000000u
/* What is left is for what is on its way, and for segments that take the place of others. */
#define MANIFEST_LEN_ENOUGH (EL_MANIFEST_LEN_MAX / 16 * 15)

EL_STATIC_ASSERT(CHARGE_LEN_MIN >= sizeof(struct el_list), "the link lies in the block");

/* --- how much ----------------------------------------------------------------------------------------------------- */

uint64_t archive_ledger_memory(const struct archive_ledger *l)
{
    /* The next full manifest is not kept, but room for it is. */
    uint64_t full_len = l->state == NULL ? 0 : archive_state_full_len(l->state);
    uint64_t len = sizeof *l + l->cluster_json.cap + EL_MAX(l->manifest.cap, full_len) + l->note.cap;
    len += l->state == NULL ? 0 : archive_state_memory(l->state);
    len += l->draft == NULL ? 0 : archive_state_memory(l->draft);
    len += l->before_count * sizeof *l->before + l->age_max * sizeof *l->ages;
    len += l->inherited_count * sizeof *l->inherited + l->told.part_count * sizeof *l->told.parts;
    return len;
}

uint64_t archive_cold_memory(const struct archive_cold *cold)
{
    if (cold == NULL) {
        return 0;
    }
    uint64_t len = sizeof *cold + (cold->reader == NULL ? 0 : archive_reader_memory(cold->reader));
    for (uint32_t i = 0; i < COLD_SLOTS; i++) {
        const struct archive_batches *b = &cold->slots[i].batches;
        len += b->data_max + b->row_max * sizeof *b->rows;
    }
    return len;
}

/* --- charging ----------------------------------------------------------------------------------------------------- */

static void charge_drop(struct archiver *ar)
{
    struct el_list *block = el_list_pop_front(&ar->charges);
    EL_ASSERT(block != NULL);
    EL_ASSERT(ar->charged_len >= el_buddy_block_len(ar->buddy, block));
    ar->charged_len -= el_buddy_block_len(ar->buddy, block);
    el_buddy_free(ar->buddy, block);
}

/* returns false: there is no memory for all of it */
static bool charge(struct archiver *ar, uint64_t memory_len)
{
    uint64_t len = EL_ALIGN_UP(memory_len, (uint64_t)CHARGE_LEN_MIN);
    while (ar->charged_len > len) { /* what is too much of a block comes back in smaller ones */
        charge_drop(ar);
    }
    uint64_t piece = CHARGE_LEN_MAX;
    while (ar->charged_len < len) {
        while (piece > CHARGE_LEN_MIN && piece > len - ar->charged_len) {
            piece /= 2;
        }
        struct el_list *block = el_buddy_alloc(ar->buddy, piece);
        if (block == NULL && piece == CHARGE_LEN_MIN) {
            return false;
        }
        if (block == NULL) {
            piece /= 2;
            continue;
        }
        el_list_init(block);
        el_list_push_front(&ar->charges, block);
        ar->charged_len += el_buddy_block_len(ar->buddy, block);
    }
    return true;
}

void archive_memory_charge(struct archiver *ar)
{
    uint64_t len = ar->ledger_share + ar->cold_len;
    ar->uncharged = !charge(ar, len);
    metrics_set(ar->metrics, METRIC_ARCHIVE_MEMORY, (int64_t)len);
}

void archive_memory_release(struct archiver *ar)
{
    while (!el_list_empty(&ar->charges)) {
        charge_drop(ar);
    }
    EL_ASSERT(ar->charged_len == 0);
}

void archive_memory_idle(struct archiver *ar)
{
    if (ar->cold_job.cold != NULL && ar->cold_job.read == NULL && ar->io->now_ns > ar->cold_ns + READER_IDLE_NS) {
        archive_cold_forget(ar);
        ar->cold_len = 0;
        archive_memory_charge(ar);
    }
}

/* --- the limit ---------------------------------------------------------------------------------------------------- */

/* Why nothing new can be archived, and what to do; NULL: it can. */
static const char *full_reason(const struct archive *a)
{
    for (uint32_t i = 0; i < a->shard_count; i++) {
        if (a->shards[i].uncharged) {
            return "and there is no memory left for that: raise memory.max";
        }
    }
    if (a->ledger_len * (1 + a->shard_count) > a->cfg.memory_max) {
        return "more than archive.memory.max: raise archive.memory.max";
    }
    return a->manifest_len <= MANIFEST_LEN_ENOUGH
               ? NULL
               : "and a manifest of it is nearly as long as one may be: raise archive.segment.bytes";
}

void archive_memory_look(struct archive *a)
{
    uint64_t len = a->ledger_len * (1 + a->shard_count);
    const char *reason = full_reason(a);
    bool full = reason != NULL;
    if (full && !atomic_load(&a->full)) {
        snprintf(a->full_text, sizeof a->full_text,
                 "nothing new is archived, and stays on this disk: to know what the archive has takes %" PRIu64
                 " bytes, %s and start evlogd anew",
                 len, reason);
        el_log(EL_LOG_ERROR, "archive", "%s", a->full_text);
    } else if (!full && atomic_load(&a->full)) {
        el_log(EL_LOG_INFO, "archive", "archiving goes on: what it has to know takes %" PRIu64 " bytes", len);
    }
    atomic_store(&a->full, full);
    metrics_set(a->metrics, METRIC_ARCHIVE_FULL, full);
}

bool archive_full(const struct archive *archive, char *text, size_t text_len)
{
    if (!atomic_load(&archive->full)) {
        return false;
    }
    snprintf(text, text_len, "nothing new is archived: evlog archive status says what to raise");
    return true;
}
