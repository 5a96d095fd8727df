/* SPDX-License-Identifier: Apache-2.0
 *
 * A seed of the archive mode: the node, what was sent and acknowledged, and what is done and looked at.
 *
 *   archive_main.c   the node, its clients and its lives
 *   archive_acts.c   operators and readers
 *   archive_looks.c  what must hold
 *   archive_bundles.c, archive_redacts.c  the same, of bundles and of redactions
 *   archive_disks.c  older disks, copies of disks, restored ones
 */
#ifndef EL_SIM_ARCHIVE_LIFE_H
#define EL_SIM_ARCHIVE_LIFE_H

#include "archive_bucket.h"
#include "archive_waits.h"
#include "boot.h"
#include <archive/archive.h>
#include <format/redaction.h>
#include <redact/redactor.h>
#include <storage/tier.h>

#define TOPICS_MAX 4u
#define PARTITIONS_MAX 3
#define CLIENTS_MAX 6u
#define BATCH_RECORDS_MAX 4u
#define VALUE_MAX 3000u
#define BUF_LEN 16384u
#define LIFE_KEYS 6u  /* of records in compacted topics */
#define LIFE_PAIRS 3u /* of keys that sign, in the order in which they are taken into use */

struct acked {
    int64_t offset;
    uint64_t first_number; /* of its events, which are numbered one by one: arch_value() begins their values */
    uint32_t crc;          /* of the batch */
    uint32_t count;        /* of records */
    uint64_t append_time_ns;
    uint32_t key; /* in a compacted topic, whose batches have one record */
};

#define LIFE_GONE_MAX 24u
#define LIFE_REASON "a secret" /* of every redaction */
/* Somebody asked to redact it. */
struct life_gone {
    int64_t first, end;
    bool accepted; /* and was told that it is ... */
    uint32_t life; /* ... in this life of the store */
    bool complete; /* and was told that it is */
};

struct life_part {
    struct life_gone gone[LIFE_GONE_MAX]; /* [gone_count] */
    uint32_t gone_count;
    struct acked *acked; /* [acked_count] */
    uint32_t acked_count, acked_room;
    uint32_t before; /* of those, before an older disk took some */
    int64_t trimmed; /* operators asked to delete what is below */
};

struct life_topic {
    struct el_uuid id;
    bool there;
    bool awaited; /* evlog.durability=store or both */
    bool compacted;
    int32_t partition_count;
    int64_t retention_ms;    /* of the archive; -1 for ever */
    int64_t retention_bytes; /* of the log; -1 all */
    struct life_part parts[PARTITIONS_MAX];
};

struct archive_life;
struct client {
    struct archive_life *l;
    struct append_op op;
    uint8_t buf[BUF_LEN];
    uint32_t len, topic, key;
    uint64_t first_number;
    bool busy;
    bool late; /* sent when it was known that archiving has ended */
};

struct archive_life {
    struct plan plan;
    struct world w;
    struct boot boot;
    struct bucket bucket_own, *bucket;
    struct el_private_key *keys[LIFE_PAIRS];
    size_t key_first, key_end; /* of those, which are in use */
    struct archive *archive;   /* NULL while down */
    struct redactor *redactor; /* the same */
    struct archive_config cfg;
    struct life_topic topics[TOPICS_MAX];
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
    uint64_t names, acks, awaited_acks, numbers;
    bool serving, stopping_store;
    bool unanswered; /* appends were under way when the node had stopped */
    bool trims, deletes, redacts;
    struct archive_waits waits[EL_SHARD_COUNT_MAX]; /* of each shard one */
    bool redacted_since;                            /* an older disk was refused for that */
    bool strays;                                    /* this disk is not the archive's any more, or may not be */
    bool ended;                                     /* and everybody has been told */
    bool full;             /* nothing new was archived when that was looked for, for want of memory ... */
    uint64_t full_bundles; /* ... and so many bundles were there */
    uint64_t lives, steps_longest;
    int64_t log_starts[TOPICS_MAX][PARTITIONS_MAX]; /* before the last round */
    uint64_t sweeps;                                /* for orphans, in this life, as of the last question */
    struct sim_disk *older;                         /* a copy of the disk; NULL none */
    uint64_t older_sequence;                        /* of the last root then */
};

