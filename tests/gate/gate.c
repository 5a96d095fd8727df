/* SPDX-License-Identifier: Apache-2.0
 *
 * See gate.h.
 */
#include "gate.h"

#include <core/alloc.h>
#include <net/conn.h>
#include <shard.h>
#include <stdlib.h>
#include <wire/frame.h>

#define FLAGS_MAX 16u
#define BUDDY_LEN (64u << 20)
#define FRAME_LEN_MAX 20000u
#define STEPS_MAX 1000000u
#define START_NS UINT64_C(1000000000)
#define WALL_NS INT64_C(1700000000000000000)
#define PIECE_NS 300000u /* in which every piece that was sent arrives */
#define SALT "saltsaltsaltsalt"
#define SALT_LEN 16u

static const uint8_t secret[SASL_SECRET_LEN] = "of the node";

/* --- life --------------------------------------------------------------------------------------------------------- */

static void config_make(struct gate *gate, const char *const *flags)
{
    const char *argv[FLAGS_MAX] = {"evlogd", "--ephemeral=true", "--listeners=SASL_PLAINTEXT://127.0.0.1:9092"};
    int count = 3;
    struct el_error err = {0};
    for (; *flags != NULL; flags++) {
        EL_ASSERT(count < (int)FLAGS_MAX);
        argv[count++] = *flags;
    }
    int code = config_load(&gate->cfg, count, (char *const *)(uintptr_t)argv, NULL, &err);
    EL_ASSERT(code == 0);
}

static void on_request(void *arg, struct request *request)
{
    struct gate *gate = EL_CONTAINER(arg, struct gate, api);
    gate->dispatch(&gate->api, request);
}

static void net_make(struct gate *gate)
{
    struct el_error err = {0};
    struct net_config config = shard_net_limits(&gate->cfg);
    config.listeners = gate->cfg.listener_table.list;
    config.listener_count = gate->cfg.listener_table.count;
    shard_net_calls(&config, &gate->api);
    config.dispatch = on_request;
    gate->dispatch = api_dispatch;
    int code = net_start(gate->io, &gate->buddy, gate->metrics, &config, &gate->net, &err);
    EL_ASSERT(code == 0);
}

void gate_begin(struct gate *gate, const char *const *flags)
{
    memset(gate, 0, sizeof *gate);
    gate->clock = (struct sim_clock){.now_ns = START_NS, .wall_offset = WALL_NS};
    el_rng_seed(&gate->rng, 1);
    gate->disk = sim_disk_create(&gate->rng);
    gate->wire = sim_net_create(&gate->clock, &gate->rng, gate->disk);
    gate->io = sim_io_create(&gate->clock, gate->disk, &gate->rng, 0);
    sim_io_network(gate->io, gate->wire);
    int code = el_buddy_init(&gate->buddy, BUDDY_LEN, NULL);
    EL_ASSERT(code == 0);
    code = metrics_create(&gate->metrics);
    EL_ASSERT(code == 0);
    config_make(gate, flags);
    gate->shard = gate_store_make(gate->io, &gate->buddy, gate->metrics);
    gate->node.config = &gate->cfg;
    auth_init(&gate->auth, &gate->buddy);
    code = api_init(&gate->api, gate->shard, &gate->node);
    EL_ASSERT(code == 0);
    gate->api.auth = &gate->auth;
    gate->api.sasl_secret = secret;
    net_make(gate);
}

static void on_stopped(void *arg)
{
    struct gate *gate = arg;
    net_free(gate->net);
    gate->net = NULL;
}

void gate_end(struct gate *gate)
{
    net_stop(gate->net, gate->clock.now_ns, on_stopped, gate);
    gate_run(gate, 1000 * GATE_MS);
    EL_ASSERT(gate->net == NULL);
    api_destroy(&gate->api);
    auth_destroy(&gate->auth);
    EL_ASSERT(gate->buddy.used == 0);
    EL_ASSERT(gate->io->op_count == 0);
    EL_ASSERT(gate->io->timer_count == 0);
    EL_ASSERT(sim_net_open_count(gate->wire) == 0);
    io_destroy(gate->io);
    sim_net_free(gate->wire);
    sim_disk_free(gate->disk);
    free(gate->shard);
    metrics_destroy(gate->metrics);
    el_buddy_destroy(&gate->buddy);
}

void gate_add_user(struct gate *gate, int mechanism, const char *name, const char *password)
{
    struct auth_user user = {.mechanism = mechanism,
                             .name = el_slice_str(name),
                             .iterations = EL_SCRAM_ITERATIONS_MIN,
                             .salt_len = SALT_LEN};
    uint8_t salted[EL_SCRAM_KEY_MAX];
    memcpy(user.salt, SALT, SALT_LEN);
    el_scram_salt(mechanism, el_slice_str(password), el_slice_of(user.salt, SALT_LEN), user.iterations, salted);
    el_scram_server_keys(mechanism, salted, user.stored_key, user.server_key);
    int code = auth_user_put(&gate->auth, &user);
    EL_ASSERT(code == 0);
}

