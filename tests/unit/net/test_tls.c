/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a listener with TLS answers as a plain one, keeps out who does not speak it or takes too long over it, and is
 * not used up by strangers. Method: a net over real sockets; clients are the library's other end, driven by the same
 * thread.
 */
#include "toy.h"

#include "../../lib/certs.h"

#include <core/alloc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIRE_MAX (40u << 10)

static char dir[512];
static struct el_tls_config *server_tls, *demanding_tls, *client_tls, *app_tls;
static struct config_listener ssl = {.name = "SSL", .protocol = CONFIG_SSL, .address = {.host = "127.0.0.1"}};

#define TOLD_MAX 16

/* What net has told of handshakes. */
static struct told {
    char principal[128], address[64], agreed[96], failure[32];
    uint8_t certificate[32];
} told[TOLD_MAX];
static uint32_t told_count;

struct client {
    int fd;
    struct el_tls *tls;
    bool done;
    uint8_t in[WIRE_MAX], out[WIRE_MAX];
    size_t in_len, out_len;
    uint8_t plain[64 << 10];
    size_t plain_len;
    size_t cut; /* bytes of one send, 0: all */
};

static struct el_tls_config *open_config(bool server, const char *own, enum el_tls_auth auth)
{
    struct el_tls_config *made = NULL;
    struct el_error err = {0};
    struct el_tls_options options = {.server = server,
                                     .certificate_file = own == NULL ? NULL : cert_path(dir, own, "pem"),
                                     .key_file = own == NULL ? NULL : cert_path(dir, own, "key"),
                                     .ca_file = cert_path(dir, "ca", "pem"),
                                     .auth = auth};
    if (el_tls_config_open(&options, &made, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return made;
}

static void on_shaken(void *arg, const struct net_handshake *handshake)
{
    assert_true(told_count < TOLD_MAX);
    struct told *row = &told[told_count++];
    memset(row, 0, sizeof *row);
    assert_string_equal(handshake->listener->name, "SSL");
    snprintf(row->address, sizeof row->address, "%.*s", (int)handshake->address.len, handshake->address.data);
    if (handshake->principal == NULL) {
        snprintf(row->failure, sizeof row->failure, "%s", handshake->failure);
        return;
    }
    assert_null(handshake->failure);
    snprintf(row->principal, sizeof row->principal, "%s", handshake->principal);
    snprintf(row->agreed, sizeof row->agreed, "%s %s", handshake->version, handshake->cipher);
    memcpy(row->certificate, handshake->certificate, sizeof row->certificate);
}

static void with_tls(struct net_config *config)
{
    if (dir[0] == 0) {
        snprintf(dir, sizeof dir, "%s", el_test_dir());
        cert_make(dir, &(struct cert_wish){.name = "ca", .ca = true});
        cert_make(dir, &(struct cert_wish){.name = "server", .issuer = "ca", .dns = "localhost"});
        cert_make(dir, &(struct cert_wish){.name = "app", .issuer = "ca", .subject = "O=Example,CN=app"});
        server_tls = open_config(true, "server", EL_TLS_AUTH_REQUESTED);
        client_tls = open_config(false, NULL, 0);
        app_tls = open_config(false, "app", 0);
    }
    told_count = 0;
    config->shaken = on_shaken;
    config->listeners = &ssl;
    config->tls[0] = server_tls;
}

static void with_two(struct net_config *config)
{
    static const struct config_listener both[2] = {
        {.name = "SSL", .protocol = CONFIG_SSL, .address = {.host = "127.0.0.1"}},
        {.name = "SSL", .protocol = CONFIG_SSL, .address = {.host = "127.0.0.1"}},
    };
    with_tls(config);
    if (demanding_tls == NULL) {
        demanding_tls = open_config(true, "server", EL_TLS_AUTH_REQUIRED);
    }
    config->listeners = both;
    config->listener_count = 2;
    config->tls[1] = demanding_tls;
}

static void client_open_to(struct toy *toy, struct client *c, struct el_tls_config *config, uint32_t listener)
{
    memset(c, 0, sizeof *c);
    c->fd = toy_connect_to(toy, listener);
    c->tls = el_tls_new(config, "localhost");
    assert_non_null(c->tls);
}

static void client_open(struct toy *toy, struct client *c, struct el_tls_config *config)
{
    client_open_to(toy, c, config, 0);
}

static void client_close(struct client *c)
{
    el_tls_free(c->tls);
    close(c->fd);
}

static void flush(struct toy *toy, struct client *c)
{
    for (size_t pos = 0; pos < c->out_len;) {
        size_t len = c->cut == 0 || c->cut > c->out_len - pos ? c->out_len - pos : c->cut;
        toy_send(toy, c->fd, c->out + pos, len);
        pos += len;
        if (c->cut != 0) {
            toy_step(toy);
        }
    }
    c->out_len = 0;
}

/* Take what has come. returns false when the other side has closed */
static bool pull(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, WIRE_MAX - c->in_len, MSG_DONTWAIT);
    c->in_len += n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static int shake_once(struct toy *toy, struct client *c, struct el_error *err)
{
    struct el_tls_bytes bytes = {.in = c->in, .in_len = c->in_len, .out = c->out, .out_room = WIRE_MAX};
    int rc = el_tls_handshake(c->tls, &bytes, err);
    memmove(c->in, bytes.in, bytes.in_len);
    c->in_len = bytes.in_len;
    c->out_len = bytes.out_len;
    flush(toy, c);
    return rc;
}

static void shake(struct toy *toy, struct client *c)
{
    struct el_error err = {0};
    int rc = EL_TLS_WANT_IN;
    TOY_UNTIL(toy, (pull(c), rc = shake_once(toy, c, &err)) != EL_TLS_WANT_IN);
    if (rc != EL_TLS_DONE) {
        fail_msg("%s", err.text);
    }
}

static void ask(struct toy *toy, struct client *c, int32_t id, const void *body, size_t body_len)
{
    uint8_t *frame = malloc(body_len + 64);
    assert_non_null(frame);
    size_t len = toy_frame(frame, id, body, body_len);
    for (size_t pos = 0; pos < len;) {
        struct el_tls_bytes bytes = {.out = c->out, .out_room = WIRE_MAX};
        int64_t n = el_tls_write(c->tls, &bytes, frame + pos, len - pos);
        assert_true(n > 0);
        pos += (size_t)n;
        c->out_len = bytes.out_len;
        flush(toy, c);
    }
    free(frame);
}

/* len plain bytes of answers into data. */
static void take(struct toy *toy, struct client *c, uint8_t *data, size_t len)
{
    uint64_t until_ns = io_mono(toy->io) + 60000000000u;
    while (len > 0) {
        struct el_tls_bytes bytes = {.in = c->in, .in_len = c->in_len};
        int64_t n = el_tls_read(c->tls, &bytes, data, len);
        memmove(c->in, bytes.in, bytes.in_len);
        c->in_len = bytes.in_len;
        assert_true(n >= 0);
        data += n;
        len -= (size_t)n;
        if (n == 0 && c->in_len == 0) {
            assert_true(io_mono(toy->io) < until_ns);
            toy_step(toy);
            assert_true(pull(c));
        }
    }
}

static void expect(struct toy *toy, struct client *c, int32_t id, const void *body, size_t len)
{
    uint8_t head[8];
    take(toy, c, head, sizeof head);
    assert_int_equal(el_get_be32(head), len + 4);
    assert_int_equal(el_get_be32(head + 4), id);
    uint8_t *got = malloc(len + 1);
    assert_non_null(got);
    take(toy, c, got, len);
    assert_memory_equal(got, body, len);
    free(got);
}

static struct client one, two;

/* --- refusals ----------------------------------------------------------------------------------------------------- */

EACH_BACKEND_WITH(tls_clients_that_speak_plainly_are_closed_at_once, with_tls)
{
    int plain = toy_connect(toy), http = toy_connect(toy);
    toy_request(toy, plain, 1, "echo");
    toy_expect_close(toy, plain);
    toy_send(toy, http, "GET / HTTP/1.1\r\n\r\n", 18);
    toy_expect_close(toy, http);
    assert_non_null(strstr(toy->log, "does not speak TLS"));
    assert_int_equal(toy->dispatch_count, 0);
    assert_int_equal(metrics_get(toy->metrics, METRIC_TLS_REFUSED), 2);
    assert_int_equal(told_count, 2);
    assert_string_equal(told[0].failure, "no_tls");
    assert_string_equal(told[1].failure, "no_tls");
    assert_string_equal(told[1].address, "127.0.0.1");
    close(plain);
    close(http);
}

EACH_BACKEND_WITH(tls_garbage_behind_the_head_of_a_record_is_refused, with_tls)
{
    static uint8_t garbage[5000] = {22, 3, 1, 1, 0};
    for (size_t len = 261; len <= sizeof garbage; len += 4739) {
        el_put_be16(garbage + 3, (uint16_t)(len - 5));
        int fd = toy_connect(toy);
        toy_send(toy, fd, garbage, len);
        toy_expect_close(toy, fd);
        close(fd);
    }
    assert_int_equal(metrics_get(toy->metrics, METRIC_TLS_REFUSED), 2);
}

static void short_handshake(struct net_config *config)
{
    with_tls(config);
    config->handshake_ns_max = 20000000;
}

EACH_BACKEND_WITH(tls_handshakes_that_do_not_end_in_time_are_closed, short_handshake)
{
    struct el_error err = {0};
    int silent = toy_connect(toy), half = toy_connect(toy);
    toy_send(toy, half, "\x16\x03\x01\x02", 4);
    client_open(toy, &one, client_tls);
    assert_int_equal(shake_once(toy, &one, &err), EL_TLS_WANT_IN); /* and says no more */
    toy_expect_close(toy, silent);
    toy_expect_close(toy, half);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(metrics_get(toy->metrics, METRIC_TLS_REFUSED), 3);
    assert_int_equal(metrics_get(toy->metrics, METRIC_TLS_HALF_OPEN), 0);
    assert_int_equal(told_count, 3);
    assert_string_equal(told[2].failure, "too_late");
    close(silent);
    close(half);
    client_close(&one);
}

EACH_BACKEND_WITH(tls_records_that_were_changed_end_the_connection, with_tls)
{
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    struct el_tls_bytes bytes = {.out = one.out, .out_room = WIRE_MAX};
    assert_int_equal(el_tls_write(one.tls, &bytes, "\0\0\0\x0e", 4), 4);
    one.out[bytes.out_len - 1] ^= 1;
    one.out_len = bytes.out_len;
    flush(toy, &one);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_non_null(strstr(toy->log, "damaged or not authentic"));
    client_close(&one);
}

static void few_handshakes(struct net_config *config)
{
    with_tls(config);
    config->handshake_count_max = 2;
    config->handshake_patience_ns = 1;
}

/* More strangers begin than there is room for, and go silent: who means it gets through, and memory does not grow. */
EACH_BACKEND_WITH(tls_handshakes_that_keep_us_waiting_make_room, few_handshakes)
{
    static struct client idle[6];
    struct el_error err = {0};
    for (int i = 0; i < 6; i++) {
        client_open(toy, &idle[i], client_tls);
        assert_int_equal(shake_once(toy, &idle[i], &err), EL_TLS_WANT_IN);
        toy_step(toy);
        assert_true(metrics_get(toy->metrics, METRIC_TLS_HALF_OPEN) <= 2);
    }
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    ask(toy, &one, 5, "echo", 4);
    expect(toy, &one, 5, "echo", 4);
    assert_true(metrics_get(toy->metrics, METRIC_TLS_REFUSED) >= 1);
    assert_int_equal(told_count, metrics_get(toy->metrics, METRIC_TLS_REFUSED));
    assert_string_equal(told[0].failure, "made_room");
    for (int i = 0; i < 6; i++) {
        client_close(&idle[i]);
    }
    client_close(&one);
}

/* A crowd has begun before, each with a whole first record: who comes behind it does not wait for all of them. */
EACH_BACKEND_WITH(tls_clients_behind_a_crowd_are_served_before_it, few_handshakes)
{
    enum { CROWD = 40 };
    static struct client crowd[CROWD];
    struct el_error err = {0};
    for (int i = 0; i < CROWD; i++) {
        client_open(toy, &crowd[i], client_tls);
        assert_int_equal(shake_once(toy, &crowd[i], &err), EL_TLS_WANT_IN);
    }
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    assert_true(metrics_get(toy->metrics, METRIC_TLS_REFUSED) < CROWD / 2);
    for (int i = 0; i < CROWD; i++) {
        client_close(&crowd[i]);
    }
    client_close(&one);
}

/* --- who clients are ---------------------------------------------------------------------------------------------- */

/* Shake hands as long as the other side does. */
static void shake_until_refused(struct toy *toy, struct client *c)
{
    struct el_error err = {0};
    uint32_t before = told_count;
    TOY_UNTIL(toy, (pull(c), told_count > before || shake_once(toy, c, &err) < 0) && told_count > before);
    client_close(c);
}

EACH_BACKEND_WITH(tls_certificates_that_say_who_a_client_is_are_told, with_tls)
{
    uint8_t digest[32];
    client_open(toy, &two, client_tls); /* anonymous: it proves nothing */
    shake(toy, &two);
    ask(toy, &two, 1, "echo", 4);
    expect(toy, &two, 1, "echo", 4);
    assert_int_equal(told_count, 0);
    client_open(toy, &one, app_tls);
    shake(toy, &one);
    ask(toy, &one, 1, "echo", 4);
    expect(toy, &one, 1, "echo", 4);
    assert_int_equal(told_count, 1);
    assert_string_equal(told[0].principal, "User:CN=app,O=Example");
    assert_string_equal(told[0].address, "127.0.0.1");
    assert_int_equal(strncmp(told[0].agreed, "TLSv1.2 ECDHE-", 14), 0);
    assert_string_equal(told[0].agreed + 8, el_tls_cipher(one.tls));
    cert_digest(dir, "app", digest);
    assert_memory_equal(told[0].certificate, digest, sizeof digest);
    assert_int_equal(metrics_get(toy->metrics, METRIC_AUTHENTICATIONS), 1);
    client_close(&one);
    client_close(&two);
}

EACH_BACKEND_WITH(tls_clients_that_are_refused_are_told_with_the_reason, with_tls)
{
    struct el_tls_config *foreign, *required;
    el_alloc_seal(false);
    cert_make(dir, &(struct cert_wish){.name = "other", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "foreign", .issuer = "other"});
    foreign = open_config(false, "foreign", 0);
    required = open_config(true, "server", EL_TLS_AUTH_REQUIRED);
    el_alloc_seal(true);
    client_open(toy, &one, foreign);
    shake_until_refused(toy, &one);
    net_set_tls(toy->net, (struct el_tls_config *[CONFIG_LISTENERS_MAX]){required});
    client_open(toy, &one, client_tls);
    shake_until_refused(toy, &one);
    assert_int_equal(told_count, 2);
    assert_string_equal(told[0].failure, "certificate_foreign");
    assert_string_equal(told[1].failure, "no_certificate");
    assert_string_equal(told[1].principal, "");
    assert_int_equal(metrics_get(toy->metrics, METRIC_AUTHENTICATIONS), 0);
    el_tls_config_unref(foreign);
    el_tls_config_unref(required);
}

EACH_BACKEND_WITH(tls_of_a_listener_is_its_own, with_two)
{
    client_open_to(toy, &one, client_tls, 1);
    shake_until_refused(toy, &one);
    assert_string_equal(told[0].failure, "no_certificate");
    client_open_to(toy, &one, app_tls, 1);
    shake(toy, &one);
    ask(toy, &one, 1, "echo", 4);
    expect(toy, &one, 1, "echo", 4);
    client_open_to(toy, &two, client_tls, 0);
    shake(toy, &two);
    ask(toy, &two, 1, "echo", 4);
    expect(toy, &two, 1, "echo", 4);
    client_close(&one);
    client_close(&two);
}

/* --- service ------------------------------------------------------------------------------------------------------ */

EACH_BACKEND_WITH(tls_requests_are_answered_in_order_whatever_their_length, with_tls)
{
    static uint8_t large[700000];
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    for (size_t i = 0; i < sizeof large; i++) {
        large[i] = (uint8_t)(i * 13 + i / 251);
    }
    large[0] = 'e';
    for (int32_t i = 0; i < 40; i++) {
        ask(toy, &one, i, "echo", 4);
    }
    ask(toy, &one, 40, large, sizeof large);
    ask(toy, &one, 41, "hold", 4);
    TOY_UNTIL(toy, toy->held_count == 1);
    assert_string_equal(request_principal(toy->held[0]), "User:ANONYMOUS");
    toy_answer(toy, 0);
    for (int32_t i = 0; i < 40; i++) {
        expect(toy, &one, i, "echo", 4);
    }
    expect(toy, &one, 40, large, sizeof large);
    expect(toy, &one, 41, "hold", 4);
    client_close(&one);
}

EACH_BACKEND_WITH(tls_in_pieces_of_one_byte_is_as_good, with_tls)
{
    client_open(toy, &one, app_tls);
    one.cut = 1;
    shake(toy, &one);
    ask(toy, &one, 1, "hold", 4);
    TOY_UNTIL(toy, toy->held_count == 1);
    assert_string_equal(request_principal(toy->held[0]), "User:CN=app,O=Example");
    toy_answer(toy, 0);
    expect(toy, &one, 1, "hold", 4);
    client_close(&one);
}

EACH_BACKEND_WITH(tls_contexts_that_are_exchanged_serve_new_connections_and_old_ones_stay, with_tls)
{
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    el_alloc_seal(false);
    cert_make(dir, &(struct cert_wish){.name = "later", .issuer = "ca", .subject = "CN=later", .dns = "localhost"});
    struct el_tls_config *later = open_config(true, "later", EL_TLS_AUTH_NONE);
    el_alloc_seal(true);
    net_set_tls(toy->net, (struct el_tls_config *[CONFIG_LISTENERS_MAX]){later});
    el_tls_config_unref(later);
    client_open(toy, &two, client_tls);
    shake(toy, &two);
    char name[64];
    assert_int_equal(el_tls_name_text(el_tls_peer_subject(one.tls), name, sizeof name), 0);
    assert_string_equal(name, "CN=server");
    assert_int_equal(el_tls_name_text(el_tls_peer_subject(two.tls), name, sizeof name), 0);
    assert_string_equal(name, "CN=later");
    struct client *both[] = {&one, &two};
    for (int32_t i = 0; i < 2; i++) {
        ask(toy, both[i], i, "echo", 4);
        expect(toy, both[i], i, "echo", 4);
        client_close(both[i]);
    }
}

static void long_linger(struct net_config *config)
{
    with_tls(config);
    config->linger_ns_max = 60000000000u;
}

EACH_BACKEND_WITH(tls_connections_are_answered_and_told_at_a_stop, long_linger)
{
    struct el_error err = {0};
    uint8_t byte;
    client_open(toy, &one, client_tls);
    shake(toy, &one);
    client_open(toy, &two, client_tls);
    assert_int_equal(shake_once(toy, &two, &err), EL_TLS_WANT_IN); /* in the middle of a handshake */
    ask(toy, &one, 1, "hold", 4);
    TOY_UNTIL(toy, toy->held_count == 1 && net_conn_count(toy->net) == 2);
    toy_begin_stop(toy);
    toy_answer(toy, 0);
    expect(toy, &one, 1, "hold", 4);
    int64_t rc = 0;
    TOY_UNTIL(toy, pull(&one) && one.in_len > 0);
    struct el_tls_bytes bytes = {.in = one.in, .in_len = one.in_len};
    rc = el_tls_read(one.tls, &bytes, &byte, 1);
    assert_int_equal(rc, EVLOG_ERR_CLOSED);
    client_close(&one);
    client_close(&two);
    TOY_UNTIL(toy, toy->stopped_count == 1);
}
