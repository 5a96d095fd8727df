/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog produce: values from the command line, lines of a file or of stdin, or CloudEvents.
 *
 * Everything that can be checked without the broker is checked first; then the topic; then events are published in
 * order. Exit codes: 5 no such topic, 6 another number of partitions, 7 a part was published, 1 nothing was,
 * 130 a signal came before all was acknowledged.
 */
#include "publishing.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <string.h>

#define NS_PER_MS 1000000
#define HEADER_MAX 256

struct produce {
    const char *key;
    const char *key_delimiter;
    const char *format_text;
    const char *file;
    const char *cloudevents;
    struct cli_list headers;
    int64_t partitions; /* of a topic to be made */
    int64_t partition;  /* to publish to */
    int64_t time_ns;
    int64_t count;
    bool create;
    bool null_value;
    struct event_format format;
    struct evlog_header header_array[HEADER_MAX];
    struct sealing sealing;
};

static int fill_headers(const struct cli *cli, struct produce *produce)
{
    if (produce->headers.count > HEADER_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "at most %d headers", HEADER_MAX);
    }
    for (size_t i = 0; i < produce->headers.count; i++) {
        const char *pair = produce->headers.items[i], *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            return cli_error(cli, CLI_ERR_VALUE, "-H takes NAME=VALUE, not %s", pair);
        }
        produce->header_array[i] = (struct evlog_header){
            {pair, (size_t)(equals - pair)},
            {equals + 1, strlen(equals + 1)},
        };
    }
    return CLI_OK;
}

static int check(struct cli *cli, struct produce *produce, int value_count)
{
    struct el_error err = {0};
    bool from_lines = produce->file != NULL || produce->cloudevents != NULL;
    bool shapes = produce->format_text != NULL || produce->key_delimiter != NULL;
    if (from_lines && value_count > 0) {
        return cli_error(cli, CLI_ERR_WORDS, "values and a file cannot be given together");
    }
    if (produce->cloudevents != NULL &&
        (produce->file != NULL || shapes || produce->key != NULL || produce->headers.count > 0 ||
         produce->time_ns != EVLOG_TIME_NONE || produce->null_value)) {
        return cli_error(cli, CLI_ERR_VALUE, "CloudEvents bring key, headers, time and value with them");
    }
    if (produce->format_text != NULL && produce->key_delimiter != NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "-f and -K cannot be given together");
    }
    if (produce->key_delimiter != NULL && produce->key_delimiter[0] == '\0') {
        return cli_error(cli, CLI_ERR_VALUE, "-K needs a character");
    }
    if (produce->format_text != NULL && event_format_parse(produce->format_text, &produce->format, &err) != 0) {
        return cli_error(cli, CLI_ERR_VALUE, "-f %s: %s", produce->format_text, err.text);
    }
    if (produce->partitions == 0 || produce->partitions < -1 || produce->partitions > EL_PARTITION_COUNT_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "a topic has 1 to %d partitions", EL_PARTITION_COUNT_MAX);
    }
    if (produce->partitions > 0 && !produce->create) {
        return cli_error(cli, CLI_ERR_VALUE, "-p goes with --create; --partition chooses where events go");
    }
    if (produce->partition < -1 || produce->partition > INT32_MAX || produce->count < 1) {
        return cli_error(cli, CLI_ERR_VALUE, "--partition or --count is out of range");
    }
    int rc = sealing_open_to_seal(&produce->sealing, cli);
    return rc == CLI_OK ? fill_headers(cli, produce) : rc;
}

static int publish_values(struct publishing *p, const struct produce *produce, char **values, int value_count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (int64_t i = 0; i < produce->count; i++) {
        for (int j = 0; j < EL_MAX(value_count, 1); j++) {
            struct evlog_message message = p->base;
            if (value_count > 0) {
                bool null_value = p->empty_is_null && values[j][0] == '\0';
                message.value = (struct evlog_bytes){null_value ? NULL : values[j], strlen(values[j])};
            }
            if (publishing_one(p, &message, &failure) != 0) {
                int rc = publishing_finish(p);
                bool told = rc == CLI_INTERRUPTED || (rc != CLI_OK && failure.code == EVLOG_ERR_FULL);
                return told ? rc : cli_failure(p->cli, &failure);
            }
        }
        if (cli_interrupted) {
            break;
        }
    }
    return publishing_finish(p);
}

