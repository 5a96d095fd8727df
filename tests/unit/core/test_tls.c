/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: only a handshake of the profile, with a certificate that is as it should be, ends in a connection, whatever
 * bytes come and however they are cut; what goes in at one end comes out at the other. Method: both ends in one
 * thread over two buffers; certificates made on the spot, a bad one for each way to be bad.
 */
#include "../../lib/certs.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/tls.h>

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIRE_MAX (64u << 10)

/* Bytes on their way in one direction. */
struct wire {
    uint8_t bytes[WIRE_MAX];
    size_t len;
};

struct pair {
    struct el_tls *client, *server;
    struct wire to_server, to_client;
    struct el_error client_err, server_err;
    size_t step; /* bytes handed over at once */
};

static char dir[512];
static struct el_error err;

static void files(void)
{
    if (dir[0] != 0) {
        return;
    }
    snprintf(dir, sizeof dir, "%s", el_test_dir());
    cert_make(dir, &(struct cert_wish){.name = "ca", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "server", .issuer = "ca", .dns = "broker.example", .ip = "127.0.0.1"});
    cert_make(dir, &(struct cert_wish){.name = "app", .issuer = "ca", .subject = "O=Example,CN=app"});
}

static struct el_tls_config *config(bool server, const char *own, const char *ca, enum el_tls_auth auth)
{
    struct el_tls_config *made = NULL;
    struct el_tls_options options = {
        .server = server,
        .certificate_file = own == NULL ? NULL : cert_path(dir, own, "pem"),
        .key_file = own == NULL ? NULL : cert_path(dir, own, "key"),
        .ca_file = ca == NULL ? NULL : cert_path(dir, ca, "pem"),
        .auth = auth,
    };
    int rc = el_tls_config_open(&options, &made, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return made;
}

/* One step of one end: takes what has come, at most pair->step bytes at once, and puts its own on the other wire. */
static int turn(struct pair *pair, bool server)
{
    struct wire *in = server ? &pair->to_server : &pair->to_client;
    struct wire *out = server ? &pair->to_client : &pair->to_server;
    size_t len = in->len < pair->step ? in->len : pair->step;
    struct el_tls_bytes bytes = {
        .in = in->bytes, .in_len = len, .out = out->bytes + out->len, .out_room = WIRE_MAX - out->len};
    int rc = el_tls_handshake(server ? pair->server : pair->client, &bytes,
                              server ? &pair->server_err : &pair->client_err);
    out->len += bytes.out_len;
    size_t taken = len - bytes.in_len;
    memmove(in->bytes, in->bytes + taken, in->len - taken);
    in->len -= taken;
    return rc;
}

static void pair_open(struct pair *pair, struct el_tls_config *client, struct el_tls_config *server, const char *host)
{
    pair->step = WIRE_MAX;
    pair->to_server.len = pair->to_client.len = 0;
    pair->client_err = pair->server_err = (struct el_error){.code = 0};
    pair->client = el_tls_new(client, host);
    pair->server = el_tls_new(server, NULL);
    assert_non_null(pair->client);
    assert_non_null(pair->server);
    el_tls_config_unref(client);
    el_tls_config_unref(server);
}

/* To the end of both; returns the first code that is an error, or 0. */
static int shake(struct pair *pair)
{
    int client = EL_TLS_WANT_IN, server = EL_TLS_WANT_IN;
    for (int i = 0; i < 20000; i++) {
        client = client == EL_TLS_WANT_IN ? turn(pair, false) : client;
        server = server == EL_TLS_WANT_IN ? turn(pair, true) : server;
        if (client < 0 || server < 0) {
            return client < 0 ? client : server;
        }
        if (client == EL_TLS_DONE && server == EL_TLS_DONE) {
            return 0;
        }
    }
    fail_msg("the handshake does not end");
    return -1;
}

static void pair_close(struct pair *pair)
{
    el_tls_free(pair->client);
    el_tls_free(pair->server);
}

static struct pair pair;

static void assert_refused(struct el_tls_config *client, struct el_tls_config *server, const char *host, int code,
                           const char *said)
{
    pair_open(&pair, client, server, host);
    assert_int_equal(shake(&pair), code);
    const char *text = pair.client_err.code != 0 ? pair.client_err.text : pair.server_err.text;
    if (strstr(text, said) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", text, said);
    }
    pair_close(&pair);
}

/* --- files that are refused --------------------------------------------------------------------------------------- */

static void assert_files_refused(const char *said, const char *certificate, const char *key, const char *ca)
{
    struct el_tls_config *made = NULL;
    struct el_tls_options options = {.server = true, .certificate_file = certificate, .key_file = key, .ca_file = ca};
    err = (struct el_error){.code = 0};
    assert_int_equal(el_tls_config_open(&options, &made, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_null(made);
    if (strstr(err.text, said) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, said);
    }
}

TEST(tls, files_that_cannot_serve_are_refused_by_name_and_reason)
{
    files();
    const char *good = cert_path(dir, "server", "pem"), *key = cert_path(dir, "server", "key");
    assert_files_refused("nowhere.pem: No such file", cert_path(dir, "nowhere", "pem"), key, NULL);
    assert_files_refused("nowhere.key: No such file", good, cert_path(dir, "nowhere", "key"), NULL);
    assert_files_refused("is a directory", dir, key, NULL);
    assert_files_refused("no PEM file of certificates", cert_path(dir, "server", "key"), key, NULL);
    assert_files_refused("no private key in PEM", good, cert_path(dir, "ca", "pem"), NULL);
    assert_files_refused("does not belong to the key", good, cert_path(dir, "app", "key"), NULL);
    assert_files_refused("given together", good, NULL, NULL);
    assert_files_refused("nowhere.pem: No such file", good, key, cert_path(dir, "nowhere", "pem"));
    assert_int_equal(chmod(key, 0644), 0);
    assert_files_refused("chmod 600", good, key, NULL);
    assert_int_equal(chmod(key, 0660), 0);
    assert_files_refused("chmod 600", good, key, NULL);
    assert_int_equal(chmod(key, 0600), 0);
}

TEST(tls, certificates_that_are_no_longer_or_not_yet_or_too_weak_are_refused_at_start)
{
    files();
    cert_make(dir, &(struct cert_wish){.name = "bad", .issuer = "ca", .days_from = -9, .days_to = -1});
    assert_files_refused("has expired: renew it", cert_path(dir, "bad", "pem"), cert_path(dir, "bad", "key"), NULL);
    cert_make(dir, &(struct cert_wish){.name = "bad", .issuer = "ca", .days_from = 2, .days_to = 9});
    assert_files_refused("not in force yet", cert_path(dir, "bad", "pem"), cert_path(dir, "bad", "key"), NULL);
    cert_make(dir, &(struct cert_wish){.name = "bad", .issuer = "ca", .sha1 = true});
    assert_files_refused("weaker than SHA-256", cert_path(dir, "bad", "pem"), cert_path(dir, "bad", "key"), NULL);
    cert_make(dir, &(struct cert_wish){.name = "bad", .issuer = "ca", .p521 = true});
    assert_files_refused("P-256 or P-384", cert_path(dir, "bad", "pem"), cert_path(dir, "bad", "key"), NULL);
}

/* Write the certificates of the files names[] into NAME.pem, one behind the other, with the key of the first. */
static void chain_make(const char *name, const char *const *names, size_t count)
{
    char command[4096];
    size_t len = (size_t)snprintf(command, sizeof command, "cat");
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(command + len, sizeof command - len, " '%s'", cert_path(dir, names[i], "pem"));
    }
    snprintf(command + len, sizeof command - len, " > '%s' && cp -p '%s' '%s'", cert_path(dir, name, "pem"),
             cert_path(dir, names[0], "key"), cert_path(dir, name, "key"));
    assert_int_equal(system(command), 0);
}

TEST(tls, a_servers_chain_has_no_gap_and_is_in_force)
{
    files();
    cert_make(dir, &(struct cert_wish){.name = "other", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "upper", .issuer = "ca", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "lower", .issuer = "upper", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "past", .issuer = "ca", .ca = true, .days_from = -9, .days_to = -1});
    cert_make(dir, &(struct cert_wish){.name = "noca", .issuer = "ca"});
    cert_make(dir, &(struct cert_wish){.name = "leaf", .issuer = "lower", .dns = "broker.example"});
    cert_make(dir, &(struct cert_wish){.name = "oldleaf", .issuer = "past", .dns = "broker.example"});
    cert_make(dir, &(struct cert_wish){.name = "badleaf", .issuer = "noca", .dns = "broker.example"});
    cert_make(dir, &(struct cert_wish){.name = "self", .dns = "broker.example"});
    struct {
        const char *const names[4];
        size_t count;
        const char *said; /* NULL: it is taken */
    } rows[] = {
        {{"leaf"}, 1, NULL}, /* who knows whom clients know */
        {{"self"}, 1, NULL},
        {{"leaf", "lower"}, 2, NULL},
        {{"leaf", "lower", "upper"}, 3, NULL},
        {{"leaf", "lower", "upper", "ca"}, 4, NULL},
        {{"leaf", "upper"}, 2, "its chain is not complete: each certificate must be followed"},
        {{"leaf", "lower", "ca"}, 3, "its chain is not complete: each certificate must be followed"},
        {{"leaf", "lower", "other"}, 3, "its chain is not complete: each certificate must be followed"},
        {{"self", "other"}, 2, "its chain is not complete"},
        {{"oldleaf", "past"}, 2, "its chain is not complete: it has expired"},
        {{"badleaf", "noca"}, 2, "its chain is not complete"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        chain_make("chain", rows[i].names, rows[i].count);
        if (rows[i].said == NULL) {
            el_tls_config_unref(config(true, "chain", NULL, 0));
        } else {
            assert_files_refused(rows[i].said, cert_path(dir, "chain", "pem"), cert_path(dir, "chain", "key"), NULL);
        }
    }
}

TEST(tls, a_chain_lacks_what_clients_were_shown_before)
{
    files();
    cert_make(dir, &(struct cert_wish){.name = "upper", .issuer = "ca", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "leaf", .issuer = "upper", .dns = "broker.example"});
    cert_make(dir, &(struct cert_wish){.name = "next", .issuer = "upper", .dns = "broker.example"});
    struct {
        const char *const before[3], *const now[3];
        size_t before_count, now_count;
        bool lacks;
    } rows[] = {
        {{"leaf", "upper"}, {"next"}, 2, 1, true},
        {{"leaf", "upper", "ca"}, {"next"}, 3, 1, true},
        {{"leaf", "upper"}, {"next", "upper"}, 2, 2, false},
        {{"leaf", "upper", "ca"}, {"next", "upper"}, 3, 2, false}, /* clients have roots themselves */
        {{"leaf"}, {"next"}, 1, 1, false},
        {{"leaf", "upper"}, {"server"}, 2, 1, false}, /* of the root itself */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64] = "";
        chain_make("before", rows[i].before, rows[i].before_count);
        chain_make("now", rows[i].now, rows[i].now_count);
        struct el_tls_config *before = config(true, "before", NULL, 0), *now = config(true, "now", NULL, 0);
        assert_int_equal(el_tls_config_lacks(now, before, name, sizeof name), rows[i].lacks);
        assert_string_equal(name, rows[i].lacks ? "CN=upper" : "");
        el_tls_config_unref(before);
        el_tls_config_unref(now);
    }
}

/* --- handshakes that are refused ---------------------------------------------------------------------------------- */

TEST(tls, a_client_refuses_a_server_that_is_not_who_it_should_be)
{
    files();
    cert_make(dir, &(struct cert_wish){.name = "other", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "lone", .dns = "broker.example"});
    cert_make(dir, &(struct cert_wish){.name = "foreign", .issuer = "other", .dns = "broker.example"});
    struct {
        const char *own, *host, *said;
    } rows[] = {
        {"server", "other.example", "it is for another name"},
        {"server", "example", "it is for another name"},
        {"server", "127.0.0.2", "it is for another name"},
        {"server", "::1", "it is for another name"},
        {"lone", "broker.example", "no CA that is trusted here"},
        {"foreign", "broker.example", "no CA that is trusted here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_refused(config(false, NULL, "ca", 0), config(true, rows[i].own, NULL, 0), rows[i].host, EVLOG_ERR_POLICY,
                       rows[i].said);
    }
}

TEST(tls, a_server_refuses_clients_without_a_certificate_or_with_a_foreign_one)
{
    files();
    cert_make(dir, &(struct cert_wish){.name = "other", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "foreign", .issuer = "other"});
    cert_make(dir, &(struct cert_wish){.name = "self"});
    const char *host = "broker.example";
    assert_refused(config(false, NULL, "ca", 0), config(true, "server", "ca", EL_TLS_AUTH_REQUIRED), host,
                   EVLOG_ERR_POLICY, "shows no certificate");
    const char *bad[] = {"foreign", "self"};
    for (size_t i = 0; i < 2; i++) {
        assert_refused(config(false, bad[i], "ca", 0), config(true, "server", "ca", EL_TLS_AUTH_REQUIRED), host,
                       EVLOG_ERR_POLICY, "no CA that is trusted here");
        assert_refused(config(false, bad[i], "ca", 0), config(true, "server", "ca", EL_TLS_AUTH_REQUESTED), host,
                       EVLOG_ERR_POLICY, "no CA that is trusted here");
    }
}

/* A client as others have it, by the library itself: what it offers is outside of the profile. */
struct stranger {
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
};

static int stranger_send(void *arg, const unsigned char *buf, size_t len)
{
    memcpy(pair.to_server.bytes + pair.to_server.len, buf, len);
    pair.to_server.len += len;
    return (int)len;
}

static int stranger_recv(void *arg, unsigned char *buf, size_t len)
{
    size_t n = len < pair.to_client.len ? len : pair.to_client.len;
    memcpy(buf, pair.to_client.bytes, n);
    memmove(pair.to_client.bytes, pair.to_client.bytes + n, pair.to_client.len - n);
    pair.to_client.len -= n;
    return n == 0 ? MBEDTLS_ERR_SSL_WANT_READ : (int)n;
}

static int stranger_random(void *arg, unsigned char *buf, size_t len)
{
    memset(buf, 7, len);
    return 0;
}

static void stranger_open(struct stranger *stranger, int minor, const int *ciphers)
{
    mbedtls_ssl_config_init(&stranger->config);
    mbedtls_ssl_init(&stranger->ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&stranger->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&stranger->config, stranger_random, NULL);
    mbedtls_ssl_conf_authmode(&stranger->config, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_max_version(&stranger->config, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
    mbedtls_ssl_conf_renegotiation(&stranger->config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    if (ciphers != NULL) {
        mbedtls_ssl_conf_ciphersuites(&stranger->config, ciphers);
    }
    assert_int_equal(mbedtls_ssl_setup(&stranger->ssl, &stranger->config), 0);
    mbedtls_ssl_set_bio(&stranger->ssl, NULL, stranger_send, stranger_recv, NULL);
    pair.step = WIRE_MAX;
    pair.to_server.len = pair.to_client.len = 0;
    struct el_tls_config *server = config(true, "server", NULL, 0);
    pair.server = el_tls_new(server, NULL);
    pair.client = NULL;
    el_tls_config_unref(server);
}

/* returns what the server says in the end */
static int stranger_shake(struct stranger *stranger)
{
    int server = EL_TLS_WANT_IN, client = MBEDTLS_ERR_SSL_WANT_READ;
    for (int i = 0; i < 50 && (server == EL_TLS_WANT_IN || client == MBEDTLS_ERR_SSL_WANT_READ); i++) {
        client = client == MBEDTLS_ERR_SSL_WANT_READ ? mbedtls_ssl_handshake(&stranger->ssl) : client;
        server = server == EL_TLS_WANT_IN ? turn(&pair, true) : server;
    }
    return server;
}

static void stranger_close(struct stranger *stranger)
{
    mbedtls_ssl_free(&stranger->ssl);
    mbedtls_ssl_config_free(&stranger->config);
    pair_close(&pair);
}

TEST(tls, old_versions_and_other_ciphers_are_refused)
{
    static const int cbc[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, 0};
    static const int ccm[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM, 0};
    static const int no_ecdhe[] = {MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256, 0};
    static const int dhe[] = {MBEDTLS_TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, 0};
    static const struct {
        int minor;
        const int *ciphers;
    } rows[] = {
        {MBEDTLS_SSL_MINOR_VERSION_3, cbc},
        {MBEDTLS_SSL_MINOR_VERSION_3, ccm},
        {MBEDTLS_SSL_MINOR_VERSION_3, no_ecdhe},
        {MBEDTLS_SSL_MINOR_VERSION_3, dhe},
#if MBEDTLS_VERSION_MAJOR < 3 /* 3.6 knows no older version */
        {MBEDTLS_SSL_MINOR_VERSION_1, NULL},
        {MBEDTLS_SSL_MINOR_VERSION_2, NULL},
#endif
    };
    files();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stranger stranger;
        stranger_open(&stranger, rows[i].minor, rows[i].ciphers);
        assert_int_equal(stranger_shake(&stranger), EVLOG_ERR_UNSUPPORTED);
        stranger_close(&stranger);
    }
}

TEST(tls, a_client_that_negotiates_again_is_cut)
{
    struct stranger stranger;
    uint8_t buf[64];
    files();
    stranger_open(&stranger, MBEDTLS_SSL_MINOR_VERSION_3, NULL);
    assert_int_equal(stranger_shake(&stranger), EL_TLS_DONE);
    (void)mbedtls_ssl_renegotiate(&stranger.ssl);
    assert_true(pair.to_server.len > 0);
    struct el_tls_bytes bytes = {.in = pair.to_server.bytes, .in_len = pair.to_server.len};
    assert_int_equal(el_tls_read(pair.server, &bytes, buf, sizeof buf), EVLOG_ERR_POLICY);
    assert_int_equal(el_tls_read(pair.server, &bytes, buf, sizeof buf), EVLOG_ERR_CLOSED);
    stranger_close(&stranger);
}

TEST(tls, what_is_no_tls_is_refused_and_its_sender_told)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\0\0\0\x17\0\x12\0\x03\0\0\0\x01\0\x05",
                                        "\x16\x03\x01\xff\xff\x01", "\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10"};
    static const size_t lens[] = {18, 14, 6, 11};
    files();
    for (size_t i = 0; i < 4; i++) {
        struct el_tls_config *server = config(true, "server", NULL, 0);
        struct el_tls *tls = el_tls_new(server, NULL);
        uint8_t out[1024];
        struct el_tls_bytes bytes = {
            .in = (const uint8_t *)texts[i], .in_len = lens[i], .out = out, .out_room = sizeof out};
        assert_true(el_tls_handshake(tls, &bytes, &err) < 0);
        assert_int_equal(el_tls_handshake(tls, &bytes, &err), EVLOG_ERR_CLOSED);
        el_tls_free(tls);
        el_tls_config_unref(server);
    }
}

/* Every byte of the client's flights is changed or missing in turn: no handshake of those ends well on both sides. */
TEST(tls, a_handshake_that_was_tampered_with_fails)
{
    files();
    uint32_t refused = 0;
    for (size_t at = 0; at < 500; at += 7) {
        pair_open(&pair, config(false, NULL, "ca", 0), config(true, "server", NULL, 0), "broker.example");
        int client = turn(&pair, false);
        size_t first = pair.to_server.len;
        if (at < first) {
            pair.to_server.bytes[at] ^= 0x21;
        }
        int server = turn(&pair, true);
        while (server == EL_TLS_WANT_IN && client == EL_TLS_WANT_IN && pair.to_client.len > 0) {
            client = turn(&pair, false);
            if (at >= first && at - first < pair.to_server.len) {
                pair.to_server.bytes[at - first] ^= 0x21;
            }
            server = pair.to_server.len > 0 ? turn(&pair, true) : server;
        }
        bool changed = at < first || client == EL_TLS_WANT_IN;
        assert_false(changed && server == EL_TLS_DONE && client == EL_TLS_DONE);
        refused += server < 0 || client < 0;
        pair_close(&pair);
    }
    assert_true(refused > 30);
}

/* --- what works --------------------------------------------------------------------------------------------------- */

static void assert_carries(const char *text)
{
    uint8_t buf[256];
    struct el_tls_bytes out = {.out = pair.to_server.bytes, .out_room = WIRE_MAX};
    assert_int_equal(el_tls_write(pair.client, &out, text, strlen(text)), strlen(text));
    struct el_tls_bytes in = {.in = pair.to_server.bytes, .in_len = out.out_len};
    assert_int_equal(el_tls_read(pair.server, &in, buf, sizeof buf), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
    assert_int_equal(in.in_len, 0);
    assert_int_equal(el_tls_read(pair.server, &in, buf, sizeof buf), 0);
}

TEST(tls, names_and_addresses_of_the_certificate_are_accepted)
{
    static const char *const hosts[] = {"broker.example", "BROKER.example", "broker.example.", "127.0.0.1"};
    files();
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        pair_open(&pair, config(false, NULL, "ca", 0), config(true, "server", NULL, 0), hosts[i]);
        assert_int_equal(shake(&pair), 0);
        assert_string_equal(el_tls_cipher(pair.client), "ECDHE-ECDSA-WITH-AES-128-GCM-SHA256");
        assert_null(el_tls_peer_subject(pair.server).data);
        assert_carries("hello");
        pair_close(&pair);
    }
}

TEST(tls, a_client_may_pass_over_names_and_nothing_else)
{
    files();
    struct el_tls_config *any = NULL;
    struct el_tls_options options = {.ca_file = cert_path(dir, "ca", "pem"), .any_name = true};
    assert_int_equal(el_tls_config_open(&options, &any, &err), 0);
    el_tls_config_ref(any);
    pair_open(&pair, any, config(true, "server", NULL, 0), "192.0.2.7");
    assert_int_equal(shake(&pair), 0);
    pair_close(&pair);
    cert_make(dir, &(struct cert_wish){.name = "lone", .dns = "broker.example"});
    assert_refused(any, config(true, "lone", NULL, 0), "broker.example", EVLOG_ERR_POLICY,
                   "no CA that is trusted here");
}

TEST(tls, a_handshake_byte_by_byte_is_one_as_any)
{
    files();
    pair_open(&pair, config(false, "app", "ca", 0), config(true, "server", "ca", EL_TLS_AUTH_REQUIRED),
              "broker.example");
    pair.step = 1;
    assert_int_equal(shake(&pair), 0);
    assert_carries("hello");
    char text[128];
    assert_int_equal(el_tls_name_text(el_tls_peer_subject(pair.server), text, sizeof text), 0);
    assert_string_equal(text, "CN=app,O=Example");
    pair_close(&pair);
}

TEST(tls, the_uris_of_a_certificate_are_counted_and_the_first_is_given)
{
    static const struct {
        const char *name, *uri, *uri2;
        uint32_t count;
    } rows[] = {{"none", NULL, NULL, 0},
                {"one", "spiffe://example.org/orders", NULL, 1},
                {"two", "spiffe://example.org/orders", "spiffe://example.org/billing", 2}};
    files();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct el_slice first = {0};
        cert_make(dir, &(struct cert_wish){.name = rows[i].name,
                                           .issuer = "ca",
                                           .dns = "app.example",
                                           .uri = rows[i].uri,
                                           .uri2 = rows[i].uri2});
        pair_open(&pair, config(false, rows[i].name, "ca", 0), config(true, "server", "ca", EL_TLS_AUTH_REQUIRED),
                  "broker.example");
        assert_int_equal(el_tls_peer_uris(pair.server, &first), 0); /* before it is proved */
        assert_int_equal(shake(&pair), 0);
        assert_int_equal(el_tls_peer_uris(pair.server, &first), rows[i].count);
        assert_true(rows[i].count == 0 || el_slice_eq(first, el_slice_str("spiffe://example.org/orders")));
        pair_close(&pair);
    }
}

