/* SPDX-License-Identifier: Apache-2.0
 *
 * Many messages at once; any thread.
 *
 * 1. each job becomes a lane: up to three runs of whole blocks (one that completes what waited, those of the data,
 *    one or two that end the message)
 * 2. as long as enough lanes are busy, sixteen go on together as far as the shortest run of them; a lane that ends
 *    takes the next job
 * 3. then, and where the processor has no sixteen lanes, two go on together in the same way
 *
 * What a caller must keep so that lanes end together: long jobs first.
 */
#include "sha256_state.h"

#include <core/bytes.h>

/* Sixteen lanes take as long for a block as so many messages by the SHA instructions, two at a time. */
#define WIDE_MIN 10u

struct run {
    const uint8_t *p;
    size_t count; /* of blocks, > 0 */
};

struct lane {
    const struct el_sha256_job *job; /* NULL: idle */
    uint32_t state[8];               /* not while it is one of sixteen */
    struct run runs[3];
    size_t run, run_count;
    uint8_t first[2 * SHA_BLOCK_LEN];
    uint8_t last[2 * SHA_BLOCK_LEN];
};

struct queue {
    const struct el_sha256_job *jobs;
    size_t count, next;
};

EL_STATIC_ASSERT(EL_SHA256_HEAD_MAX <= SHA_BLOCK_LEN, "what comes before the data fits into two blocks");

static void copy(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 0) { /* from may be NULL else */
        memcpy(to, from, len);
    }
}

static void lane_run(struct lane *lane, const uint8_t *p, size_t count)
{
    if (count > 0) {
        lane->runs[lane->run_count++] = (struct run){p, count};
    }
}

/* What waits, the head and as much of the data as completes a block. returns bytes of the data that are in it */
static size_t lane_first(struct lane *lane, const struct sha_own *own, const struct el_sha256_job *job, size_t *len)
{
    size_t waiting = own->len % SHA_BLOCK_LEN;
    copy(lane->first, own->block, waiting);
    copy(lane->first + waiting, job->head.data, job->head.len);
    *len = waiting + job->head.len;
    size_t part = EL_MIN((SHA_BLOCK_LEN - *len % SHA_BLOCK_LEN) % SHA_BLOCK_LEN, job->data.len);
    copy(lane->first + *len, job->data.data, part);
    *len += part;
    return part;
}

static void lane_load(struct lane *lane, const struct el_sha256_job *job)
{
    struct sha_own fresh, *own = &fresh;
    size_t first_len;
    EL_ASSERT(job->head.len <= EL_SHA256_HEAD_MAX);
    EL_ASSERT(job->ctx != NULL || job->digest != NULL);
    if (job->ctx != NULL) {
        own = sha_own_of(job->ctx);
    } else {
        sha_own_begin(own);
    }
    lane->job = job;
    lane->run = lane->run_count = 0;
    memcpy(lane->state, own->state, sizeof lane->state);
    size_t taken = lane_first(lane, own, job, &first_len);
    size_t bulk = (job->data.len - taken) / SHA_BLOCK_LEN, behind = taken + bulk * SHA_BLOCK_LEN;
    lane_run(lane, lane->first, first_len / SHA_BLOCK_LEN);
    if (bulk > 0) {
        lane_run(lane, job->data.data + taken, bulk);
    }
    const uint8_t *rest = lane->first + first_len / SHA_BLOCK_LEN * SHA_BLOCK_LEN;
    size_t rest_len = first_len % SHA_BLOCK_LEN;
    if (job->data.len > behind) {
        EL_ASSERT(rest_len == 0);
        rest = job->data.data + behind;
        rest_len = job->data.len - behind;
    }
    own->len += job->head.len + job->data.len;
    EL_ASSERT(own->len % SHA_BLOCK_LEN == rest_len);
    if (job->digest == NULL) {
        copy(own->block, rest, rest_len);
        return;
    }
    size_t last_len = (rest_len < SHA_BLOCK_LEN - 8 ? 1 : 2) * SHA_BLOCK_LEN;
    copy(lane->last, rest, rest_len);
    lane->last[rest_len] = 0x80; /* a bit 1, zeros, and the length in bits */
    memset(lane->last + rest_len + 1, 0, last_len - rest_len - 9);
    el_put_be64(lane->last + last_len - 8, own->len * 8);
    lane_run(lane, lane->last, last_len / SHA_BLOCK_LEN);
}

static void lane_end(struct lane *lane)
{
    const struct el_sha256_job *job = lane->job;
    if (job->ctx != NULL) {
        memcpy(sha_own_of(job->ctx)->state, lane->state, sizeof lane->state);
    }
    for (size_t i = 0; job->digest != NULL && i < 8; i++) {
        el_put_be32(job->digest + 4 * i, lane->state[i]);
    }
    lane->job = NULL;
}

/* count blocks of its run are done. returns true when there are no more */
static bool lane_pass(struct lane *lane, size_t count)
{
    struct run *run = &lane->runs[lane->run];
    EL_ASSERT(run->count >= count);
    run->p += count * SHA_BLOCK_LEN;
    run->count -= count;
    lane->run += run->count == 0;
    return lane->run == lane->run_count;
}

/* The next job with a block to do; one without is done here. */
static bool lane_next(struct lane *lane, struct queue *queue)
{
    while (queue->next < queue->count) {
        lane_load(lane, &queue->jobs[queue->next++]);
        if (lane->run_count > 0) {
            return true;
        }
        lane_end(lane);
    }
    return false;
}

/* --- sixteen ------------------------------------------------------------------------------------------------------ */

