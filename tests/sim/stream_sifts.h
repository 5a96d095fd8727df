/* SPDX-License-Identifier: Apache-2.0
 *
 * Filtered reads of topics with streams (api/sift.h), while others append, trim and delete, and while the disk fails.
 * What a read gives is kept, and compared with the log when that has been read: between where it began and where it
 * says to go on, it has exactly the batches with a match, whether the index or reading found them.
 */
#ifndef EL_SIM_STREAM_SIFTS_H
#define EL_SIM_STREAM_SIFTS_H

#include "stream_model.h"
#include <api/sift.h>

#define SIFTERS_MAX 2u
#define SIFTED_MAX 3000u       /* answers kept until the log is read */
#define SIFTED_BATCHES_MAX 48u /* kept of one answer; with more nothing is */

/* An answer. */
struct sifted {
    int32_t partition;
    uint32_t key; /* 0: any */
    uint8_t types[SIFT_TYPES_MAX];
    uint32_t type_count;
    bool version_wanted;
    int64_t from, next, start, version;
    uint32_t count;
    struct {
        int64_t base, last;
    } batches[SIFTED_BATCHES_MAX];
};

struct sifter {
    struct stream_sifts *all;
    bool busy;
    struct api api;
    struct request request; /* only its arena is used ... */
    void *memory;           /* ... which is this */
    struct el_sieve sieve;
    char key[16], type[SIFT_TYPES_MAX][16];
    struct el_slice types[SIFT_TYPES_MAX];
    struct sift sift;
    struct read_op read;
    struct sifted ask;
};

struct stream_sifts {
    struct stream_model *m;
    struct sifter sifters[SIFTERS_MAX];
    struct sifted *answers; /* [count] */
    uint32_t count;
};

void stream_sifts_init(struct stream_sifts *s, struct stream_model *m);
void stream_sifts_free(struct stream_sifts *s);
/* Somebody reads, by chance. */
void stream_sifts_step(struct stream_sifts *s);
bool stream_sifts_busy(const struct stream_sifts *s);
/* The process has ended: nothing is answered any more. */
void stream_sifts_lose(struct stream_sifts *s);
/* All logs were read to their ends: was it the truth? */
void stream_sifts_check(struct stream_sifts *s);

#endif
