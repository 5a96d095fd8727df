/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames out, frames in, and what may go wrong between.
 */
#include "peer.h"
#include "audits.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME_LEN_MAX (64u << 20)
#define READ_LEN 8192u
#define CONNECT_NS 1000000ull
#define FUTILE_MAX 9u

static void bytes_add(struct peer_bytes *b, const uint8_t *data, size_t len)
{
    if (b->len + len > b->room) {
        b->room = (b->len + len) * 2;
        b->data = realloc(b->data, b->room);
        EL_ASSERT(b->data != NULL);
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void bytes_drop(struct peer_bytes *b, size_t len)
{
    EL_ASSERT(len <= b->len);
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

void peer_init(struct peer *p, struct world *w, uint32_t client)
{
    *p = (struct peer){.w = w, .client = client, .conn = -1};
}

void peer_free(struct peer *p)
{
    free(p->out.data);
    free(p->in.data);
}

int peer_version(struct peer *p, enum el_api_key key)
{
    const struct el_api *api = el_api_find(key);
    EL_ASSERT(api != NULL);
    return api->accept_min + (int)world_below(p->w, (uint64_t)(api->list_max - api->accept_min) + 1);
}

void peer_send(struct peer *p, enum el_api_key key, int version, const void *body, peer_answer_fn done, void *arg)
{
    struct el_arena arena;
    struct el_slice frame;
    const struct el_api *api = el_api_find(key);
    char client_id[16];
    snprintf(client_id, sizeof(client_id), "sim-%u", p->client);
    struct el_request_header header = {.api = api,
                                       .api_key = api->key,
                                       .version = (int16_t)version,
                                       .correlation_id = ++p->correlation_id,
                                       .client_id = el_slice_str(client_id)};
    EL_ASSERT(peer_can_ask(p));
    el_arena_init(&arena, NULL, 0);
    int code = el_frame_build_request(&arena, &header, body, &frame);
    EL_ASSERT(code == 0);
    bytes_add(&p->out, frame.data, frame.len);
    el_arena_reset(&arena);
    if (done != NULL) {
        p->asked[p->asked_count++] = (struct peer_ask){api, version, header.correlation_id, done, arg};
    }
}

void peer_lose(struct peer *p, bool reset)
{
    if (p->conn < 0) {
        return;
    }
    sim_net_drop(p->w->net, p->conn, reset);
    p->conn = -1;
    p->half_closed = false;
    p->out.len = p->in.len = 0;
    p->lost_count++;
    p->futile = EL_MIN(p->futile + 1, FUTILE_MAX);
    p->connect_ns = p->w->clock.now_ns + world_below(p->w, CONNECT_NS << p->futile); /* with patience */
    p->read_ns = 0;
    struct peer_ask lost[PEER_ASKED_MAX];
    uint32_t count = p->asked_count;
    memcpy(lost, p->asked, sizeof(lost[0]) * count);
    p->asked_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        lost[i].done(lost[i].arg, NULL);
    }
}

/* The first frame that came in, prefix off. returns 0 | EVLOG_ERR_... it is no answer to the oldest question */
static int answer_take(struct peer *p, const uint8_t *frame, size_t len)
{
    struct el_reader r;
    struct el_arena arena;
    int32_t correlation_id;
    if (p->asked_count == 0) {
        return EVLOG_ERR_CONFLICT;
    }
    struct peer_ask ask = p->asked[0];
    el_reader_init(&r, frame, len);
    int code = el_response_header_decode(&r, ask.api, ask.version, &correlation_id);
    if (code != 0 || correlation_id != ask.correlation_id) {
        return code != 0 ? code : EVLOG_ERR_CONFLICT;
    }
    el_arena_init(&arena, NULL, 0);
    void *response = el_arena_zalloc(&arena, ask.api->schema[EL_SIDE_RESPONSE]->size);
    EL_ASSERT(response != NULL);
    code = el_api_decode(ask.api, EL_SIDE_RESPONSE, ask.version, &r, &arena, response);
    if (code == 0) {
        p->futile = 0;
        audits_answer(p->w->audits, p->client, correlation_id, ask.api, ask.version, response);
        p->asked_count--;
        memmove(p->asked, p->asked + 1, sizeof(p->asked[0]) * p->asked_count);
        ask.done(ask.arg, response);
    }
    el_arena_reset(&arena);
    return code;
}

static void answers_take(struct peer *p)
{
    while (p->in.len >= EL_FRAME_PREFIX_LEN && p->w->violation[0] == 0) {
        size_t len = 0;
        int code = el_frame_len(p->in.data, EL_SIDE_RESPONSE, FRAME_LEN_MAX, &len);
        if (code == 0 && p->in.len < EL_FRAME_PREFIX_LEN + len) {
            return;
        }
        code = code != 0 ? code : answer_take(p, p->in.data + EL_FRAME_PREFIX_LEN, len);
        if (code != 0) {
            world_violation(p->w, "client %u: what came is not the answer to %s, which is next: %s", p->client,
                            p->asked_count == 0 ? "nothing" : p->asked[0].api->name, evlog_error_text(code));
            return;
        }
        bytes_drop(&p->in, EL_FRAME_PREFIX_LEN + len);
    }
}

static void receive(struct peer *p)
{
    uint8_t buf[READ_LEN];
    int64_t n = 1;
    while (n > 0 && p->conn >= 0) {
        n = sim_net_read(p->w->net, p->conn, buf, sizeof(buf));
        if (n > 0) {
            bytes_add(&p->in, buf, (size_t)n);
            answers_take(p);
        }
    }
    if (n < 0) {
        peer_lose(p, false);
    }
}

/* What clients do to their connections. */
static void mishap(struct peer *p)
{
    struct world *w = p->w;
    if (sim_disk_fault(w->disk, FAULT_CLIENT_LOSES)) {
        peer_lose(p, world_chance(w, 500000));
    } else if (sim_disk_fault(w->disk, FAULT_CLIENT_HALF_CLOSES)) {
        p->half_closed = true;
        sim_net_end(w->net, p->conn);
    } else if (sim_disk_fault(w->disk, FAULT_CLIENT_PAUSES)) {
        p->read_ns = w->clock.now_ns + world_below(w, 200000000);
    }
}

void peer_step(struct peer *p)
{
    struct world *w = p->w;
    if (p->conn < 0) {
        if (p->connect_ns <= w->clock.now_ns) {
            p->conn = sim_net_connect(w->net, p->client);
            p->connect_ns = w->clock.now_ns + 10000000 + world_below(w, 100000000); /* when nobody listens */
        }
        return;
    }
    if (p->out.len > 0 && !p->half_closed) {
        bytes_drop(&p->out, sim_net_write(w->net, p->conn, p->out.data, p->out.len));
    }
    if (p->read_ns <= w->clock.now_ns) {
        receive(p);
    }
    if (p->conn >= 0) {
        mishap(p);
    }
}

uint64_t peer_next(const struct peer *p)
{
    if (p->conn < 0) {
        return p->connect_ns;
    }
    return EL_MAX(p->read_ns, sim_net_read_at(p->w->net, p->conn));
}
