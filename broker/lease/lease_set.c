/* SPDX-License-Identifier: Apache-2.0 */
#include <evlog/error.h>
#include <lease/lease_set.h>

#define RUNS_OF_NODE 13u
#define KIND_UNTOUCHED 0u
#define KIND_FINISHED 1u
#define KIND_ATTEMPTED 2u
#define KIND_REJECTED 3u

/* In place of a struct lease_node. */
struct runs_node {
    uint32_t next;  /* node, 0 none */
    uint16_t first; /* place of the first run that counts */
    uint16_t count; /* places in use, first .. count - 1 count */
    struct lease_run runs[RUNS_OF_NODE];
};
EL_STATIC_ASSERT(sizeof(struct runs_node) <= LEASE_NODE_LEN, "runs lie in nodes");

/* --- as bytes ----------------------------------------------------------------------------------------------------- */

void lease_run_writer_init(struct lease_run_writer *rw, uint8_t *buf, size_t room)
{
    *rw = (struct lease_run_writer){.len = 0};
    el_writer_init(&rw->w, buf, room);
    el_write_u8(&rw->w, LEASE_BLOCK_VERSION);
}

static void run_flush(struct lease_run_writer *rw)
{
    if (rw->len == 0) {
        return;
    }
    uint32_t kind = rw->what == LEASE_RUN_UNTOUCHED        ? KIND_UNTOUCHED
                    : rw->what == LEASE_RUN_FINISHED       ? KIND_FINISHED
                    : (rw->what & LEASE_RUN_REJECTED) != 0 ? KIND_REJECTED
                                                           : KIND_ATTEMPTED;
    el_write_uvarint(&rw->w, (rw->len - 1) * 4 + kind);
    if (kind >= KIND_ATTEMPTED) {
        uint32_t attempts = rw->what & ~LEASE_RUN_REJECTED;
        EL_ASSERT(attempts > 0);
        el_write_uvarint(&rw->w, attempts);
    }
    rw->len = 0;
}

void lease_run_push(struct lease_run_writer *rw, uint32_t len, uint16_t what)
{
    EL_ASSERT(len <= LEASE_BLOCK_OFFSETS - rw->total);
    if (len == 0) {
        return;
    }
    if (what != rw->what) {
        run_flush(rw);
        rw->what = what;
    }
    rw->len += len;
    rw->total += len;
}

size_t lease_run_writer_end(struct lease_run_writer *rw)
{
    if (rw->what != LEASE_RUN_UNTOUCHED) {
        run_flush(rw);
    }
    return rw->w.err != 0 ? 0 : el_writer_len(&rw->w);
}

void lease_run_reader_init(struct lease_run_reader *rr, struct el_slice data)
{
    *rr = (struct lease_run_reader){.last_what = -1};
    el_reader_init(&rr->r, data.data, data.len);
    if (el_read_u8(&rr->r) != LEASE_BLOCK_VERSION) {
        el_reader_fail(&rr->r, EVLOG_ERR_MALFORMED);
    }
}

/* A number in as few bytes as it needs: what was accepted is written again as the same bytes. */
static uint32_t read_shortest(struct el_reader *r)
{
    const uint8_t *from = r->p;
    uint32_t v = el_read_uvarint(r);
    if (r->err == 0 && (size_t)(r->p - from) != el_uvarlong_len(v)) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
    }
    return v;
}

/* One run of any kind; false when it is not one. */
static bool read_any(struct lease_run_reader *rr, uint32_t *len, uint32_t *what)
{
    uint32_t head = read_shortest(&rr->r);
    uint32_t kind = head & 3;
    if (kind >= KIND_ATTEMPTED) {
        bool rejected = kind == KIND_REJECTED;
        *what = read_shortest(&rr->r);
        if (*what == 0 || *what > (rejected ? LEASE_REJECTED_MAX : LEASE_ATTEMPTS_MAX)) {
            return false;
        }
        *what |= rejected ? LEASE_RUN_REJECTED : 0;
    } else {
        *what = kind == KIND_FINISHED ? LEASE_RUN_FINISHED : LEASE_RUN_UNTOUCHED;
    }
    *len = (head >> 2) + 1;
    return rr->r.err == 0 && *len <= LEASE_BLOCK_OFFSETS - rr->total && (int)*what != rr->last_what;
}

