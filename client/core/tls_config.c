/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts of TLS: certificates, keys and the one profile, from files. Start-up's thread, and again at a reload;
 * afterwards a config is only read, by many connections at once.
 *
 * 1. the key's file is for its owner's eyes, or it is refused
 * 2. certificates and key are parsed, held against each other and against the profile; a server's chain has no gap
 * 3. keys are used once: ECDSA keeps a table in a key at its first use, which two threads may not fill at once
 *
 * Fails with a text that names the file and what to do.
 */
#include "tls_config.h"
#include "mbedtls_names.h"

#include <core/alloc.h>
#include <core/assert.h>

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define TLS_CONFIG_MAGIC OBJ_MAGIC('t', 'l', 's', 'c')
#define RSA_BITS_MIN 2048u
#define SECONDS_PER_DAY 86400
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

struct el_tls_config {
    uint32_t magic;
    _Atomic uint32_t ref_count;
    bool any_name;
    bool requests;
    mbedtls_ssl_config ssl;
    mbedtls_x509_crt chain; /* own certificate first */
    mbedtls_pk_context key;
    mbedtls_x509_crt ca;
};

static const int ciphers[] = {
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};
static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1,
                                              MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};
static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512, MBEDTLS_MD_NONE};
static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = RSA_BITS_MIN,
};

/* Has no state, so that threads may share a config. */
static int random_bytes(void *arg, unsigned char *buf, size_t len)
{
    (void)arg;
    while (len > 0) {
        ssize_t n = getrandom(buf, len, 0);
        if (n < 0 && errno != EINTR) {
            return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
        }
        buf += n < 0 ? 0 : n;
        len -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int refuse(struct el_error *err, const char *file, int rc, const char *what)
{
    char reason[160];
    if (rc == MBEDTLS_ERR_X509_ALLOC_FAILED || rc == MBEDTLS_ERR_PK_ALLOC_FAILED) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "%.200s: no memory to read it", file);
    }
    if (rc == 0) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s: %s", file, what);
    }
    mbedtls_strerror(rc, reason, sizeof reason);
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s: %s (%s)", file, what, reason);
}

/* A file that cannot be opened is told as such, not as one that cannot be parsed. */
static int check_file(const char *file, bool secret, struct el_error *err)
{
    struct stat st;
    FILE *opened = fopen(file, "re");
    int failed = opened == NULL ? errno : 0;
    bool readable = opened != NULL && fstat(fileno(opened), &st) == 0;
    if (opened != NULL) {
        (void)fclose(opened);
    }
    if (!readable) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s: %s", file, strerror(failed));
    }
    if (S_ISDIR(st.st_mode)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s is a directory: name a PEM file", file);
    }
    if (secret && (st.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%.200s: a private key that others may read (mode %04o): chmod 600 %.200s", file,
                            (unsigned)(st.st_mode & 07777), file);
    }
    return 0;
}

static int read_certificates(const char *file, mbedtls_x509_crt *list, struct el_error *err)
{
    int error = check_file(file, false, err);
    if (error != 0) {
        return error;
    }
    int rc = mbedtls_x509_crt_parse_file(list, file);
    if (rc > 0) {
        char what[96];
        snprintf(what, sizeof what, "%d of its certificates cannot be read", rc);
        return refuse(err, file, 0, what);
    }
    return rc == 0 ? 0 : refuse(err, file, rc, "no PEM file of certificates");
}

static int read_key(const char *file, mbedtls_pk_context *key, struct el_error *err)
{
    int error = check_file(file, true, err);
    if (error != 0) {
        return error;
    }
    int rc = pk_parse_file(key, file, random_bytes);
    if (rc == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || rc == MBEDTLS_ERR_PK_PASSWORD_MISMATCH) {
        return refuse(err, file, 0,
                      "the key is encrypted: write it without a password, in a file that only evlog may read");
    }
    return rc == 0 ? 0 : refuse(err, file, rc, "no private key in PEM");
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool key_is_strong(const mbedtls_pk_context *key)
{
    size_t bits = mbedtls_pk_get_bitlen(key);
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA)) {
        return bits >= RSA_BITS_MIN;
    }
    if (!mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA)) {
        return false;
    }
    mbedtls_ecp_group_id curve = pk_curve(*key);
    return curve == MBEDTLS_ECP_DP_SECP256R1 || curve == MBEDTLS_ECP_DP_SECP384R1;
}

