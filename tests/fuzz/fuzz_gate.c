/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stranger may send to a listener that wants a proof: any bytes, to real connections and handlers on a simulated
 * network. Nobody gets in, nothing but proofs and ApiVersions is answered, memory stays bounded, answers are whole
 * frames, and when the stranger's time is over there is nothing left of it.
 *
 * The first byte says how it goes: bit 0 the listener offers PLAIN, as if TLS had been taken off before; bit 1 the
 * stranger closes when all is sent; bit 2 a proof was given before, by another mechanism; bits 3 to 7 into how many
 * pieces the rest is cut.
 */
#include "../gate/gate.h"

#include <core/logger.h>
#include <net/conn.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PLAIN 1
#define CLOSES 2
#define AGAIN 4
#define PIECES_SHIFT 3
#define MEMORY_MAX (512u << 10) /* beyond what the gate takes without a connection */
#define PAUSE_NS (2 * GATE_MS)
#define TIME_NS (15000 * GATE_MS) /* connections that have proved nothing have 10 s, and then linger for one */
#define PREFIX_LEN 4u

static struct gate gate;
static struct gate_conn conn;
static size_t memory_first;
static bool again;

static void say_nothing(void *arg, enum el_log_level level, const char *area, const char *text)
{
    (void)arg;
    (void)level;
    (void)area;
    (void)text;
}

/* With keys of no password: to make one takes milliseconds. */
static void add_user(void)
{
    struct auth_user user = {.mechanism = EL_SCRAM_SHA256,
                             .name = el_slice_str("alice"),
                             .iterations = EL_SCRAM_ITERATIONS_MIN,
                             .salt_len = AUTH_SALT_LEN_MIN};
    int code = auth_user_put(&gate.auth, &user);
    EL_ASSERT(code == 0);
}

static void on_request(void *arg, struct request *request)
{
    EL_ASSERT(!request_trusted(request));
    EL_ASSERT((request_proved_by(request) != 0) == again);
    EL_ASSERT(request->frame_len <= NET_UNTRUSTED_FRAME_LEN_MAX);
    EL_ASSERT(gate.buddy.used <= memory_first + MEMORY_MAX);
    api_dispatch(arg, request);
}

/* A proof was given, and its time is over. */
static void prove_before(void)
{
    EL_ASSERT(!el_list_empty(&gate.net->conns));
    struct conn *c = EL_CONTAINER(gate.net->conns.next, struct conn, link);
    int code = conn_set_principal(c, "User:alice");
    EL_ASSERT(code == 0);
    c->trusted = true;
    c->proof = (struct net_proof){.mechanism = EL_SCRAM_SHA512, .until_ns = 1, .births = gate.auth.user_births};
}

/* Whole frames, but where a connection was cut. returns false when there was none */
static bool take_frames(void)
{
    gate_look(&conn);
    size_t pos = 0;
    while (conn.len - pos >= PREFIX_LEN) {
        size_t len = PREFIX_LEN + el_get_be32(conn.bytes + pos);
        EL_ASSERT(len <= sizeof conn.bytes / 2);
        if (conn.len - pos < len) {
            break;
        }
        pos += len;
    }
    conn.len -= pos;
    memmove(conn.bytes, conn.bytes + pos, conn.len);
    return pos > 0;
}

static void take_answers(void)
{
    while (take_frames()) {
    }
}

static void send_pieces(const uint8_t *data, size_t len, size_t count)
{
    size_t piece = len / count + 1;
    for (size_t pos = 0; pos < len; pos += piece) {
        gate_send(&conn, data + pos, EL_MIN(piece, len - pos));
        gate_run(&gate, PAUSE_NS);
        take_answers();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    el_log_sink(say_nothing, NULL);
    gate_begin(&gate, (const char *[]){"--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
                                       "--connections-max-reauth-ms=60s", NULL});
    add_user();
    gate.dispatch = on_request;
    memory_first = gate.buddy.used;
    again = (data[0] & AGAIN) != 0;
    gate_connect(&gate, &conn);
    if ((data[0] & PLAIN) != 0) {
        gate_seem_tls(&gate);
    }
    if (again) {
        prove_before();
    }
    send_pieces(data + 1, len - 1, 1u + (data[0] >> PIECES_SHIFT));
    if ((data[0] & CLOSES) != 0) {
        gate_drop(&conn);
    }
    gate_run(&gate, TIME_NS);
    EL_ASSERT(metrics_get(gate.metrics, METRIC_AUTHENTICATIONS) == 0);
    EL_ASSERT(net_conn_count(gate.net) == 0);
    EL_ASSERT(net_request_count(gate.net) == 0);
    EL_ASSERT(metrics_get(gate.metrics, METRIC_UNPROVEN) == 0);
    if ((data[0] & CLOSES) == 0) {
        take_answers();
        EL_ASSERT(conn.closed);
        gate_drop(&conn);
    }
    gate_end(&gate);
    return 0;
}
