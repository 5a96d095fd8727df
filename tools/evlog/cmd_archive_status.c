/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive status | now: the archive as the server tells of it. Other commands of the noun read the archive itself
 * and need no server.
 */
#include "cli.h"
#include "table.h"

#include <core/crypto.h>
#include <core/timefmt.h>
#include <inttypes.h>
#include <string.h>

static int print_json(struct cli *cli, const struct evlog_archive_status *s, const char *id)
{
    struct el_buffer text = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &text);
    el_json_add_str(&w, "state", s->state);
    el_json_add_str(&w, "url", s->url[0] == 0 ? NULL : s->url);
    el_json_add_str(&w, "message", s->message[0] == 0 ? NULL : s->message);
    el_json_add_str(&w, "incarnation", s->sequence == 0 ? NULL : id);
    el_json_add_uint(&w, "root", s->sequence);
    cli_json_time(&w, "root_made", s->root_ms * 1000000, 3);
    cli_json_time(&w, "complete_through", s->complete_ns, 9);
    el_json_add_uint(&w, "pending_bytes", s->pending_bytes);
    el_json_add_uint(&w, "objects", s->object_count);
    el_json_add_uint(&w, "object_bytes", s->object_bytes);
    el_json_add_uint(&w, "replaced", s->replaced_count);
    int rc = cli_json_end(cli, &w, &text);
    el_buffer_free(&text);
    return rc;
}

static void print_text(const struct evlog_archive_status *s, const char *id)
{
    char time[40] = "nothing yet";
    (void)printf("state             %s\n", s->state);
    if (strcmp(s->state, "none") == 0) {
        return;
    }
    if (s->complete_ns > 0) {
        el_time_format(time, s->complete_ns, 3);
    }
    (void)printf("archive           %s\n", s->url);
    if (s->sequence > 0) {
        (void)printf("incarnation       %s\nlast root         %" PRIu64 "\n", id, s->sequence);
    }
    (void)printf("complete through  %s\npending           about %" PRIu64 " bytes\nobjects           %" PRIu64
                 ", %" PRIu64 " bytes; %" PRIu64 " replaced\n",
                 time, s->pending_bytes, s->object_count, s->object_bytes, s->replaced_count);
    if (s->message[0] != 0) {
        (void)printf("message           %s\n", s->message);
    }
}

int cmd_archive_status(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_archive_status status;
    char id[33];
    int rc = cli_connect_bare(cli, command, argc, argv);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = CLI_OK;
    if (evlog_archive_status(cli->client, &status, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    el_hex(id, status.incarnation, sizeof status.incarnation);
    if (cli->json) {
        rc = print_json(cli, &status, id);
    } else {
        print_text(&status, id);
    }
    return rc != CLI_OK ? rc : strcmp(status.state, "stopped") == 0 ? CLI_FAILED : CLI_OK;
}

/* The server answers when it is done; longer than a request may take, it is asked again. */
static int now(struct cli *cli, bool seal, const char *topic, bool wait)
{
    for (;;) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        int code = evlog_archive_now(cli->client, seal, topic, wait, &failure);
        bool again = wait && !cli_interrupted && (code == EVLOG_ERR_TIMED_OUT || code == EVLOG_ERR_IN_DOUBT);
        if (code == 0 || !again) {
            return code == 0 ? CLI_OK : cli_failure(cli, &failure);
        }
    }
}

int cmd_archive_now(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool wait = false;
    struct cli_list topics = {0};
    bool seal = false;
    struct cli_words words;
    const struct cli_option options[] = {
        {"wait", 0, CLI_FLAG, &wait, NULL, "until everything that was durable before is in the archive"},
        {"seal", 0, CLI_LIST, &topics, "TOPIC", "make segments of what bundles hold of this topic; may be repeated"},
        {"seal-all", 0, CLI_FLAG, &seal, NULL, "the same of all topics"},
    };
    const struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, 0};
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? cli_connect(cli) : rc;
    if (rc == CLI_OK && cli->client != NULL) {
        for (size_t i = 0; i < topics.count && rc == CLI_OK && !seal; i++) {
            rc = now(cli, true, topics.items[i], wait);
        }
        if (rc == CLI_OK && (topics.count == 0 || seal)) {
            rc = now(cli, seal, NULL, wait);
        }
        if (rc == CLI_OK) {
            cli_say(cli, wait ? "everything that was durable is in the archive" : "a round has begun");
        }
    }
    cli_list_free(&topics);
    return rc;
}
