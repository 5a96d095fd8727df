/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of TLS over buffers, by mbedtls; which thread is the caller's choice.
 *
 * The library asks for bytes and gives bytes through two callbacks, which work on the struct el_tls_bytes of the call
 * that is under way. It keeps a record that has come in part, so all of the input is taken before it says that it
 * wants more.
 *
 * After the handshake the library writes by itself only to refuse that the other side negotiates again; those bytes are
 * dropped, and the connection ends. So does everything else that is not as it should be: an error is for ever.
 *
 * Names: the library compares DNS names, and knows nothing of IP addresses; those are compared here.
 */
#include "mbedtls_names.h"
#include "tls_config.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>

#include <arpa/inet.h>

#define TLS_MAGIC OBJ_MAGIC('t', 'l', 's', '0')
#define SAN_URI 0x86        /* [6] of a GeneralName */
#define SAN_IP_ADDRESS 0x87 /* [7] */

struct el_tls {
    uint32_t magic;
    mbedtls_ssl_context ssl;
    struct el_tls_config *config;
    struct el_tls_bytes *bytes; /* of the call under way */
    bool done;                  /* the handshake */
    bool refused;               /* the library wanted to write where nothing is written */
    bool failed;                /* for ever */
    const char *failure;        /* of the handshake, static; NULL: none */
    uint8_t ip[16];             /* that the certificate must have */
    size_t ip_len;              /* 0: the name is none */
    uint32_t bad_flags;         /* of a certificate that was only asked for */
};

/* --- the library's view ------------------------------------------------------------------------------------------- */