static int check_own(const struct el_tls_options *options, struct el_tls_config *config, struct el_error *err)
{
    const mbedtls_x509_crt *own = &config->chain;
    const char *file = options->certificate_file;
    if (!key_is_strong(&config->key)) {
        return refuse(err, options->key_file, 0,
                      "the key must be RSA of 2048 bits or more, or ECDSA over P-256 or P-384");
    }
    if (pk_pair(&own->pk, &config->key, random_bytes) != 0) {
        (void)refuse(err, file, 0, "its first certificate does not belong to the key in");
        if (err != NULL) {
            size_t len = strlen(err->text);
            snprintf(err->text + len, sizeof err->text - len, " %.150s", options->key_file);
        }
        return EVLOG_ERR_INVALID_CONFIG;
    }
    if (mbedtls_x509_time_is_past(&own->valid_to)) {
        return refuse(err, file, 0, "the certificate has expired: renew it");
    }
    if (mbedtls_x509_time_is_future(&own->valid_from)) {
        return refuse(err, file, 0, "the certificate is not in force yet: look at the clock, or at its dates");
    }
    if ((MBEDTLS_X509_ID_FLAG(own->MBEDTLS_PRIVATE(sig_md)) & profile.allowed_mds) == 0) {
        return refuse(err, file, 0, "the certificate is signed with a hash weaker than SHA-256: issue it again");
    }
    return 0;
}

/* A file with more than the own certificate leads from it to the last one, each signed by one behind it and in force:
 * clients know that one's issuer at best, and a gap turns them away. A certificate that is alone may be of a CA that
 * they know, or its own. */
