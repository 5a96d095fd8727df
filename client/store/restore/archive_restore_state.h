/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to client/store/restore/archive_restore*.c.
 */
#ifndef ARCHIVE_RESTORE_STATE_H
#define ARCHIVE_RESTORE_STATE_H

#include <format/catalogue_layout.h>
#include <pthread.h>
#include <stdatomic.h>
#include <store/archive_restore.h>
#include <store/new_dir.h>
#include <store/patience.h>

/* A topic of the catalogue as of the time. */
struct restore_topic {
    struct el_uuid id;
    char name[EL_TOPIC_NAME_MAX + 1];
    bool internal, deleted;
    bool whole; /* all of it comes back */
    bool wanted;
    int32_t partition_count;
    uint16_t *owners; /* [partition_count] */
};

struct restore_part {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t shard;
    uint64_t until_ns;
    bool whole;
    int64_t end_offset;  /* out: where the log ends; -1: the archive has nothing of it */
    int64_t log_start;   /* out */
    int64_t local_start; /* out: it was restored from here on */
};

struct restore {
    struct object_store *store;
    const struct archive_reader_options *reader_options;
    const struct archive_restore_options *options;
    struct archive_reader *reader;
    struct new_dir *dir;
    struct restore_topic *topics; /* [topic_count] */
    size_t topic_count, topic_max;
    struct restore_part *parts; /* [part_count] */
    size_t part_count;
    uint32_t shard_count;
    int32_t leader_epoch;
    struct el_uuid incarnation; /* of the archive to come */
    int64_t meta_end;           /* of the catalogue's log in the archive */
    uint64_t meta_append_ns;    /* its last append time */
    uint32_t access_unopened;   /* as of archive_restore_result */
    char access_key[EL_ACCESS_KEY_ID_TEXT];
    /* threads */
    atomic_size_t next;
    pthread_mutex_t lock; /* over what follows */
    struct archive_restore_counts counts;
    struct el_error failure; /* the first; code 0: none */
};

/* --- archive_restore_catalogue.c ---------------------------------------------------------------------------------- */

/* Read the catalogue up to a time, and say which topics are wanted. */
int restore_catalogue_read(struct restore *r, struct el_error *err);
/* Write its log, with the ends of topics that are not wanted. */
int restore_catalogue_write(struct restore *r, struct el_error *err);
void restore_catalogue_free(struct restore *r);

/* --- archive_restore_log.c ---------------------------------------------------------------------------------------- */

/* Write the log of a partition, unless it is whole. */
int restore_log(struct restore *r, struct archive_reader *reader, struct restore_part *part, struct el_error *err);
/* Does nobody say that it is to end? */
bool restore_goes_on(struct restore *r);
/* Count, and ask whether to go on. returns 0 | EVLOG_ERR_CLOSED */
int restore_count(struct restore *r, const struct archive_batches *batches, struct el_error *err);

/* Read batches of a partition as archive_reader_read() does, with patience. */
int restore_read(struct restore *r, struct archive_reader *reader, const struct restore_part *part, int64_t offset,
                 size_t len_max, struct archive_batches *batches, struct el_error *err);

/* --- archive_restore_access.c ------------------------------------------------------------------------------------- */

static inline bool restore_is_access(const struct restore_topic *topic)
{
    return topic->internal && strcmp(topic->name, EL_ACCESS_TOPIC) == 0;
}

/* Can users and rules be opened? With keys that open them all, the directory gets these. Logs are restored. */
int restore_access(struct restore *r, struct el_error *err);

/* --- archive_restore_origin.c ------------------------------------------------------------------------------------- */

/* archive/signed: where an archive of the directory goes on. */
int restore_origin(struct restore *r, struct el_error *err);

#endif
