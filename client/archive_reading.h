/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of an archive that a program reads.
 */
#ifndef EL_CLIENT_ARCHIVE_READING_H
#define EL_CLIENT_ARCHIVE_READING_H

#include <evlog/archive.h>
#include <format/batch.h>
#include <store/archive_reader.h>
#include <wire/progress.h>

struct archive_part {
    struct archive_batches batches; /* that were read; count 0: none */
    uint32_t row;                   /* of batches: the next one */
    size_t pos;                     /* of its bytes in batches.data */
    int64_t offset;                 /* next event */
    int64_t read_offset;            /* behind batches */
    int32_t partition;
    int32_t leader_epoch; /* of the last event, -1 */
    bool in_heap;
    bool is_new; /* where it begins is not known yet */
};

struct evlog_archive {
    struct object_store *store;
    struct archive_reader *reader;
    char *topic; /* NULL: none */
    struct el_uuid topic_id;
    struct archive_part *parts; /* [part_count] */
    uint32_t part_count;
    uint32_t unfilled;          /* parts from this one on may have batches and not be in the heap */
    struct archive_part **heap; /* [heap_count] with a batch, the first appended on top */
    uint32_t heap_count;
    bool open; /* iter is in the batch on top */
    struct el_batch_iter iter;
    uint8_t *scratch;
    size_t scratch_len;
    struct evlog_header *headers;
    size_t header_room;
    struct evlog_event event;
    struct el_buffer position;
    uint64_t redacted_batches;
};

/* Keys of a PEM text, none when it is NULL; an incarnation's id. returns 0 | told */
int el_archive_keys(const char *pem, struct el_public_key keys[EL_SIGN_KEYS_MAX], size_t *count,
                    struct evlog_failure *failure);
int el_archive_incarnation(const char *text, struct el_uuid *id, struct evlog_failure *failure);

#endif
