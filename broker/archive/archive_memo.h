/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store has answered, kept for the next try of a job that needs many answers: objects are written once, so
 * what was read of one stays true. Private to broker/archive.
 *
 * Kept are bytes that were read, what is known of an object (head), and that an object is there (put). Listings, and
 * that something is not there, are asked anew. Blocking as the store is; one job at a time.
 */
#ifndef EL_ARCHIVE_ARCHIVE_MEMO_H
#define EL_ARCHIVE_ARCHIVE_MEMO_H

#include <store/object_store.h>

#define ARCHIVE_MEMO_LEN_MAX (16u << 20) /* bytes that are kept; what comes then is asked for each time */

struct archive_memo;

/* store: borrowed. returns NULL when memory is short */
struct archive_memo *archive_memo_new(struct object_store *store);
void archive_memo_free(struct archive_memo *memo); /* NULL is passed through */
/* The store, by way of what is kept; good as long as the memo. */
struct object_store *archive_memo_store(struct archive_memo *memo);
/* Answers that are kept. */
size_t archive_memo_count(const struct archive_memo *memo);

#endif
