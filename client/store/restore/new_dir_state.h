/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to client/store/restore/new_*.c.
 */
#ifndef NEW_DIR_STATE_H
#define NEW_DIR_STATE_H

#include <core/buffer.h>
#include <core/map.h>
#include <pthread.h>
#include <store/new_dir.h>

#define NEW_FOLDER_MODE 0750
#define NEW_FILE_MODE 0640
#define NEW_SECRET_MODE 0400

/* A log that is whole: its entry of the checkpoint. */
struct new_whole {
    uint8_t key[20]; /* of the map: topic id, partition */
    uint32_t shard;
    struct el_slice entry; /* behind the struct */
};

struct new_dir {
    char *path;
    int fd;
    uint64_t generation; /* of the segments, and incarnation of the node file */
    int restoring_fd;
    pthread_mutex_t lock; /* over what follows */
    uint64_t restoring_len;
    struct el_map whole; /* key -> struct new_whole */
    struct new_dir_counts counts;
    int64_t producer_counter;
};

/* What the system said, as a text with the file's name. */
int new_failed(struct el_error *err, const char *name, const char *what);
int new_sync_folder(struct new_dir *dir, const char *name, struct el_error *err);
int new_write(int fd, const void *data, size_t len, uint64_t pos);
/* Note a log that is whole; its bytes are durable. Lock not held. */
int new_note_whole(struct new_dir *dir, const struct new_log_head *head, struct el_slice entry,
                   const struct new_dir_counts *counts, int64_t producer_counter, struct el_error *err);
/* What the file `restoring` says.
 * returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_EXISTS it is of another purpose | EVLOG_ERR_NO_MEMORY; with a text */
int new_restoring_take(struct new_dir *dir, const uint8_t *p, size_t len, const char *purpose, struct el_error *err);
void new_whole_key(uint8_t key[20], const struct el_uuid *topic_id, int32_t partition);

#endif