TEST(tls, a_small_room_for_output_is_used_again_and_again)
{
    files();
    pair_open(&pair, config(false, NULL, "ca", 0), config(true, "server", NULL, 0), "broker.example");
    assert_int_equal(turn(&pair, false), EL_TLS_WANT_IN);
    uint8_t small[64];
    struct el_tls_bytes bytes = {
        .in = pair.to_server.bytes, .in_len = pair.to_server.len, .out = small, .out_room = 64};
    int rc, times = 0;
    while ((rc = el_tls_handshake(pair.server, &bytes, &err)) == EL_TLS_WANT_OUT) {
        memcpy(pair.to_client.bytes + pair.to_client.len, small, bytes.out_len);
        pair.to_client.len += bytes.out_len;
        bytes.out_len = 0;
        times++;
    }
    assert_int_equal(rc, EL_TLS_WANT_IN);
    memcpy(pair.to_client.bytes + pair.to_client.len, small, bytes.out_len);
    pair.to_client.len += bytes.out_len;
    pair.to_server.len = 0;
    assert_true(times > 5);
    assert_int_equal(shake(&pair), 0);
    pair_close(&pair);
}

TEST(tls, large_data_goes_through_in_records_and_damage_is_seen)
{
    files();
    static uint8_t data[100000], got[100000];
    pair_open(&pair, config(false, NULL, "ca", 0), config(true, "server", NULL, 0), "broker.example");
    assert_int_equal(shake(&pair), 0);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 31 + i / 256);
    }
    size_t sent = 0, received = 0;
    while (received < sizeof data) {
        struct el_tls_bytes out = {.out = pair.to_server.bytes, .out_room = 40000};
        int64_t n = el_tls_write(pair.client, &out, data + sent, sizeof data - sent);
        assert_true(n > 0 || sent == sizeof data);
        sent += (size_t)n;
        for (size_t at = 0; at < out.out_len;) { /* in pieces of any length */
            size_t piece = 1 + at % 4001 < out.out_len - at ? 1 + at % 4001 : out.out_len - at;
            struct el_tls_bytes in = {.in = pair.to_server.bytes + at, .in_len = piece};
            int64_t got_len;
            while ((got_len = el_tls_read(pair.server, &in, got + received,
                                          sizeof got - received + (received == sizeof got))) > 0) {
                received += (size_t)got_len;
            }
            assert_int_equal(got_len, 0);
            at += piece;
        }
    }
    assert_memory_equal(data, got, sizeof data);
    struct el_tls_bytes out = {.out = pair.to_server.bytes, .out_room = WIRE_MAX};
    assert_int_equal(el_tls_write(pair.client, &out, data, 100), 100);
    pair.to_server.bytes[50] ^= 1;
    struct el_tls_bytes in = {.in = pair.to_server.bytes, .in_len = out.out_len};
    assert_int_equal(el_tls_read(pair.server, &in, got, sizeof got), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_tls_read(pair.server, &in, got, sizeof got), EVLOG_ERR_CLOSED);
    pair_close(&pair);
}