/* --- operators and readers: false when the machine crashed -------------------------------------------------------- */

struct store_shard *arch_ask(struct archive_life *l, struct store_op *op);
int arch_told(struct archive_life *l, const struct store_op *op);
bool arch_topic_make(struct archive_life *l, uint32_t index);
bool arch_topic_delete(struct archive_life *l, uint32_t index);
bool arch_topic_grow(struct archive_life *l, uint32_t index);
bool arch_trim(struct archive_life *l, uint32_t index);
/* Some partitions lose all that is shown, archived or not. */
bool arch_trim_whole(struct archive_life *l);
bool arch_now(struct archive_life *l, bool wait, bool seal, int *code);
/* Nobody sends anything any more, and all have their answers. */
bool arch_clients_rest(struct archive_life *l);
/* -1: crashed, or not there */
int64_t arch_log_start(struct archive_life *l, const struct life_topic *t, int32_t partition);
/* Somebody reads from anywhere, also what only the archive has. */
bool arch_read(struct archive_life *l, uint32_t index);
/* Somebody asks where a time is. */
bool arch_lookup(struct archive_life *l, uint32_t index);
/* Every log from its start to its end; nothing may fail for long. */
void arch_read_all(struct archive_life *l);
/* What has left the disk can be read, whatever became of archiving. */
void arch_read_left(struct archive_life *l);

/* --- looks -------------------------------------------------------------------------------------------------------- */

/* Nothing left the disk that the archive does not have, unless an operator wanted it. */
void arch_check_floors(struct archive_life *l);
/* Nothing new is archived without memory. To be asked while the archive is up, and at its start. */
void arch_check_full(struct archive_life *l);
/* What no root names does not stay for ever. Faults are off. */
void arch_check_orphans(struct archive_life *l);
/* Logs begin where there are events, on the disk or in the archive. Faults are off. */
void arch_check_starts(struct archive_life *l);
/* Acknowledged batches are in the archive as they were sent, but those that were deleted before. */
void arch_compare_topics(struct archive_life *l);
/* Everything acknowledged with an append time up to this one is in the archive. */
void arch_check_whole(struct archive_life *l, uint64_t through_ns);
/* What the disk still has is what the archive has; whole: and it has all of it. */
void arch_compare_logs(struct archive_life *l, bool whole);

/* What is in bundles does not stay there for ever, nor does what nobody needs. Faults are off; time goes on. */
void arch_check_bundles(struct archive_life *l);

/* --- disks, at the end of a seed; the store is up before and down after them -------------------------------------- */

/* Between two lives: keep a copy of the disk, for arch_older_disk(). */
void arch_keep_disk(struct archive_life *l);
/* The store is down before, too. The broker starts on the copy, which is healed and goes on; it is the world's disk
 * from then on, and the other one is not the archive's any more when it comes back. */
void arch_older_disk(struct archive_life *l);
/* Two brokers go on with copies of one disk. */
void arch_two_brokers(struct archive_life *l);
/* What is restored from the bucket, all or the newest of it, is what was acknowledged. It goes on there, and the disk
 * that is lost is not the archive's any more when it comes back. */
void arch_restore(struct archive_life *l);
extern const struct world_upper arch_upper;
void arch_life_free(struct archive_life *l);

/* --- archive_redacts.c -------------------------------------------------------------------------------------------- */

/* What the value of the n-th event begins with: 8 bytes that nothing else has. */
static inline uint64_t arch_value(uint64_t number)
{
    return (number + 1) * 0x9e3779b97f4a7c15ull;
}
/* Somebody redacts something. returns false: crashed */
bool arch_redact(struct archive_life *l, uint32_t index);
/* May a batch with offsets [first, end) be redacted? */
bool arch_is_gone(const struct life_part *p, int64_t first, int64_t end);
/* Somebody asks how far an earlier one is. returns false: crashed */
bool arch_redact_look(struct archive_life *l, uint32_t index);
/* An older disk was healed: what was redacted by then, and said to be, is not back. */
void arch_check_not_back(struct archive_life *l);
/* The disk is an older one: what was accepted on the other it need not know of. */
void arch_redact_forget(struct archive_life *l);
/* Every redaction comes to its end, and then nothing of it is anywhere. Without faults. */
void arch_check_redacted(struct archive_life *l);

#endif
