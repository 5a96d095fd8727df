/* SPDX-License-Identifier: Apache-2.0
 *
 * Somebody who watches the appends of some partitions, those of topics with evlog.streams=true, and has a say in them:
 * the stream index. Storage calls the functions of struct store_observer on the thread of the shard that owns the
 * partition; it knows nothing of what they do.
 *
 *   1. an append that storage would take is shown to admit() first, with the offset that it will get. It may be let
 *      through, held, answered as a duplicate, or refused
 *   2. a held append waits at its partition, and later ones of the partition behind it, until store_observed_resume()
 *   3. what was let through and then found no room after all is taken back by undo(); it comes to admit() again
 *   4. ended() is called once for each append that admit() has seen, before it is answered or waits for the disk
 *
 * The log start never passes floor(). Who wants it above has it raised first: raise().
 */
#ifndef EL_STORAGE_OBSERVER_H
#define EL_STORAGE_OBSERVER_H

#include <storage/journal.h>
#include <storage/store.h>

struct partition;

enum store_admission {
    STORE_ADMITTED = 0,
    STORE_HELD = 1,    /* try again after store_observed_resume() */
    STORE_ANSWERED = 2 /* stored before: base_offset is filled. For an idempotent producer a batch without records is
                        * appended, which keeps its sequence: the next offset moves before ended() */
};

struct store_observer {
    /* May this append be taken? It would get part's next offset. EVLOG_ERR_NO_MEMORY: it is tried again. For
     * STORE_ANSWERED and a refusal op->sequence is the journal group that must be durable before anybody is told, 0
     * none.
     * returns enum store_admission | EVLOG_ERR_... */
    int (*admit)(void *arg, struct partition *part, struct append_op *op);
    void (*undo)(void *arg, struct partition *part, struct append_op *op);
    /* error: what it ends with. part is NULL when the partition was deleted. */
    void (*ended)(void *arg, struct partition *part, struct append_op *op, int error);
    /* The partition is gone, with what *store_observed_state() names. */
    void (*deleted)(void *arg, struct partition *part);
    /* The log start may move up to here. */
    int64_t (*floor)(void *arg, struct partition *part);
    /* Somebody wants the log start at offset: raise the floor so far, and call store_observed_floor() then, also when
     * that failed, but not from inside this call. May be called again while it is under way.
     * returns 0 | EVLOG_ERR_NO_MEMORY nobody will be told */
    int (*raise)(void *arg, struct partition *part, int64_t offset);
    void *arg;
};

/* Before the shard runs; observer is borrowed until the store is closed. */
void store_observe(struct store_shard *shard, const struct store_observer *observer);

/* --- what the observer may ask and do, on the owner's thread ------------------------------------------------------ */

/* The observed partition that this shard owns, or NULL. */
struct partition *store_observed_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t number);
const struct el_uuid *store_observed_topic(const struct partition *part);
int32_t store_observed_number(const struct partition *part);
/* Its settings: those of the topic, on top of the shard's defaults. */
int64_t store_observed_setting(const struct partition *part, enum topic_setting_id id);
int64_t store_observed_log_start(const struct partition *part);
int64_t store_observed_next_offset(const struct partition *part);
int64_t store_observed_high_watermark(const struct partition *part);
/* The archive decides what is shown, and has not said yet how far that goes: what is asked is EVLOG_ERR_ARCHIVE. */
bool store_observed_settling(const struct partition *part);
/* A word of the observer's own, NULL at first. */
void **store_observed_state(struct partition *part);
/* Held appends may be tried again; soon, not from inside the call. */
void store_observed_resume(struct partition *part);
/* Trims that wait for the floor may be tried again. error 0, or what they end with. */
void store_observed_floor(struct partition *part, int error);
/* Tell when everything that was added to the shard's journal so far is durable; maybe at once, from inside. */
void store_when_durable(struct store_shard *shard, struct journal_wait *wait);
/* Journal group that carries what was appended last; durable when store_durable_sequence() has come to it. */
uint64_t store_last_sequence(const struct store_shard *shard);
/* A failure of the observer's own that people should see: NULL none; static text. store_not_ready_reason() tells it. */
void store_observer_failed(struct store_shard *shard, const char *reason);

#endif
