/* SPDX-License-Identifier: Apache-2.0
 *
 * The Authorization header of HTTP Basic (RFC 7617), as a message of SASL PLAIN (RFC 4616). Bytes in, bytes out.
 */
#ifndef EL_HTTP_AUTHORIZATION_H
#define EL_HTTP_AUTHORIZATION_H

#include <core/bytes.h>

#define HTTP_PLAIN_MAX 1400u /* longer than any name with any password that is taken */

/* header   of a request, NUL-terminated: "Basic dXNlcjpwYXNz"
 * plain    out: "\0user\0password"; the caller wipes it
 * returns  0 and *len | EVLOG_ERR_UNSUPPORTED another scheme | EVLOG_ERR_MALFORMED, also for a NUL in it |
 *          EVLOG_ERR_LIMIT
 */
int http_basic_plain(const char *header, uint8_t plain[HTTP_PLAIN_MAX], size_t *len);

#endif
