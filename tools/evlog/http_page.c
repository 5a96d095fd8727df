/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.0, so that an answer ends where its connection does: no library for four pages.
 */
#include "http_page.h"
#include "page_link.h"

#include <core/base64.h>

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define WORD_MAX 1024

/* "Authorization: Basic ...\r\n" into the request, when there are credentials. */
static void add_credentials(const struct evlog_settings *settings, struct el_buffer *request)
{
    const char *user = evlog_settings_get(settings, "sasl.username");
    const char *password = evlog_settings_get(settings, "sasl.password");
    char words[2 * WORD_MAX], text[4 * WORD_MAX];
    if (user != NULL && user[0] != '\0' && password != NULL && strlen(user) < WORD_MAX && strlen(password) < WORD_MAX) {
        int len = snprintf(words, sizeof words, "%s:%s", user, password);
        el_base64_encode(text, words, (size_t)len);
        el_buffer_printf(request, "Authorization: Basic %s\r\n", text);
        explicit_bzero(words, sizeof words);
        explicit_bzero(text, sizeof text);
    }
}

static int take_answer(struct el_buffer *answer, struct http_page *page, struct el_error *err)
{
    const char *text = el_buffer_text(answer);
    const char *body = text == NULL ? NULL : strstr(text, "\r\n\r\n");
    if (body == NULL || sscanf(text, "HTTP/1.%*1[01] %3d", &page->status) != 1) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "what answers there does not speak HTTP");
    }
    el_buffer_append_str(&page->text, body + 4);
    return el_buffer_text(&page->text) != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory");
}

static int ask(struct page_link *link, const struct evlog_settings *settings, const char *path, struct http_page *page,
               struct el_error *err)
{
    struct el_buffer request = {.err = 0}, answer = {.err = 0};
    el_buffer_printf(&request, "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n", path, page_link_host(link));
    add_credentials(settings, &request);
    el_buffer_append_str(&request, "\r\n");
    int rc = request.err != 0 ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory")
                              : page_link_send(link, el_buffer_slice(&request), err);
    if (rc == 0) {
        rc = page_link_receive(link, &answer, HTTP_PAGE_MAX, err);
    }
    if (rc == 0) {
        rc = take_answer(&answer, page, err);
    }
    if (request.data != NULL) {
        explicit_bzero(request.data, request.len);
    }
    el_buffer_free(&request);
    el_buffer_free(&answer);
    return rc;
}

int http_page_get(const struct cli *cli, const char *address, const char *path, struct http_page *page,
                  struct el_error *err)
{
    struct evlog_settings *settings = NULL;
    struct page_link *link = NULL;
    if (cli_settings(cli, &settings) != CLI_OK) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "the client's settings cannot be used");
    }
    int rc = page_link_open(address, settings, cli->timeout_ms > 0 ? cli->timeout_ms : TIMEOUT_MS, &link, err);
    if (rc == 0) {
        rc = ask(link, settings, path, page, err);
    }
    page_link_close(link);
    evlog_settings_free(settings);
    return rc;
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

size_t http_page_samples(const char *text, const char *metric, http_sample_fn fn, void *arg)
{
    size_t name_len = strlen(metric), count = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, metric, name_len) != 0 || (line[name_len] != '{' && line[name_len] != ' ')) {
            continue;
        }
        char labels[WORD_MAX] = "";
        const char *end = strchr(line, '\n'), *value = line + name_len;
        const char *last = end == NULL ? line + strlen(line) : end;
        while (last > value && last[-1] != ' ') {
            last--;
        }
        size_t labels_len = *value == '{' && last - value >= 3 ? (size_t)(last - value) - 3 : 0;
        if (labels_len >= sizeof labels) {
            continue;
        }
        memcpy(labels, value + 1, labels_len);
        labels[labels_len] = '\0';
        fn(arg, labels, strtod(last, NULL));
        count++;
    }
    return count;
}

bool http_page_label(const char *labels, const char *name, char *out, size_t room)
{
    size_t name_len = strlen(name);
    for (const char *at = labels; *at != '\0';) {
        const char *equals = strstr(at, "=\"");
        if (equals == NULL) {
            return false;
        }
        bool same = (size_t)(equals - at) == name_len && memcmp(at, name, name_len) == 0;
        const char *end = equals + 2;
        size_t len = 0;
        for (; *end != '"' && *end != '\0'; end++) {
            end += *end == '\\' && end[1] != '\0';
            if (same && len + 1 >= room) {
                return false;
            }
            if (same) {
                out[len++] = *end;
            }
        }
        if (same) {
            out[len] = '\0';
            return *end == '"';
        }
        at = *end == '"' && end[1] == ',' ? end + 2 : "";
    }
    return false;
}