static int on_recv(void *arg, unsigned char *buf, size_t len)
{
    struct el_tls *tls = arg;
    struct el_tls_bytes *bytes = tls->bytes;
    if (bytes == NULL || bytes->in_len == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    size_t n = EL_MIN(EL_MIN(len, bytes->in_len), (size_t)INT32_MAX);
    memcpy(buf, bytes->in, n);
    bytes->in += n;
    bytes->in_len -= n;
    return (int)n;
}

static int on_send(void *arg, const unsigned char *buf, size_t len)
{
    struct el_tls *tls = arg;
    struct el_tls_bytes *bytes = tls->bytes;
    len = EL_MIN(len, (size_t)INT32_MAX);
    if (bytes == NULL || bytes->out == NULL) {
        tls->refused = true;
        return (int)len;
    }
    size_t n = EL_MIN(len, bytes->out_room - bytes->out_len);
    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    memcpy(bytes->out + bytes->out_len, buf, n);
    bytes->out_len += n;
    return (int)n;
}

static bool has_ip(const mbedtls_x509_crt *certificate, const uint8_t *ip, size_t ip_len)
{
    for (const mbedtls_x509_sequence *name = &certificate->subject_alt_names; name != NULL; name = name->next) {
        if (name->buf.tag == SAN_IP_ADDRESS && name->buf.len == ip_len && memcmp(name->buf.p, ip, ip_len) == 0) {
            return true;
        }
    }
    return false;
}

/* Each certificate of the chain, the other side's own last. The library lets a client pass that was only asked for a
 * certificate and has shown a bad one: an error that it does not know stops that while there is somebody to tell. */
static int on_verify(void *arg, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct el_tls *tls = arg;
    if (tls_config_requests(tls->config) && *flags != 0) {
        tls->bad_flags = *flags;
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    if (depth == 0 && tls_config_any_name(tls->config)) {
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    } else if (depth == 0 && tls->ip_len > 0 && !has_ip(certificate, tls->ip, tls->ip_len)) {
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    return 0;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* Numbers are compared as numbers, and not sent: SNI is for names. */
static int set_host(struct el_tls *tls, const char *host)
{
    char name[256];
    size_t len = strcspn(host, "%");
    if (len >= sizeof name) {
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    }
    memcpy(name, host, len);
    name[len] = 0;
    tls->ip_len = inet_pton(AF_INET, name, tls->ip) == 1 ? 4 : inet_pton(AF_INET6, name, tls->ip) == 1 ? 16 : 0;
    if (tls->ip_len == 0 && len > 0 && name[len - 1] == '.') {
        name[len - 1] = 0; /* a full name's dot is not in certificates */
    }
    return mbedtls_ssl_set_hostname(&tls->ssl, tls->ip_len > 0 ? NULL : name);
}

struct el_tls *el_tls_new(struct el_tls_config *config, const char *host)
{
    /* Not el_calloc(): a shard makes them too, whose own code allocates nothing; see el_alloc_seal(). */
    bool sealed = el_alloc_seal(false);
    struct el_tls *tls = el_calloc(1, sizeof *tls);
    (void)el_alloc_seal(sealed);
    if (tls == NULL) {
        return NULL;
    }
    tls->magic = TLS_MAGIC;
    tls->config = el_tls_config_ref(config);
    mbedtls_ssl_init(&tls->ssl);
    if (mbedtls_ssl_setup(&tls->ssl, tls_config_ssl(config)) != 0 || (host != NULL && set_host(tls, host) != 0)) {
        el_tls_free(tls);
        return NULL;
    }
    mbedtls_ssl_set_verify(&tls->ssl, on_verify, tls);
    mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_recv, NULL);
    return tls;
}

void el_tls_free(struct el_tls *tls)
{
    if (tls != NULL) {
        OBJ_CHECK(tls, TLS);
        mbedtls_ssl_free(&tls->ssl);
        el_tls_config_unref(tls->config);
        tls->magic = 0;
        el_free(tls);
    }
}

/* --- handshake ---------------------------------------------------------------------------------------------------- */

static int refuse_certificate(struct el_tls *tls, uint32_t flags, struct el_error *err)
{
    tls->failed = true;
    tls->failure = tls_verify_word(flags);
    return el_error_set(err, EVLOG_ERR_POLICY, "the certificate of the other side is refused: %s",
                        tls_verify_text(flags));
}

/* The library's reason in words of ours. */
static int handshake_failed(struct el_tls *tls, int rc, struct el_error *err)
{
    char reason[160];
    uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    tls->failed = true;
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || tls->bad_flags != 0) {
        return refuse_certificate(tls, tls->bad_flags != 0 ? tls->bad_flags : flags, err);
    }
    if (rc == MBEDTLS_ERR_SSL_ALLOC_FAILED || rc == MBEDTLS_ERR_X509_ALLOC_FAILED) {
        tls->failure = "no_memory";
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a handshake");
    }
    mbedtls_strerror(rc, reason, sizeof reason);
    switch (rc) {
    case ERR_NO_CIPHER:
    case ERR_NO_VERSION:
#if MBEDTLS_VERSION_MAJOR < 3
    case MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE:
#endif
        tls->failure = "no_cipher";
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED,
                            "no protocol version or cipher in common: TLS 1.2 with ECDHE and AES-GCM or ChaCha20 is "
                            "wanted (%s)",
                            reason);
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        tls->failure = "no_certificate";
        return el_error_set(err, EVLOG_ERR_POLICY, "the client shows no certificate, and it must");
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        tls->failure = "refused_by_client";
        return el_error_set(err, EVLOG_ERR_POLICY, "the other side refuses the handshake: alert %s",
                            tls_alert_text(tls->ssl.MBEDTLS_PRIVATE(in_msg)[1]));
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        tls->failure = "no_tls";
        return el_error_set(err, EVLOG_ERR_MALFORMED,
                            "these are no bytes of TLS: perhaps the other side speaks without it");
    default:
        tls->failure = "malformed";
        return el_error_set(err, EVLOG_ERR_MALFORMED, "the handshake failed: %s", reason);
    }
}

int el_tls_handshake(struct el_tls *tls, struct el_tls_bytes *bytes, struct el_error *err)
{
    OBJ_CHECK(tls, TLS);
    EL_ASSERT(bytes->out != NULL);
    EL_ASSERT(!tls->done);
    if (tls->failed) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "the handshake has failed");
    }
    tls->bytes = bytes;
    int rc = mbedtls_ssl_handshake(&tls->ssl);
    tls->bytes = NULL;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) {
        return rc == MBEDTLS_ERR_SSL_WANT_READ ? EL_TLS_WANT_IN : EL_TLS_WANT_OUT;
    }
    if (rc != 0) {
        return handshake_failed(tls, rc, err);
    }
    /* Where a certificate was only asked for, one that is bad is refused, and none is not. */
    uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    if (mbedtls_ssl_get_peer_cert(&tls->ssl) != NULL && flags != 0) {
        return refuse_certificate(tls, flags, err);
    }
    tls->done = true;
    return EL_TLS_DONE;
}

/* --- data --------------------------------------------------------------------------------------------------------- */