static void wide_put(struct sha_wide *wide, size_t i, const struct lane *lane)
{
    for (size_t k = 0; k < 8; k++) {
        wide->words[k][i] = lane->state[k];
    }
}

static void wide_get(const struct sha_wide *wide, size_t i, struct lane *lane)
{
    for (size_t k = 0; k < 8; k++) {
        lane->state[k] = wide->words[k][i];
    }
}

/* Sixteen lanes until fewer than least of them have something to do. Leaves their states in them. */
static void go_wide(struct lane lanes[SHA_WIDE_LANES], struct queue *queue, size_t least)
{
    struct sha_wide wide = {.words = {{0}}};
    const uint8_t *p[SHA_WIDE_LANES];
    size_t busy = 0;
    for (size_t i = 0; i < SHA_WIDE_LANES; i++) {
        if (lane_next(&lanes[i], queue)) {
            wide_put(&wide, i, &lanes[i]);
            busy++;
        }
    }
    while (busy >= least && busy > 0) {
        size_t count = SIZE_MAX;
        const uint8_t *any = NULL;
        for (size_t i = 0; i < SHA_WIDE_LANES; i++) {
            if (lanes[i].job != NULL) {
                count = EL_MIN(count, lanes[i].runs[lanes[i].run].count);
                any = lanes[i].runs[lanes[i].run].p;
            }
        }
        for (size_t i = 0; i < SHA_WIDE_LANES; i++) { /* an idle lane takes what another one has, in vain */
            p[i] = lanes[i].job != NULL ? lanes[i].runs[lanes[i].run].p : any;
        }
        sha_wide_blocks(&wide, p, count);
        for (size_t i = 0; i < SHA_WIDE_LANES; i++) {
            if (lanes[i].job != NULL && lane_pass(&lanes[i], count)) {
                wide_get(&wide, i, &lanes[i]);
                lane_end(&lanes[i]);
                if (lane_next(&lanes[i], queue)) {
                    wide_put(&wide, i, &lanes[i]);
                } else {
                    busy--;
                }
            }
        }
    }
    for (size_t i = 0; i < SHA_WIDE_LANES; i++) {
        if (lanes[i].job != NULL) {
            wide_get(&wide, i, &lanes[i]);
        }
    }
}

/* --- two ---------------------------------------------------------------------------------------------------------- */

/* The next of the lanes that are left, then of the jobs, in *idle. */
static struct lane *two_next(struct lane *lanes, size_t *left, struct lane *idle, struct queue *queue)
{
    while (*left > 0) {
        struct lane *lane = &lanes[--*left];
        if (lane->job != NULL) {
            return lane;
        }
    }
    return lane_next(idle, queue) ? idle : NULL;
}

static void lane_alone(struct lane *lane)
{
    bool done = false;
    while (!done) {
        const struct run *run = &lane->runs[lane->run];
        size_t count = run->count;
        sha_ni_blocks(lane->state, run->p, count);
        done = lane_pass(lane, count);
    }
    lane_end(lane);
}

static void go_two(struct lane *lanes, size_t left, struct queue *queue)
{
    struct lane own[2];
    struct lane *x = two_next(lanes, &left, &own[0], queue), *y = two_next(lanes, &left, &own[1], queue);
    while (x != NULL && y != NULL) {
        const struct run *a = &x->runs[x->run], *b = &y->runs[y->run];
        size_t count = EL_MIN(a->count, b->count);
        sha_ni_blocks_two(x->state, a->p, y->state, b->p, count);
        if (lane_pass(x, count)) {
            lane_end(x);
            x = two_next(lanes, &left, y == &own[0] ? &own[1] : &own[0], queue);
        }
        if (lane_pass(y, count)) {
            lane_end(y);
            y = two_next(lanes, &left, x == &own[0] ? &own[1] : &own[0], queue);
        }
    }
    if (x != NULL || y != NULL) {
        lane_alone(x != NULL ? x : y);
    }
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static void go_one(const struct el_sha256_job *job)
{
    struct el_sha256 fresh, *ctx = job->ctx;
    if (ctx == NULL) {
        ctx = &fresh;
        el_sha256_begin(ctx);
    }
    el_sha256_add(ctx, job->head.data, job->head.len);
    el_sha256_add(ctx, job->data.data, job->data.len);
    if (job->digest != NULL) {
        el_sha256_end(ctx, job->digest);
    }
}

bool el_sha256_many_by(enum el_sha256_way way, const struct el_sha256_job *jobs, size_t count)
{
    struct lane lanes[SHA_WIDE_LANES];
    struct queue queue = {.jobs = jobs, .count = count};
    size_t left = 0;
    bool ni = sha_ni_there(), wide = ni && sha_wide_there();
    if ((way == EL_SHA256_WIDE && !wide) || (way == EL_SHA256_TWO && !ni)) {
        return false;
    }
    if (way == EL_SHA256_ONE || !ni) {
        for (size_t i = 0; i < count; i++) {
            go_one(&jobs[i]);
        }
        return true;
    }
    if (way == EL_SHA256_WIDE || (way == EL_SHA256_BEST && wide && count >= WIDE_MIN)) {
        for (size_t i = 0; i < SHA_WIDE_LANES; i++) {
            lanes[i].job = NULL;
        }
        go_wide(lanes, &queue, way == EL_SHA256_WIDE ? 1 : WIDE_MIN);
        left = SHA_WIDE_LANES;
    }
    go_two(lanes, left, &queue);
    return true;
}

void el_sha256_many(const struct el_sha256_job *jobs, size_t count)
{
    (void)el_sha256_many_by(EL_SHA256_BEST, jobs, count);
}
