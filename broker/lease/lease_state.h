/* SPDX-License-Identifier: Apache-2.0
 *
 * What work groups of a shard are made of, below groups and partitions: memory, the way of an op, records of
 * __evlog_groups and their writing and reading. Private to broker/lease; owner shard only.
 *
 *   leases.c        life, the way of an op and back, the topic
 *   lease_piece.c  the budget
 *   lease_record.c  records as bytes
 *   lease_write.c   one write is one batch
 *   lease_load.c    reading all of them at the start
 *   lease_group.c   what this shard knows of each group: its settings, its parts
 *   control.c       shard 0: groups, members, settings
 *   lease_part.c    a partition that a group works on
 */
#ifndef EL_LEASE_LEASE_STATE_H
#define EL_LEASE_LEASE_STATE_H

#include <core/assert.h>
#include <core/pool.h>
#include <lease/lease_memory.h>
#include <lease/lease_record.h>
#include <lease/leases.h>

#define LEASES_MAGIC OBJ_MAGIC('l', 's', 'e', 's')
#define LEASE_CLASSES 6u        /* sizes of pieces of memory */
#define LEASE_CLASS_LEN_MIN 64u /* each is twice the one before */
#define LEASE_CONTROL_SHARD 0u
#define LEASE_MINUTE_NS 60000000000u
#define LEASE_SCRATCH_LEN (288u << 10) /* a block of a table, or the record of a parked key */

/* The shard's partition of __evlog_groups: the lowest one that it owns. */
enum leases_state {
    LEASES_NONE,    /* there is none so far */
    LEASES_LOADING, /* it is being read */
    LEASES_READY,
    LEASES_FAILED, /* it cannot be read: the log says why */
};

struct lease_control; /* control.h */
struct lease_load;

struct leases {
    uint32_t magic;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    uint32_t index, shard_count;
    struct leases *const *peers; /* [shard_count] by shard; set before the first op */
    struct leases_config cfg;
    enum leases_state state;
    bool known;    /* control has told the settings of all groups */
    bool patient;  /* the partition was made just now: ops wait for its reading instead of being refused */
    bool creating; /* the topic is being made, or made larger */
    bool stopping;
    struct el_uuid topic_id; /* of __evlog_groups, once the state is not NONE */
    int32_t partition;
    struct el_list waiting; /* struct lease_op.link: until the partition is there and read */
    struct topic_op create_op;
    struct topic_config create_config;
    struct lease_load *load; /* while it is read */
    struct el_pool classes[LEASE_CLASSES];
    uint64_t memory_used; /* of pieces, against a quarter of cfg.memory_max; the tables have the rest */
    uint64_t emit_bytes;  /* of these: of emits that are not published */
    uint32_t busy;        /* writes, reads and jobs under way: the store may stop at 0 */
    uint64_t session_count;
    uint8_t *scratch;              /* [LEASE_SCRATCH_LEN] for the time of a call */
    struct lease_memory *tables;   /* what all lease tables share */
    struct lease_control *control; /* shard 0; NULL elsewhere */
    struct el_map groups;          /* group id -> struct lease_group */
    struct el_map parts;           /* group number, topic id, partition -> struct lease_part */
    struct el_map restoring;       /* key of a record -> struct lease_stored, while the partition is read */
    struct io_timer sweep;         /* looks for topics that are gone */
    size_t sweep_cursor;           /* of the look under way, into parts */
    uint64_t group_number;         /* given to the last group */
    uint64_t paused_ns;            /* when the log was told that reading ahead waits; 0 never */
    uint64_t unstored_ns;          /* the same of records that cannot be stored */
    uint64_t log_second;           /* rate limit of log lines */
    uint32_t log_count;
};

/* What is not in the tables may take this share of the budget: stories, parked keys, parts. */
#define LEASE_PIECES_SHARE 4u
/* And this share of that is not for what can be done without. */
#define LEASE_SPARE_SHARE 4u

/* --- lease_piece.c ------------------------------------------------------------------------------------------------ */

/* Zeroed, from the budget of work groups; NULL when it is spent. */
void *lease_alloc(struct leases *ls, size_t len);
/* The same for what can be done without, such as a story: many leave room for groups, members and partitions. */
void *lease_alloc_spare(struct leases *ls, size_t len);
/* NULL is ignored. */
void lease_free(struct leases *ls, void *memory);
/* A copy, NULL stays NULL. returns false without memory */
bool lease_copy(struct leases *ls, struct el_slice in, struct el_slice *out);
/* Free a copy; *slice is NULL afterwards. */
void lease_drop(struct leases *ls, struct el_slice *slice);
/* Wall time, guarded against jumps, ms since 1970. */
int64_t lease_wall_ms(const struct leases *ls);
bool lease_may_log(struct leases *ls);