int lease_run_read(struct lease_run_reader *rr, struct lease_run *run)
{
    if (rr->r.err != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    while (el_reader_left(&rr->r) > 0) {
        uint32_t len = 0, what = 0;
        if (!read_any(rr, &len, &what)) {
            el_reader_fail(&rr->r, EVLOG_ERR_MALFORMED);
            return EVLOG_ERR_MALFORMED;
        }
        uint32_t first = rr->total;
        rr->total += len;
        rr->last_what = (int)what;
        if (what != LEASE_RUN_UNTOUCHED) {
            *run = (struct lease_run){(uint16_t)first, (uint16_t)(first + len - 1), (uint16_t)what};
            return 1;
        }
    }
    return rr->last_what == LEASE_RUN_UNTOUCHED ? EVLOG_ERR_MALFORMED : 0;
}

/* --- as a list ---------------------------------------------------------------------------------------------------- */

static struct runs_node *runs_node(const struct lease_memory *m, uint32_t id)
{
    return lease_slot(m, id);
}

int lease_runs_push(struct lease_memory *m, struct lease_node *block, struct lease_run run)
{
    EL_ASSERT(run.first <= run.last);
    if (block->runs_tail == 0 || runs_node(m, block->runs_tail)->count == RUNS_OF_NODE) {
        uint32_t id = lease_node_get(m, false);
        if (id == 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
        if (block->runs_tail == 0) {
            block->runs = id;
        } else {
            runs_node(m, block->runs_tail)->next = id;
        }
        block->runs_tail = id;
    }
    struct runs_node *n = runs_node(m, block->runs_tail);
    if (n->count > 0) {
        EL_ASSERT(n->runs[n->count - 1].last < run.first);
    }
    n->runs[n->count] = run;
    n->count++;
    return 0;
}

void lease_runs_trim(struct lease_memory *m, struct lease_node *block, uint32_t place)
{
    while (block->runs != 0) {
        struct runs_node *n = runs_node(m, block->runs);
        while (n->first < n->count && n->runs[n->first].last < place) {
            n->first++;
        }
        if (n->first < n->count) {
            return;
        }
        uint32_t id = block->runs;
        block->runs = n->next;
        lease_node_put(m, id);
    }
    block->runs_tail = 0;
}

void lease_runs_begin(const struct lease_node *block, struct lease_runs_cursor *cursor)
{
    *cursor = (struct lease_runs_cursor){.id = block->runs};
}

bool lease_runs_next(const struct lease_memory *m, struct lease_runs_cursor *cursor, uint32_t place,
                     struct lease_run *run)
{
    while (cursor->id != 0) {
        const struct runs_node *n = runs_node(m, cursor->id);
        cursor->index = EL_MAX(cursor->index, n->first);
        for (; cursor->index < n->count; cursor->index++) {
            if (n->runs[cursor->index].last >= place) {
                *run = n->runs[cursor->index];
                cursor->index++;
                return true;
            }
        }
        *cursor = (struct lease_runs_cursor){.id = n->next};
    }
    return false;
}

/* Append a run without that place. */
static int push_around(struct lease_memory *m, struct lease_node *block, struct lease_run run, uint16_t place)
{
    struct lease_run before = run, behind = run;
    if (place < run.first || place > run.last) {
        return lease_runs_push(m, block, run);
    }
    before.last = (uint16_t)(place - 1u);
    behind.first = (uint16_t)(place + 1u);
    int err = place > run.first ? lease_runs_push(m, block, before) : 0;
    return err == 0 && place < run.last ? lease_runs_push(m, block, behind) : err;
}

int lease_runs_punch(struct lease_memory *m, struct lease_node *block, uint16_t place)
{
    struct lease_node fresh = {.runs = 0};
    struct lease_runs_cursor cursor;
    struct lease_run run;
    int err = 0;
    lease_runs_begin(block, &cursor);
    while (err == 0 && lease_runs_next(m, &cursor, 0, &run)) {
        err = push_around(m, &fresh, run, place);
    }
    if (err != 0) {
        lease_runs_trim(m, &fresh, LEASE_BLOCK_OFFSETS);
        return err;
    }
    lease_runs_trim(m, block, LEASE_BLOCK_OFFSETS);
    block->runs = fresh.runs;
    block->runs_tail = fresh.runs_tail;
    return 0;
}
