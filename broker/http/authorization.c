/* SPDX-License-Identifier: Apache-2.0 */
#include <http/authorization.h>

#include <core/base64.h>
#include <core/err.h>

#include <string.h>
#include <strings.h>

#define SCHEME "Basic"

int http_basic_plain(const char *header, uint8_t plain[HTTP_PLAIN_MAX], size_t *len)
{
    size_t scheme_len = strlen(SCHEME), words_len;
    if (strncasecmp(header, SCHEME, scheme_len) != 0 || header[scheme_len] != ' ') {
        return EVLOG_ERR_UNSUPPORTED;
    }
    const char *text = header + scheme_len;
    text += strspn(text, " ");
    plain[0] = 0;
    int error = el_base64_decode(text, strlen(text), plain + 1, HTTP_PLAIN_MAX - 1, &words_len);
    if (error != 0) {
        explicit_bzero(plain, HTTP_PLAIN_MAX); /* what is before the fault */
        return error;
    }
    uint8_t *colon = memchr(plain + 1, ':', words_len);
    if (colon == NULL || memchr(plain + 1, 0, words_len) != NULL) {
        explicit_bzero(plain, HTTP_PLAIN_MAX);
        return EVLOG_ERR_MALFORMED;
    }
    *colon = 0;
    *len = words_len + 1;
    return 0;
}