/* --- leases.c: ops ------------------------------------------------------------------------------------------------ */

enum lease_op_flag {
    LEASE_OP_CREATES = 1, /* makes the topic when there is none (control's shard only) */
    LEASE_OP_EARLY = 2,   /* runs whatever the state of the partition is */
    LEASE_OP_WAITS = 4,   /* it is in a list that it may be taken from by a cancel; set by who puts it there */
};

/* Send an op to a shard, where `run` is called once its partition of __evlog_groups has been read; or it is refused:
 * GROUP_LOADING, GROUP_UNAVAILABLE, CLOSED. `run` (or somebody later) answers with lease_op_finish(). Fields of the
 * base but group_id, done and arg are set here. */
void lease_op_send(struct leases *ls, struct lease_op *op, uint32_t shard, uint32_t flags,
                   void (*run)(struct leases *ls, struct lease_op *op));
/* The same for the shard that owns a partition of a topic; UNKNOWN_TOPIC or UNKNOWN_TOPIC_ID without one. */
void lease_op_send_part(struct leases *ls, struct lease_op *op, const struct el_uuid *topic_id, int32_t partition,
                        void (*run)(struct leases *ls, struct lease_op *op));
/* From `run`, instead of an answer: the op goes on to another shard. It has no results yet. */
void lease_op_forward(struct lease_op *op, uint32_t shard, void (*run)(struct leases *ls, struct lease_op *op));
/* Answer an op; its link is in no list. */
void lease_op_finish(struct lease_op *op, int error);
/* The same with a text for people. */
void lease_op_refuse(struct lease_op *op, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Room for results, zeroed, at least len bytes behind each other; false without memory. Once for an op. */
bool lease_op_room(struct lease_op *op, size_t len);
/* A part of it, 8 bytes aligned: a sum of sizes each rounded up to 8 suffices. */
void *lease_op_take(struct lease_op *op, size_t len);
struct el_slice lease_op_copy(struct lease_op *op, struct el_slice in);
/* Hand a read to the op's results: it is released with them. */
void lease_op_keep_read(struct lease_op *op, const struct read_op *read);
/* The same of a block of the shard's buddy. */
void lease_op_keep_memory(struct lease_op *op, void *memory);

/* The partition has been read (0), or cannot be. From lease_load.c. */
void leases_loaded(struct leases *ls, int error);

/* --- lease_load.c ------------------------------------------------------------------------------------------------- */

void lease_load_start(struct leases *ls);
/* At the end of the shard; no read may be under way. */
void lease_load_drop(struct leases *ls);

/* --- lease_write.c ------------------------------------------------------------------------------------------------ */

struct lease_write;
typedef void (*lease_write_fn)(struct lease_write *write, int error);
struct lease_write {
    struct append_op op;
    struct leases *ls;
    lease_write_fn done;
    void *arg;                /* the caller's */
    struct lease_write *next; /* the caller's */
    uint32_t record_count;
    struct el_batch_builder builder;
};
#define LEASE_RECORD_OVERHEAD 40u /* of a record beside key and value */
/* Memory for record_count records with records_len bytes of keys and values together; the state is READY.
 * returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_TOO_LARGE more than a batch takes */
int lease_write_new(struct leases *ls, uint32_t record_count, size_t records_len, struct lease_write **write);
/* Add a record; value.data NULL ends the key. */
void lease_write_put(struct lease_write *write, struct el_slice key, struct el_slice value);
/* There is room for one more record of this length. */
bool lease_write_room(const struct lease_write *write, size_t key_len, size_t value_len);
/* Append what was put, at least one record; done is called once, maybe from inside, and then the memory goes.
 * error: 0 durable | EVLOG_ERR_CLOSED | EVLOG_ERR_STORAGE it may be in the log all the same */
void lease_write_submit(struct lease_write *write, lease_write_fn done, void *arg);
/* Give a write up that was not submitted. */
void lease_write_drop(struct lease_write *write);

/* --- what control (shard 0) is told; defined in control.c --------------------------------------------------------- */

/* returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_control_create(struct leases *ls);
/* A record of a group's settings, while the partition is read: value.data NULL: it has ended. Not checked yet.
 * returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT | EVLOG_ERR_NO_MEMORY */
int lease_control_restore(struct leases *ls, struct el_slice group_id, struct el_slice value);
/* A record of a redrive, in the same way. */
int lease_redrive_restore(struct leases *ls, struct el_slice group_id, uint64_t id, struct el_slice value);
/* All has been read, the state is READY: tell all shards the settings of all groups (lease_group_apply()), then that
 * they are known (lease_groups_known()). */
void lease_control_loaded(struct leases *ls);
void lease_control_configure(struct leases *ls);
void lease_control_stop(struct leases *ls);
void lease_control_destroy(struct leases *ls);

#endif
