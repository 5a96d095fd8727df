/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorization headers: one is refused, or becomes a message of PLAIN with two parts that encode to the same header.
 */
#include <core/assert.h>
#include <core/base64.h>
#include <evlog/error.h>
#include <http/authorization.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *plain = malloc(HTTP_PLAIN_MAX); /* of its own, so that asan sees a byte too far */
    char *header = malloc(len + 1);
    size_t plain_len = 0;
    EL_ASSERT(plain != NULL);
    EL_ASSERT(header != NULL);
    memcpy(header, data, len);
    header[len] = '\0';
    int rc = http_basic_plain(header, plain, &plain_len);
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_UNSUPPORTED || rc == EVLOG_ERR_LIMIT);
    if (rc == 0) {
        EL_ASSERT(plain_len >= 2 && plain_len <= HTTP_PLAIN_MAX);
        EL_ASSERT(plain[0] == 0);
        uint8_t *colon = memchr(plain + 1, 0, plain_len - 1);
        EL_ASSERT(colon != NULL);
        EL_ASSERT(memchr(colon + 1, 0, plain_len - (size_t)(colon + 1 - plain)) == NULL);
        *colon = ':';
        char *again = malloc(el_base64_encoded_len(plain_len - 1) + 1);
        EL_ASSERT(again != NULL);
        el_base64_encode(again, plain + 1, plain_len - 1);
        EL_ASSERT(strcmp(again, strrchr(header, ' ') + 1) == 0);
        free(again);
    }
    free(header);
    free(plain);
    return 0;
}