static int publish_all(struct publishing *p, const struct produce *produce, struct line_input *input, char **values,
                       int value_count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (evlog_producer_open(p->cli->client, &p->producer, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    const char *name = produce->cloudevents != NULL ? produce->cloudevents : produce->file;
    bool is_stdin = name == NULL || strcmp(name, "-") == 0;
    int rc = input == NULL ? publish_values(p, produce, values, value_count)
                           : publishing_lines(p, input, is_stdin ? "stdin" : name);
    evlog_producer_close(p->producer);
    return rc;
}

static void fill_base(struct publishing *p, struct produce *produce)
{
    p->base = (struct evlog_message)EVLOG_MESSAGE_INIT;
    p->base.partition = (int32_t)produce->partition;
    if (produce->time_ns != EVLOG_TIME_NONE && produce->time_ns >= 0) {
        p->base.timestamp_ms = produce->time_ns / NS_PER_MS;
    }
    if (produce->key != NULL) {
        p->base.key = (struct evlog_bytes){produce->key, strlen(produce->key)};
    }
    p->base.headers = produce->header_array;
    p->base.header_count = produce->headers.count;
    p->format = produce->format_text == NULL ? NULL : &produce->format;
    p->key_delimiter = produce->key_delimiter;
    p->cloudevents = produce->cloudevents != NULL;
    p->empty_is_null = produce->null_value;
    p->sealing = sealing_wanted(&produce->sealing) ? &produce->sealing : NULL;
}

static int run(struct cli *cli, struct produce *produce, struct cli_words *words)
{
    struct line_input *input = NULL;
    struct el_error err = {0};
    int rc = check(cli, produce, words->count - 1);
    if (rc != CLI_OK) {
        return rc;
    }
    bool only_null = produce->null_value && words->count == 1 && produce->file == NULL && produce->key != NULL;
    const char *path = produce->cloudevents != NULL ? produce->cloudevents : produce->file;
    if (path == NULL && words->count == 1 && !only_null) {
        path = "-";
    }
    if (path != NULL && line_input_open(path, &input, &err) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s", err.text);
    }
    cli->defaults = publishing_defaults;
    cli->ends_at_once = true;
    rc = cli_connect(cli);
    if (rc == CLI_OK) {
        rc = publishing_topic(cli, words->items[0], produce->create, produce->partitions);
    }
    if (rc == CLI_OK) {
        struct publishing p = {.cli = cli, .topic = words->items[0]};
        fill_base(&p, produce);
        rc = publish_all(&p, produce, input, words->items + 1, words->count - 1);
    }
    line_input_close(input);
    return rc;
}

int cmd_produce(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct produce *produce = el_calloc(1, sizeof *produce);
    if (produce == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    produce->partitions = produce->partition = -1;
    produce->time_ns = EVLOG_TIME_NONE;
    produce->count = 1;
    const struct cli_option options[] = {
        {"key", 'k', CLI_TEXT, &produce->key, "KEY", "key of every event: its stream"},
        {"header", 'H', CLI_LIST, &produce->headers, "NAME=VALUE", "a header of every event; may be repeated"},
        {"format", 'f', CLI_TEXT, &produce->format_text, "FORMAT", "how a line is built, such as '%k %v'"},
        {"key-delimiter", 'K', CLI_TEXT, &produce->key_delimiter, "TEXT", "the key stands before it on each line"},
        {"file", 0, CLI_TEXT, &produce->file, "FILE", "lines of a file, gzip-compressed or not; - is stdin"},
        {"cloudevents", 0, CLI_TEXT, &produce->cloudevents, "FILE", "CloudEvents, one JSON object a line"},
        {"create", 0, CLI_FLAG, &produce->create, NULL, "make the topic when it is not there"},
        {"partitions", 'p', CLI_INT, &produce->partitions, "N", "partitions of a topic that is made"},
        {"partition", 0, CLI_INT, &produce->partition, "N", "publish to this partition"},
        {"time", 0, CLI_TIME, &produce->time_ns, "TIME", "event time (now)"},
        {"count", 0, CLI_INT, &produce->count, "N", "publish the values so many times"},
        SEALING_SEAL_OPTIONS(&produce->sealing),
        SEALING_KEYS_OPTIONS(&produce->sealing),
        {"null", 'Z', CLI_FLAG, &produce->null_value, NULL, "an empty value is null: it removes its key"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(cli, produce, &words);
    }
    sealing_close(&produce->sealing);
    cli_list_free(&produce->headers);
    el_free(produce);
    return rc;
}