int64_t el_tls_read(struct el_tls *tls, struct el_tls_bytes *bytes, void *buf, size_t len)
{
    OBJ_CHECK(tls, TLS);
    EL_ASSERT(tls->done);
    EL_ASSERT(len > 0);
    if (tls->failed) {
        return EVLOG_ERR_CLOSED;
    }
    struct el_tls_bytes in = {.in = bytes->in, .in_len = bytes->in_len};
    tls->bytes = &in;
    int rc = mbedtls_ssl_read(&tls->ssl, buf, len);
    tls->bytes = NULL;
    bytes->in = in.in;
    bytes->in_len = in.in_len;
    if (rc > 0 && !tls->refused) {
        return rc;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_READ && !tls->refused) {
        return 0;
    }
    tls->failed = true;
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || rc == MBEDTLS_ERR_SSL_CONN_EOF) {
        return EVLOG_ERR_CLOSED;
    }
    return rc == MBEDTLS_ERR_SSL_WANT_READ || rc > 0 ? EVLOG_ERR_POLICY : EVLOG_ERR_MALFORMED;
}

int64_t el_tls_write(struct el_tls *tls, struct el_tls_bytes *bytes, const void *data, size_t len)
{
    OBJ_CHECK(tls, TLS);
    EL_ASSERT(tls->done);
    const uint8_t *p = data;
    int64_t taken = 0;
    if (tls->failed) {
        return EVLOG_ERR_CLOSED;
    }
    tls->bytes = bytes;
    while (len > 0 && bytes->out_room - bytes->out_len >= EL_TLS_ROOM_MIN) {
        int rc = mbedtls_ssl_write(&tls->ssl, p, EL_MIN(len, EL_TLS_PLAIN_LEN_MAX));
        if (rc <= 0) {
            tls->failed = true;
            taken = EVLOG_ERR_FAILED;
            break;
        }
        p += rc;
        len -= (size_t)rc;
        taken += rc;
    }
    tls->bytes = NULL;
    return taken;
}

void el_tls_close(struct el_tls *tls, struct el_tls_bytes *bytes)
{
    OBJ_CHECK(tls, TLS);
    if (!tls->failed) {
        tls->bytes = bytes;
        (void)mbedtls_ssl_close_notify(&tls->ssl);
        tls->bytes = NULL;
    }
}

struct el_slice el_tls_peer_subject(const struct el_tls *tls)
{
    OBJ_CHECK(tls, TLS);
    const mbedtls_x509_crt *certificate = tls->done ? mbedtls_ssl_get_peer_cert(&tls->ssl) : NULL;
    return certificate == NULL ? el_slice_of(NULL, 0)
                               : el_slice_of(certificate->subject_raw.p, certificate->subject_raw.len);
}

uint32_t el_tls_peer_uris(const struct el_tls *tls, struct el_slice *first)
{
    OBJ_CHECK(tls, TLS);
    const mbedtls_x509_crt *certificate = tls->done ? mbedtls_ssl_get_peer_cert(&tls->ssl) : NULL;
    uint32_t count = 0;
    for (const mbedtls_x509_sequence *name = certificate == NULL ? NULL : &certificate->subject_alt_names; name != NULL;
         name = name->next) {
        if (name->buf.tag == SAN_URI && count++ == 0) {
            *first = el_slice_of(name->buf.p, name->buf.len);
        }
    }
    return count;
}

bool el_tls_peer_digest(const struct el_tls *tls, uint8_t digest[32])
{
    OBJ_CHECK(tls, TLS);
    const mbedtls_x509_crt *certificate = tls->done ? mbedtls_ssl_get_peer_cert(&tls->ssl) : NULL;
    if (certificate == NULL) {
        return false;
    }
    el_sha256(certificate->raw.p, certificate->raw.len, digest);
    return true;
}

const char *el_tls_failure(const struct el_tls *tls)
{
    OBJ_CHECK(tls, TLS);
    return tls->failure == NULL ? "" : tls->failure;
}

const char *el_tls_version(const struct el_tls *tls)
{
    OBJ_CHECK(tls, TLS);
    return tls->done ? mbedtls_ssl_get_version(&tls->ssl) : "";
}

const char *el_tls_cipher(const struct el_tls *tls)
{
    OBJ_CHECK(tls, TLS);
    const char *name = tls->done ? mbedtls_ssl_get_ciphersuite(&tls->ssl) : "";
    return strncmp(name, "TLS-", 4) == 0 ? name + 4 : name;
}
