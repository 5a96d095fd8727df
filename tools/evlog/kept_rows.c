/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything lies in one arena; rows are never changed. Fails for want of memory only.
 */
#include "kept_rows.h"

#include <core/alloc.h>
#include <string.h>

void kept_rows_init(struct kept_rows *kept)
{
    *kept = (struct kept_rows){.count = 0};
    el_arena_init(&kept->arena, NULL, 0);
}

void kept_rows_free(struct kept_rows *kept)
{
    el_arena_reset(&kept->arena);
    el_free(kept->rows);
    kept_rows_init(kept);
}

/* A copy; null stays null. *ok turns false when there is no memory. */
static struct evlog_bytes copied(struct el_arena *arena, struct evlog_bytes bytes, bool *ok)
{
    if (bytes.data == NULL) {
        return bytes;
    }
    void *copy = el_arena_alloc(arena, bytes.len + 1);
    *ok = *ok && copy != NULL;
    if (copy == NULL) {
        return (struct evlog_bytes){NULL, 0};
    }
    memcpy(copy, bytes.data, bytes.len);
    return (struct evlog_bytes){copy, bytes.len};
}

static bool copy_headers(struct el_arena *arena, struct evlog_event *event)
{
    bool ok = true;
    if (event->header_count == 0) {
        event->headers = NULL;
        return true;
    }
    struct evlog_header *headers = el_arena_alloc(arena, event->header_count * sizeof *headers);
    if (headers == NULL) {
        return false;
    }
    for (size_t i = 0; i < event->header_count; i++) {
        headers[i].key = copied(arena, event->headers[i].key, &ok);
        headers[i].value = copied(arena, event->headers[i].value, &ok);
    }
    event->headers = headers;
    return ok;
}

int kept_rows_add(struct kept_rows *kept, const struct evlog_replay_event *replayed)
{
    if (kept->count == kept->room) {
        size_t room = kept->room == 0 ? 256 : 2 * kept->room;
        struct kept_row **grown = el_realloc(kept->rows, room * sizeof(struct kept_row *));
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        kept->rows = grown;
        kept->room = room;
    }
    struct kept_row *row = el_arena_alloc(&kept->arena, sizeof *row);
    if (row == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    bool ok = true, same = replayed->data.data == replayed->event->value.data;
    row->event = *replayed->event;
    row->event.topic = NULL; /* the caller's, who knows it */
    row->event.key = copied(&kept->arena, replayed->event->key, &ok);
    row->event.value = copied(&kept->arena, replayed->event->value, &ok);
    row->replayed = *replayed;
    row->replayed.event = &row->event;
    row->replayed.type = copied(&kept->arena, replayed->type, &ok);
    row->replayed.id = copied(&kept->arena, replayed->id, &ok);
    row->replayed.data = same ? (struct evlog_bytes){row->event.value.data, replayed->data.len}
                              : copied(&kept->arena, replayed->data, &ok);
    if (!copy_headers(&kept->arena, &row->event) || !ok) {
        return EVLOG_ERR_NO_MEMORY;
    }
    kept->rows[kept->count++] = row;
    return 0;
}

int kept_key_order(struct evlog_bytes a, struct evlog_bytes b)
{
    int order = memcmp(a.data, b.data, EL_MIN(a.len, b.len));
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool kept_bytes_equal(struct evlog_bytes a, struct evlog_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct reading {
    struct cli *cli;
    struct kept_rows *kept;
};

static int keep(void *arg, const struct evlog_replay_event *event)
{
    const struct reading *reading = arg;
    return kept_rows_add(reading->kept, event);
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct reading *reading = arg;
    cli_progress(reading->cli, "read", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

int kept_rows_read(struct cli *cli, const struct evlog_replay_options *options, struct kept_rows *kept,
                   struct evlog_replay_summary *summary)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct reading reading = {cli, kept};
    struct evlog_replay_options full = *options;
    full.on_event = keep;
    full.on_progress = on_progress;
    full.arg = &reading;
    int rc = evlog_replay_run(cli->client, &full, summary, &failure);
    cli_progress_end(cli);
    if (rc != 0 && cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    if (rc == EVLOG_ERR_NO_MEMORY && failure.code == 0) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory for the state of topic %s", options->topic);
    }
    return rc == 0 ? CLI_OK : cli_failure(cli, &failure);
}
