/* SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"

#include "test.h"

#include <core/crypto.h>

#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define PEM_MAX 8192

static int random_bytes(void *arg, unsigned char *buf, size_t len)
{
    (void)arg;
    return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

const char *cert_path(const char *dir, const char *name, const char *kind)
{
    static char paths[8][600];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s.%s", dir, name, kind);
    return path;
}

static void write_file(const char *path, const void *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void make_key(const char *path, bool p521, mbedtls_pk_context *key)
{
    unsigned char pem[PEM_MAX];
    mbedtls_pk_init(key);
    assert_int_equal(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(mbedtls_ecp_gen_key(p521 ? MBEDTLS_ECP_DP_SECP521R1 : MBEDTLS_ECP_DP_SECP256R1,
                                         mbedtls_pk_ec(*key), random_bytes, NULL),
                     0);
    assert_int_equal(mbedtls_pk_write_key_pem(key, pem, sizeof pem), 0);
    write_file(path, pem);
}

static int parse_key(mbedtls_pk_context *key, const char *path)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_keyfile(key, path, NULL, random_bytes, NULL);
#else
    return mbedtls_pk_parse_keyfile(key, path, NULL);
#endif
}

static void set_days(mbedtls_x509write_cert *crt, int from, int to)
{
    char texts[2][16];
    int days[2] = {from == 0 && to == 0 ? -1 : from, from == 0 && to == 0 ? 30 : to};
    for (int i = 0; i < 2; i++) {
        time_t at = time(NULL) + (time_t)days[i] * 86400;
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(texts[i], sizeof texts[i], "%Y%m%d%H%M%S", &tm);
    }
    assert_int_equal(mbedtls_x509write_crt_set_validity(crt, texts[0], texts[1]), 0);
}

static size_t add_name(unsigned char *names, size_t len, unsigned char tag, const char *text)
{
    if (text != NULL) {
        names[len++] = tag;
        names[len++] = (unsigned char)strlen(text);
        memcpy(names + len, text, strlen(text));
        len += strlen(text);
    }
    assert_true(len < 128); /* so that lengths are one byte */
    return len;
}

/* GeneralNames: dNSName is [2], uniformResourceIdentifier is [6], iPAddress is [7]. */
static void set_names(mbedtls_x509write_cert *crt, const struct cert_wish *wish)
{
    unsigned char names[256], ip[16];
    size_t len = add_name(names, 2, 0x82, wish->dns);
    len = add_name(names, len, 0x86, wish->uri);
    len = add_name(names, len, 0x86, wish->uri2);
    if (wish->ip != NULL) {
        size_t ip_len = inet_pton(AF_INET, wish->ip, ip) == 1 ? 4 : 16;
        assert_true(ip_len == 4 || inet_pton(AF_INET6, wish->ip, ip) == 1);
        names[len++] = 0x87;
        names[len++] = (unsigned char)ip_len;
        memcpy(names + len, ip, ip_len);
        len += ip_len;
    }
    names[0] = 0x30;
    names[1] = (unsigned char)(len - 2);
    if (len > 2) {
        assert_int_equal(mbedtls_x509write_crt_set_extension(crt, "\x55\x1d\x11", 3, 0, names, len), 0);
    }
}

void cert_make(const char *dir, const struct cert_wish *wish)
{
    static unsigned serial;
    char subject[200], issuer[200];
    unsigned char pem[PEM_MAX];
    mbedtls_pk_context key, issuer_key;
    mbedtls_x509_crt ca;
    mbedtls_x509write_cert crt;
    mbedtls_mpi number;
    mbedtls_x509_crt_init(&ca);
    mbedtls_pk_init(&issuer_key);
    mbedtls_mpi_init(&number);
    mbedtls_x509write_crt_init(&crt);
    make_key(cert_path(dir, wish->name, "key"), wish->p521, &key);
    snprintf(subject, sizeof subject, "%s%s", wish->subject == NULL ? "CN=" : "",
             wish->subject == NULL ? wish->name : wish->subject);
    memcpy(issuer, subject, sizeof issuer);
    if (wish->issuer != NULL) {
        assert_int_equal(mbedtls_x509_crt_parse_file(&ca, cert_path(dir, wish->issuer, "pem")), 0);
        assert_int_equal(parse_key(&issuer_key, cert_path(dir, wish->issuer, "key")), 0);
        assert_true(mbedtls_x509_dn_gets(issuer, sizeof issuer, &ca.subject) > 0);
    }
    assert_int_equal(mbedtls_mpi_lset(&number, (int)++serial + (int)time(NULL)), 0);
    assert_int_equal(mbedtls_x509write_crt_set_serial(&crt, &number), 0);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&crt, subject), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&crt, issuer), 0);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, wish->sha1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, &key);
    mbedtls_x509write_crt_set_issuer_key(&crt, wish->issuer == NULL ? &key : &issuer_key);
    set_days(&crt, wish->days_from, wish->days_to);
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&crt, wish->ca, -1), 0);
    set_names(&crt, wish);
    assert_int_equal(mbedtls_x509write_crt_pem(&crt, pem, sizeof pem, random_bytes, NULL), 0);
    write_file(cert_path(dir, wish->name, "pem"), pem);
    mbedtls_x509write_crt_free(&crt);
    mbedtls_mpi_free(&number);
    mbedtls_pk_free(&key);
    mbedtls_pk_free(&issuer_key);
    mbedtls_x509_crt_free(&ca);
}

void cert_digest(const char *dir, const char *name, uint8_t digest[32])
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    assert_int_equal(mbedtls_x509_crt_parse_file(&crt, cert_path(dir, name, "pem")), 0);
    el_sha256(crt.raw.p, crt.raw.len, digest);
    mbedtls_x509_crt_free(&crt);
}
