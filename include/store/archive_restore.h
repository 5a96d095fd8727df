/* SPDX-License-Identifier: Apache-2.0
 *
 * From an archive to a data directory that evlogd opens: the catalogue and the logs of partitions as they were, each
 * batch byte for byte with its append time, salt and leader epoch.
 *
 *   - without a time: all that the root covers. Records of internal topics other than the catalogue, such as the
 *     progress of groups, come only as far as the archive is complete: what a group had done after that may be done
 *     again, but no group stands behind the end of a log
 *   - with a time: exactly the events with an append time up to it, of every topic; only where the archive is complete
 *     through it
 *   - of topics that need not be whole, when they are told apart, only the newest events: the archive has the others,
 *     and a broker that has it too serves them from there. At least the last batch is restored
 *   - the leader epoch rises by 65,536, and the directory knows which root it is from: an archive that is made of it
 *     continues this one, under an incarnation of its own
 *
 * Blocking; reads with several threads, each with its own reader.
 */
#ifndef EL_STORE_ARCHIVE_RESTORE_H
#define EL_STORE_ARCHIVE_RESTORE_H

#include <format/access_seal.h>
#include <store/archive_reader.h>

#define ARCHIVE_RESTORE_THREADS_MAX 8u
#define ARCHIVE_RESTORE_EPOCHS 65536

struct archive_restore_counts {
    uint64_t bytes, bytes_all;           /* of batches; about all there are */
    uint64_t partitions, partitions_all; /* whole */
    uint64_t batches, records;
    uint64_t topics;
    uint64_t before;         /* partitions that were whole before */
    uint64_t left;           /* partitions whose older events stay in the archive alone */
    uint64_t redacted;       /* batches that are not there any more */
    uint64_t last_append_ns; /* newest event; 0 there is none */
    int64_t max_timestamp_ms;
};

struct archive_restore_options {
    const char *path;          /* empty, not there, or half restored for the same */
    uint64_t until_ns;         /* 0: no time */
    const char *const *topics; /* [topic_count] and internal ones; none: all */
    size_t topic_count;
    uint32_t threads; /* 0: 2 */
    /* Must a topic come back whole? settings as in the catalogue. NULL: all do, as they do with a time */
    bool (*whole)(void *arg, const char *name, struct el_slice settings);
    uint64_t recent_ns; /* of the others: from so long before what the archive is complete through */
    /* They open users and access rules, and become those of the directory when they open them all; all else is restored
     * in any case. NULL, or a count of 0: none are given */
    const struct el_access_keys *access_keys;
    /* Now and then, from any of the threads, one at a time; false ends it with EVLOG_ERR_CLOSED. NULL: nobody asks */
    bool (*progress)(void *arg, const struct archive_restore_counts *counts);
    void *arg;
};

struct archive_restore_result {
    struct archive_root root;
    uint64_t complete_ns; /* the archive is complete through it */
    struct archive_restore_counts counts;
    uint32_t access_unopened;               /* users, rules and quotas that none of the keys opens */
    char access_key[EL_ACCESS_KEY_ID_TEXT]; /* id of the key of one of them; "" */
};

/* Restore from the root that reader_options say; the store is borrowed.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT the archive is not complete through the time: the text says through which it is |
 *          EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_EXISTS the directory holds something else | EVLOG_ERR_CLOSED |
 *          EVLOG_ERR_CORRUPT an object is not as the root says; what is whole stays | as archive_reader_open() and
 *          new_dir_begin()
 */
int archive_restore(struct object_store *store, const struct archive_reader_options *reader_options,
                    const struct archive_restore_options *options, struct archive_restore_result *result,
                    struct el_error *err);

#endif
