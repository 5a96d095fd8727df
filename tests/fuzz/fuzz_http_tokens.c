/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of tokens and headers that carry one: a file is refused with a text, or the last word of each of its lines is
 * somebody's; a header's token lies within it.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <http/tokens.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_up_last(const struct http_tokens *tokens, struct el_slice text)
{
    size_t end = text.len;
    while (end > 0 && strchr(" \t\r\n", text.data[end - 1]) != NULL && text.data[end - 1] != 0) {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && (text.data[begin - 1] == 0 || strchr(" \t\r\n", text.data[begin - 1]) == NULL)) {
        begin--;
    }
    const uint8_t *line = memrchr(text.data, '\n', begin);
    line = line == NULL ? text.data : line + 1;
    while (line < text.data + begin && (*line == ' ' || *line == '\t' || *line == '\r')) {
        line++;
    }
    if (begin < end && *line != '#' && end - begin <= HTTP_TOKEN_LEN_MAX) {
        EL_ASSERT(http_tokens_find(tokens, el_slice_of(text.data + begin, end - begin)) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_tokens *tokens = NULL;
    struct el_error err = {0};
    struct el_slice token;
    char *header = malloc(len + 1);
    EL_ASSERT(header != NULL);
    memcpy(header, data, len);
    header[len] = '\0';
    int rc = http_tokens_parse("file", el_slice_of(data, len), &tokens, &err);
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_INVALID_CONFIG);
    if (rc == 0) {
        look_up_last(tokens, el_slice_of(data, len));
    }
    http_tokens_free(tokens);
    if (http_bearer_token(header, &token)) {
        EL_ASSERT(token.data >= (const uint8_t *)header);
        EL_ASSERT(token.data + token.len == (const uint8_t *)header + strlen(header));
    }
    free(header);
    return 0;
}
