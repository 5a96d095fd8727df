/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of one shard: what recovery needs besides the journal's tail.
 *
 *   1. plan, on the shard: cut = last durable group. Durable batches that are in no segment yet go into chunks when a
 *      partition has enough of them, else back to the journal's head as carry frames. The state of all changed
 *      partitions is written into a buffer. The group being filled is closed
 *   2. chunk jobs of the plan end
 *   3. sync job: segment files, then folders of new files; then the checkpoint file under a temporary name, synced
 *   4. every group closed at 1 is durable, and so are the carry frames
 *   5. rename job: rename, sync of the folder: from here on the checkpoint counts
 *   6. slots at or below the cut of the checkpoint before are free; files removed two checkpoints ago are deleted
 *
 * A full disk makes the plan start again later; any other error stops the shard. docs/format.md section 5.
 */
#ifndef EL_STORAGE_CHECKPOINT_H
#define EL_STORAGE_CHECKPOINT_H

#include <format/checkpoint_layout.h>
#include <storage/journal.h>

enum checkpoint_state {
    CHECKPOINT_IDLE,
    CHECKPOINT_CHUNKS,  /* waits for the chunks of its plan */
    CHECKPOINT_SYNC,    /* sync job under way */
    CHECKPOINT_DURABLE, /* waits for the journal */
    CHECKPOINT_RENAME,  /* rename job under way */
    CHECKPOINT_RETRY,   /* disk or memory were full; a timer runs */
};

#define PRODUCER_ID_BLOCK 4096   /* ids that one durable frame allows */
#define PRODUCER_COUNTER_BITS 40 /* of an id; those above are drawn at each start */

struct checkpoint_job;

struct checkpoint {
    enum checkpoint_state state;
    uint64_t sequence;      /* of the newest complete one; 0 none */
    uint64_t base_sequence; /* of the base that it builds on */
    uint64_t previous_base; /* of the base before: older files are deleted */
    uint64_t base_len;      /* bytes of the base */
    uint64_t delta_len;     /* bytes of the deltas since */
    uint64_t cut;           /* journal sequence of the newest complete one */
    uint64_t previous_cut;  /* of the one before */
    uint64_t started_ns;
    struct checkpoint_job *memory; /* for jobs, one after the other */
    struct checkpoint_job *job;    /* of the one under way, NULL none */
    uint64_t plan;                 /* counts plans; chunk jobs remember how many there were when they were made */
    uint32_t chunks_left;          /* of the plan under way */
    struct journal_wait wait;
    bool wait_busy;
    bool waited;              /* the journal is durable up to the plan */
    bool wanted;              /* start as soon as possible */
    uint32_t put_off;         /* so often since the last complete one */
    uint64_t carried_through; /* groups up to here may hold what a plan that ended half way has carried */
    bool retry_base;          /* the next one must be a base */
    bool for_memory;          /* CHECKPOINT_RETRY: it was put off for want of memory */
    bool no_carry;            /* memory for carried batches was short: all go into chunks, until one is complete */
    int64_t producer_counter; /* shard 0: ids up to here may have been handed out */
    struct io_op op;
    struct io_timer retry_timer;
};

struct store_shard;
struct part_key;

/* Start one when it is due, wanted or `force`d; go on with the one under way. */
void checkpoint_tick(struct store_shard *shard, bool force);
/* returns 0 | EVLOG_ERR_NO_MEMORY */
int checkpoint_init(struct store_shard *shard);
void checkpoint_free(struct store_shard *shard);
/* Memory has come back: one that was put off for want of it begins at once. */
void checkpoint_hurry(struct store_shard *shard);
static inline bool checkpoint_idle(const struct checkpoint *c)
{
    return c->state == CHECKPOINT_IDLE;
}

/* The chain of checkpoint files that recovery found. */
struct checkpoint_chain {
    struct checkpoint_file {
        uint8_t *data; /* el_malloc */
        size_t len;
        struct el_checkpoint_header header;
    } * files; /* base first, el_malloc */
    uint32_t count;
    uint64_t oldest; /* sequence of the oldest file in the folder */
};
/* Read the newest usable chain of a shard; count 0 when there is none and no file either. Blocking.
 * returns 0 | EVLOG_ERR_CORRUPT both generations are bad | _FORMAT | _IO | _NO_MEMORY */
int checkpoint_chain_load(struct disk *disk, uint32_t shard, struct checkpoint_chain *chain, struct el_error *err);
void checkpoint_chain_free(struct checkpoint_chain *chain);
/* Apply every entry of the chain for which `want` says yes. returns 0 | EVLOG_ERR_CORRUPT | _NO_MEMORY */
int checkpoint_chain_apply(struct store_shard *shard, const struct checkpoint_chain *chain,
                           bool (*want)(const struct part_key *key), struct el_error *err);

#endif
