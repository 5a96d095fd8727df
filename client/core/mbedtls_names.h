/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of mbedtls, and what its versions 2.28 and 3.6 name or declare differently, in one form. Private to client/core.
 */
#ifndef EL_CLIENT_CORE_MBEDTLS_NAMES_H
#define EL_CLIENT_CORE_MBEDTLS_NAMES_H

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_MAJOR >= 3

#define ERR_NO_CIPHER MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE
#define ERR_NO_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#define pk_parse_file(key, file, random) mbedtls_pk_parse_keyfile(key, file, NULL, random, NULL)
#define pk_pair(pub, key, random) mbedtls_pk_check_pair(pub, key, random, NULL)
#define pk_sign_sha256(key, hash, signature, max, len, random)                                                         \
    mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, 32, signature, max, len, random, NULL)
#define pk_curve(key) mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(key))

#else

#define MBEDTLS_PRIVATE(member) member
#define ERR_NO_CIPHER MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN
#define ERR_NO_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#define pk_parse_file(key, file, random) mbedtls_pk_parse_keyfile(key, file, NULL)
#define pk_pair(pub, key, random) mbedtls_pk_check_pair(pub, key)
#define pk_sign_sha256(key, hash, signature, max, len, random)                                                         \
    mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, 32, signature, len, random, NULL)
#define pk_curve(key) (mbedtls_pk_ec(key)->grp.id)

#endif
#endif
