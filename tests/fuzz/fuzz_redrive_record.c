/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a redrive has come, from a damaged or hostile disk. What is accepted is within what a task may be and is
 * encoded again as the same bytes; what is refused leaves nothing behind.
 */
#include "leases_kit.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <lease/redrive.h>

#include <stdlib.h>

#define RESERVED_POS 3 /* a byte that is not looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct redrive *task, struct el_slice in)
{
    struct el_writer w;
    EL_ASSERT(task->topic.len > 0);
    EL_ASSERT(task->partition >= 0);
    EL_ASSERT(task->partition <= task->partition_count);
    EL_ASSERT(task->offset >= 0);
    EL_ASSERT(task->selection.range_count <= LEASE_SELECT_RANGES_MAX);
    EL_ASSERT((task->action == LEASE_REDRIVE_COPY) == (task->copy.topic.len > 0));
    EL_ASSERT(redrive_record_len(task) == in.len);
    uint8_t *room = malloc(in.len);
    EL_ASSERT(room != NULL);
    el_writer_init(&w, room, in.len);
    redrive_record_encode(&w, task);
    EL_ASSERT(w.err == 0);
    EL_ASSERT(el_writer_len(&w) == in.len);
    for (size_t i = 0; i < in.len; i++) {
        EL_ASSERT(i == RESERVED_POS || room[i] == in.data[i]);
    }
    free(room);
}

static void try_record(struct leases *ls, struct el_slice in)
{
    struct redrive *task = el_buddy_alloc(ls->buddy, sizeof *task);
    EL_ASSERT(task != NULL);
    memset(task, 0, sizeof *task);
    task->magic = REDRIVE_MAGIC;
    task->ls = ls;
    el_list_init(&task->link);
    int err = redrive_record_decode(task, in);
    EL_ASSERT(err == 0 || err == EVLOG_ERR_CORRUPT || err == EVLOG_ERR_FORMAT);
    if (err == 0) {
        check(task, in);
    }
    redrive_free(task);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_buddy buddy;
    struct leases *ls = leases_kit_begin(&buddy);
    try_record(ls, el_slice_of(data, len));
    leases_kit_end(ls);
    return 0;
}