/* As shard.c: our own code allocates nothing from the heap. */
static void step(struct gate *gate)
{
    el_alloc_seal(true);
    io_step(gate->io, 0);
    el_alloc_seal(false);
}

void gate_run(struct gate *gate, uint64_t ns)
{
    uint64_t until_ns = gate->clock.now_ns + ns;
    step(gate);
    for (uint32_t i = 0; gate->clock.now_ns < until_ns; i++) {
        EL_ASSERT(i < STEPS_MAX);
        gate->clock.now_ns = EL_MIN(EL_MAX(sim_io_next(gate->io), gate->clock.now_ns), until_ns);
        step(gate);
    }
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

void gate_connect(struct gate *gate, struct gate_conn *conn)
{
    conn->gate = gate;
    conn->correlation_id = 0;
    conn->closed = false;
    conn->len = 0;
    conn->wire = sim_net_connect(gate->wire, 1);
    EL_ASSERT(conn->wire >= 0);
    gate_run(gate, PIECE_NS);
}

void gate_seem_tls(struct gate *gate)
{
    gate->net->listeners[0].config.protocol = CONFIG_SASL_SSL;
}

void gate_drop(struct gate_conn *conn)
{
    sim_net_drop(conn->gate->wire, conn->wire, false);
    gate_run(conn->gate, PIECE_NS);
}

void gate_look(struct gate_conn *conn)
{
    int64_t n = 1;
    while (!conn->closed && n > 0 && conn->len < sizeof conn->bytes) {
        n = sim_net_read(conn->gate->wire, conn->wire, conn->bytes + conn->len, sizeof conn->bytes - conn->len);
        conn->closed = n < 0;
        conn->len += n > 0 ? (size_t)n : 0;
    }
}

void gate_send(struct gate_conn *conn, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len > 0 && !conn->closed && conn->len < sizeof conn->bytes) {
        size_t n = sim_net_write(conn->gate->wire, conn->wire, p, len);
        p += n;
        len -= n;
        if (n == 0) { /* its window is full */
            gate_run(conn->gate, PIECE_NS);
            gate_look(conn);
        }
    }
    gate_run(conn->gate, PIECE_NS);
}

size_t gate_frame(struct gate_conn *conn, enum el_api_key key, int version, const void *message, uint8_t *frame,
                  size_t room)
{
    struct el_arena arena;
    struct el_slice made;
    struct el_request_header header = {.api = el_api_find(key),
                                       .api_key = (int16_t)key,
                                       .version = (int16_t)version,
                                       .correlation_id = ++conn->correlation_id,
                                       .client_id = el_slice_str("gate")};
    el_arena_init(&arena, NULL, 0);
    int code = el_frame_build_request(&arena, &header, message, &made);
    EL_ASSERT(code == 0);
    EL_ASSERT(made.len <= room);
    memcpy(frame, made.data, made.len);
    el_arena_reset(&arena);
    return made.len;
}

void gate_ask(struct gate_conn *conn, enum el_api_key key, int version, const void *message)
{
    uint8_t frame[FRAME_LEN_MAX];
    gate_send(conn, frame, gate_frame(conn, key, version, message, frame, sizeof frame));
}

bool gate_answer(struct gate_conn *conn, enum el_api_key key, int version, struct el_arena *arena, void *out)
{
    struct el_reader r;
    size_t len = 0;
    int32_t correlation_id = 0;
    const struct el_api *api = el_api_find(key);
    gate_look(conn);
    if (conn->len < EL_FRAME_PREFIX_LEN) {
        return false;
    }
    int code = el_frame_len(conn->bytes, EL_SIDE_RESPONSE, sizeof conn->bytes, &len);
    EL_ASSERT(code == 0);
    if (conn->len < EL_FRAME_PREFIX_LEN + len) {
        return false;
    }
    uint8_t *frame = el_arena_alloc(arena, len);
    EL_ASSERT(frame != NULL);
    memcpy(frame, conn->bytes + EL_FRAME_PREFIX_LEN, len);
    conn->len -= EL_FRAME_PREFIX_LEN + len;
    memmove(conn->bytes, conn->bytes + EL_FRAME_PREFIX_LEN + len, conn->len);
    el_reader_init(&r, frame, len);
    code = el_response_header_decode(&r, api, version, &correlation_id);
    EL_ASSERT(code == 0);
    code = el_api_decode(api, EL_SIDE_RESPONSE, version, &r, arena, out);
    EL_ASSERT(code == 0);
    return true;
}
