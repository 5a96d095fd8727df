/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to broker/audit.
 */
#ifndef EL_AUDIT_AUDIT_STATE_H
#define EL_AUDIT_AUDIT_STATE_H

#include <audit/audit.h>
#include <core/assert.h>
#include <format/batch.h>
#include <obs/metrics.h>

#define AUDIT_MAGIC OBJ_MAGIC('a', 'u', 'd', 't')
#define AUDIT_HOME 0u /* the shard that keeps the topic's settings, and looks for faults of the node */
#define AUDIT_BATCH_LEN (64u << 10)
#define AUDIT_ROWS 48u      /* of a table, the one for all others among them */
#define AUDIT_TEXT_LEN 976u /* of a row */
#define AUDIT_MINUTE_NS 60000000000u
#define AUDIT_TICK_NS 1000000000u

enum audit_text { TEXT_PRINCIPAL, TEXT_ADDRESS, TEXT_LISTENER, TEXT_ACTION, TEXT_RESOURCE, TEXT_DETAIL, TEXT_COUNT };

/* Equal notes of one minute. */
struct audit_row {
    uint64_t hash;     /* of all but the detail */
    uint64_t count;    /* not written yet; 0 with used: of this minute, and written */
    uint64_t first_ns; /* wall clock, of those */
    uint64_t last_ns;
    bool used;
    bool urgent; /* to be written at once */
    const char *outcome;
    uint16_t len[TEXT_COUNT];
    char text[AUDIT_TEXT_LEN]; /* one behind the other */
};

/* One class; the last row is for all that find none. */
struct audit_table {
    struct audit_row rows[AUDIT_ROWS];
};

/* One append at a time. */
struct audit_lane {
    struct audit *audit;
    uint8_t *memory; /* [AUDIT_BATCH_LEN] of the buddy */
    struct el_batch_builder builder;
    struct append_op append;
    uint32_t record_count; /* in the builder */
    bool busy;             /* the append is under way */
};

struct audit {
    uint32_t magic;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct audit_settings settings;
    bool started, stopping;
    struct audit_lane writes;   /* of audit_write() */
    struct el_list queue;       /* struct audit_op.link: wait for the lane */
    struct el_list sent;        /* in it */
    struct audit_lane notes;    /* a batch that cannot be stored is tried again */
    bool notes_full;            /* a note found no room: again when the lane is free */
    struct audit_table *tables; /* [CONFIG_AUDIT_CLASS_COUNT] */
    uint64_t flushed_ns;        /* monotonic: when sums were written last */
    uint64_t lost;              /* not told in a record yet */
    struct io_timer tick;
    int64_t seen[METRIC_COUNT]; /* counters that tell of faults, as they were */
    uint64_t complained_ns;     /* in the log, last; 0 never */
    /* the topic */
    bool changing; /* it is being made, or its settings changed */
    struct topic_config config;
    struct topic_op change;
};

/* audit.c */
/* A record into the lane of notes. returns false when there is no room now */
bool audit_post(struct audit *audit, int class, const char *id, struct el_slice value);
/* Send what has been put there, if the lane is free. */
void audit_notes_send(struct audit *audit);

/* audit_topic.c */
/* The topic, or NULL: it is being made, and audit_topic_done() will be called. */
const struct topic *audit_topic(struct audit *audit);
/* Give it the settings that it should have, if it has others. */
void audit_topic_settle(struct audit *audit);
/* audit.c: it is there now, or cannot be made. */
void audit_topic_done(struct audit *audit, int error);

/* audit_sums.c */
/* Write rows: the urgent ones, or all. */
void audit_sums_write(struct audit *audit, bool all);
/* audit_faults.c */
/* Look at the counters that tell of faults. */
void audit_faults_look(struct audit *audit);

#endif