static int check_chain(const struct el_tls_options *options, struct el_tls_config *config, struct el_error *err)
{
    mbedtls_x509_crt *last = &config->chain;
    uint32_t flags = 0;
    while (last->next != NULL) {
        last = last->next;
    }
    if (last == &config->chain) {
        return 0;
    }
    int rc = mbedtls_x509_crt_verify_with_profile(&config->chain, last, NULL, &profile, NULL, &flags, NULL, NULL);
    if (rc != 0 && flags == 0) {
        return refuse(err, options->certificate_file, rc, "its chain cannot be checked");
    }
    if (rc != 0) {
        char what[192];
        bool gap = (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0;
        snprintf(what, sizeof what, "its chain is not complete: %s",
                 gap ? "each certificate must be followed by the one that signed it" : tls_verify_text(flags));
        return refuse(err, options->certificate_file, 0, what);
    }
    return 0;
}

/* Have each key make the table that it keeps. What comes out does not matter. */
static void warm(mbedtls_pk_context *pk, bool private_)
{
    static const uint8_t hash[32] = {1};
    static const uint8_t one_one[] = {0x30, 6, 0x02, 1, 1, 0x02, 1, 1}; /* r and s are 1: in range, and wrong */
    uint8_t signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len = 0;
    if (!mbedtls_pk_can_do(pk, MBEDTLS_PK_ECDSA)) {
        return;
    }
    if (!private_) {
        (void)mbedtls_pk_verify(pk, MBEDTLS_MD_SHA256, hash, sizeof hash, one_one, sizeof one_one);
        return;
    }
    (void)pk_sign_sha256(pk, hash, signature, sizeof signature, &len, random_bytes);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static void set_profile(mbedtls_ssl_config *ssl)
{
    mbedtls_ssl_conf_rng(ssl, random_bytes, NULL);
    mbedtls_ssl_conf_ciphersuites(ssl, ciphers);
    mbedtls_ssl_conf_curves(ssl, curves);
    mbedtls_ssl_conf_sig_hashes(ssl, hashes);
    mbedtls_ssl_conf_cert_profile(ssl, &profile);
    mbedtls_ssl_conf_min_version(ssl, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(ssl, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_renegotiation(ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_session_tickets(ssl, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
}

/* A server that only asks looks at the outcome itself: nothing is let pass, but to have no certificate. */
static int auth_mode(const struct el_tls_options *options)
{
    if (!options->server || options->auth == EL_TLS_AUTH_REQUIRED) {
        return MBEDTLS_SSL_VERIFY_REQUIRED;
    }
    return options->auth == EL_TLS_AUTH_REQUESTED ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_NONE;
}

static int load(const struct el_tls_options *options, struct el_tls_config *config, struct el_error *err)
{
    int error = 0;
    const char *ca_file = options->ca_file == NULL && !options->server ? SYSTEM_CA_FILE : options->ca_file;
    if ((options->certificate_file == NULL) != (options->key_file == NULL)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "a certificate and its private key are given together, or none");
    }
    if (options->certificate_file != NULL) {
        error = read_certificates(options->certificate_file, &config->chain, err);
        error = error != 0 ? error : read_key(options->key_file, &config->key, err);
        error = error != 0 ? error : check_own(options, config, err);
        error = error == 0 && options->server ? check_chain(options, config, err) : error;
    }
    if (error == 0 && ca_file != NULL) {
        error = read_certificates(ca_file, &config->ca, err);
    }
    return error;
}

static int finish(const struct el_tls_options *options, struct el_tls_config *config)
{
    int endpoint = options->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int rc = mbedtls_ssl_config_defaults(&config->ssl, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) {
        return rc;
    }
    set_profile(&config->ssl);
    mbedtls_ssl_conf_authmode(&config->ssl, auth_mode(options));
    mbedtls_ssl_conf_ca_chain(&config->ssl, &config->ca, NULL);
    for (mbedtls_x509_crt *ca = &config->ca; ca != NULL && ca->raw.p != NULL; ca = ca->next) {
        warm(&ca->pk, false);
    }
    if (options->certificate_file != NULL) {
        warm(&config->key, true);
        rc = mbedtls_ssl_conf_own_cert(&config->ssl, &config->chain, &config->key);
    }
    return rc;
}

int el_tls_config_open(const struct el_tls_options *options, struct el_tls_config **config, struct el_error *err)
{
    struct el_tls_config *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for TLS");
    }
    made->magic = TLS_CONFIG_MAGIC;
    made->any_name = options->any_name;
    made->requests = options->server && options->auth == EL_TLS_AUTH_REQUESTED;
    atomic_init(&made->ref_count, 1);
    mbedtls_ssl_config_init(&made->ssl);
    mbedtls_x509_crt_init(&made->chain);
    mbedtls_pk_init(&made->key);
    mbedtls_x509_crt_init(&made->ca);
    int error = load(options, made, err);
    if (error == 0 && finish(options, made) != 0) {
        error = el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for TLS");
    }
    if (error != 0) {
        el_tls_config_unref(made);
        return error;
    }
    *config = made;
    return 0;
}

struct el_tls_config *el_tls_config_ref(struct el_tls_config *config)
{
    OBJ_CHECK(config, TLS_CONFIG);
    uint32_t before = atomic_fetch_add(&config->ref_count, 1);
    EL_ASSERT(before > 0);
    return config;
}

void el_tls_config_unref(struct el_tls_config *config)
{
    if (config == NULL) {
        return;
    }
    OBJ_CHECK(config, TLS_CONFIG);
    uint32_t before = atomic_fetch_sub(&config->ref_count, 1);
    EL_ASSERT(before > 0);
    if (before == 1) {
        mbedtls_ssl_config_free(&config->ssl);
        mbedtls_x509_crt_free(&config->chain);
        mbedtls_pk_free(&config->key);
        mbedtls_x509_crt_free(&config->ca);
        config->magic = 0;
        el_free(config);
    }
}

int64_t el_tls_config_end_s(const struct el_tls_config *config)
{
    int64_t end_s = INT64_MAX;
    OBJ_CHECK(config, TLS_CONFIG);
    for (const mbedtls_x509_crt *crt = &config->chain; crt != NULL && crt->raw.p != NULL; crt = crt->next) {
        const mbedtls_x509_time *end = &crt->valid_to;
        struct tm tm = {.tm_year = end->year - 1900,
                        .tm_mon = end->mon - 1,
                        .tm_mday = end->day,
                        .tm_hour = end->hour,
                        .tm_min = end->min,
                        .tm_sec = end->sec};
        end_s = EL_MIN(end_s, (int64_t)timegm(&tm));
    }
    return end_s;
}

int32_t el_tls_config_days_left(const struct el_tls_config *config)
{
    int64_t end_s = el_tls_config_end_s(config);
    if (end_s == INT64_MAX) {
        return INT32_MAX;
    }
    int64_t days = (end_s - (int64_t)time(NULL)) / SECONDS_PER_DAY;
    return (int32_t)EL_MAX(EL_MIN(days, INT32_MAX - 1), INT32_MIN);
}

static bool same_bytes(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

bool el_tls_config_lacks(const struct el_tls_config *config, const struct el_tls_config *before, char *name,
                         size_t name_max)
{
    const mbedtls_x509_crt *last = &config->chain;
    OBJ_CHECK(config, TLS_CONFIG);
    OBJ_CHECK(before, TLS_CONFIG);
    while (last->next != NULL) {
        last = last->next;
    }
    if (last->raw.p == NULL || same_bytes(&last->issuer_raw, &last->subject_raw)) {
        return false;
    }
    for (const mbedtls_x509_crt *crt = &before->chain; crt != NULL && crt->raw.p != NULL; crt = crt->next) {
        bool root = same_bytes(&crt->issuer_raw, &crt->subject_raw);
        if (!root && same_bytes(&crt->subject_raw, &last->issuer_raw)) {
            if (mbedtls_x509_dn_gets(name, name_max, &crt->subject) < 0) {
                (void)snprintf(name, name_max, "%s", "the next one");
            }
            return true;
        }
    }
    return false;
}

const struct mbedtls_ssl_config *tls_config_ssl(const struct el_tls_config *config)
{
    OBJ_CHECK(config, TLS_CONFIG);
    return &config->ssl;
}

bool tls_config_any_name(const struct el_tls_config *config)
{
    return config->any_name;
}

bool tls_config_requests(const struct el_tls_config *config)
{
    return config->requests;
}

static const struct verify_row {
    uint32_t flag;
    const char *word;
    const char *text;
} verify_rows[] = {
    {MBEDTLS_X509_BADCERT_MISSING, "no_certificate", "there is none"},
    {MBEDTLS_X509_BADCERT_EXPIRED, "certificate_expired", "it has expired"},
    {MBEDTLS_X509_BADCERT_FUTURE, "certificate_not_yet_valid", "it is not in force yet: look at the clocks"},
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "certificate_foreign", "no CA that is trusted here has signed it"},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, "certificate_refused", "it is for another name"},
    {MBEDTLS_X509_BADCERT_BAD_MD, "certificate_weak", "it is signed with a hash weaker than SHA-256"},
    {MBEDTLS_X509_BADCERT_BAD_KEY, "certificate_weak", "its key is too weak or of a kind that is not allowed"},
    {MBEDTLS_X509_BADCERT_BAD_PK, "certificate_weak", "its key is too weak or of a kind that is not allowed"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE, "certificate_refused", "it is not for this use"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "certificate_refused", "it is not for this use"},
    {MBEDTLS_X509_BADCERT_NS_CERT_TYPE, "certificate_refused", "it is not for this use"},
};

static const struct verify_row *verify_row_of(uint32_t flags)
{
    static const struct verify_row other = {0, "certificate_refused", "it is not as it should be"};
    for (size_t i = 0; i < sizeof verify_rows / sizeof verify_rows[0]; i++) {
        if ((flags & verify_rows[i].flag) != 0) {
            return &verify_rows[i];
        }
    }
    return &other;
}

const char *tls_verify_text(uint32_t flags)
{
    return verify_row_of(flags)->text;
}

const char *tls_verify_word(uint32_t flags)
{
    return verify_row_of(flags)->word;
}

const char *tls_alert_text(uint8_t number)
{
    static const struct {
        uint8_t number;
        const char *text;
    } rows[] = {
        {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "40, nothing in common with it"},
        {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "42, our certificate is bad"},
        {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "43, our certificate is of a kind that it does not know"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, "44, our certificate was revoked"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "45, our certificate has expired"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "46, it does not accept our certificate"},
        {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "48, it does not know the CA of our certificate"},
        {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, "49, it wants a certificate of ours, or another one"},
        {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "51, a signature or key is wrong"},
        {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "70, it speaks another version of TLS"},
        {116, "116, it wants a certificate of ours"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == number) {
            return rows[i].text;
        }
    }
    return "of another kind";
}