TEST(tls, an_end_that_is_said_is_heard)
{
    files();
    uint8_t buf[16];
    pair_open(&pair, config(false, NULL, "ca", 0), config(true, "server", NULL, 0), "broker.example");
    assert_int_equal(shake(&pair), 0);
    struct el_tls_bytes out = {.out = pair.to_server.bytes, .out_room = WIRE_MAX};
    el_tls_close(pair.client, &out);
    assert_true(out.out_len > 0);
    struct el_tls_bytes in = {.in = pair.to_server.bytes, .in_len = out.out_len};
    assert_int_equal(el_tls_read(pair.server, &in, buf, sizeof buf), EVLOG_ERR_CLOSED);
    pair_close(&pair);
}

TEST(tls, a_certificate_says_how_long_it_is_in_force)
{
    files();
    struct el_tls_config *with = config(true, "server", NULL, 0), *without = config(false, NULL, "ca", 0);
    assert_in_range(el_tls_config_days_left(with), 29, 30);
    assert_int_equal(el_tls_config_days_left(without), INT32_MAX);
    el_tls_config_unref(with);
    el_tls_config_unref(without);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int name_of(const char *der, size_t len, char *text, size_t text_max)
{
    return el_tls_name_text(el_slice_of(der, len), text, text_max);
}

#define NAME_OF(der) name_of(der, sizeof(der) - 1, text, sizeof text)
/* SEQUENCE { SET { SEQUENCE { OID, string } } } with lengths for strings of two bytes */
#define ONE(type, tag, a, b) "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04" type tag "\x02" a b

TEST(go_2026_4828, a_name_that_has_two_readings_is_nobodys)
{
    char text[64];
    assert_int_equal(NAME_OF(""), EVLOG_ERR_MALFORMED);
    assert_int_equal(NAME_OF("\x30\0"), EVLOG_ERR_POLICY);
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "a", "b") "x"), EVLOG_ERR_MALFORMED);
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "a", "\0")), EVLOG_ERR_POLICY);
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "a", "\n")), EVLOG_ERR_POLICY);
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "\xc3", "(")), EVLOG_ERR_POLICY);
    assert_int_equal(NAME_OF(ONE("\x03", "\x13", "\xc3", "\xa9")), EVLOG_ERR_POLICY); /* no printable string */
    assert_int_equal(NAME_OF(ONE("\x03", "\x14", "a", "b")), EVLOG_ERR_POLICY);       /* T61 */
    assert_int_equal(NAME_OF(ONE("\x03", "\x1e", "a", "b")), EVLOG_ERR_POLICY);       /* BMP */
    assert_int_equal(NAME_OF("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\0"), EVLOG_ERR_POLICY);
    /* two values in one element */
    assert_int_equal(NAME_OF("\x30\x18\x31\x16\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
                             "ab\x30\x09\x06\x03\x55\x04\x0a\x0c\x02"
                             "cd"),
                     EVLOG_ERR_POLICY);
    /* a length that is not the shortest, and one beyond the end */
    assert_int_equal(NAME_OF("\x30\x81\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
                             "ab"),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(NAME_OF("\x30\x0e\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
                             "ab"),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(name_of(ONE("\x03", "\x0c", "a", "b"), sizeof(ONE("\x03", "\x0c", "a", "b")) - 1, text, 5),
                     EVLOG_ERR_LIMIT);
}

TEST(tls_name, names_are_written_as_rfc_2253_has_them)
{
    char text[64];
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "a", "b")), 0);
    assert_string_equal(text, "CN=ab");
    assert_int_equal(NAME_OF(ONE("\x0b", "\x13", "a", "b")), 0);
    assert_string_equal(text, "OU=ab");
    assert_int_equal(NAME_OF(ONE("\x05", "\x13", "a", "b")), 0);
    assert_string_equal(text, "2.5.4.5=ab");
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "\xc3", "\xa9")), 0);
    assert_string_equal(text, "CN=\xc3\xa9");
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", ",", "+")), 0);
    assert_string_equal(text, "CN=\\,\\+");
    assert_int_equal(NAME_OF(ONE("\x03", "\x0c", "#", " ")), 0);
    assert_string_equal(text, "CN=\\#\\ ");
}
