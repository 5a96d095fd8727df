/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors as people meet them: code, sentence, remedy. Two ranges of codes: EVL-1nnn is the library's EVLOG_ERR_ code
 * -nnn, EVL-2nnn is in cli_error.def. With --json an error is one JSON object on stderr.
 */
#include "cli.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <wire/error_code.h>

#define CONFIRM_LEN_MAX 300 /* longer names are removed with --confirm only */

static const struct row {
    const char *name;
    int number;
    int exit_code;
    const char *text;
    const char *remedy;
} rows[] = {
#define CLI_ERROR(name, number, exit_code, text, remedy) {#name, number, exit_code, text, remedy},
#include "cli_error.def"
#undef CLI_ERROR
};

static const struct row *row_of(int number)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == number) {
            return &rows[i];
        }
    }
    return NULL;
}

static void add_conflict(struct el_json_writer *w, const struct evlog_conflict *conflict)
{
    el_json_key(w, "current_version");
    if (conflict->current_version < 0) {
        el_json_put_null(w);
    } else {
        el_json_put_int(w, conflict->current_version);
    }
    el_json_add_str(w, "current_type", conflict->current_type[0] == '\0' ? NULL : conflict->current_type);
    cli_json_time(w, "current_time", cli_event_ns(conflict->current_time_ms), 3);
    el_json_add_bool(w, "deleted", conflict->deleted);
}

/* What an error has besides its number. */
struct about {
    const char *remedy;
    bool in_doubt;
    const struct evlog_conflict *conflict; /* NULL: none */
};

static void print_json(int number, const char *text, const struct about *about)
{
    char code[16];
    struct el_buffer line = {0};
    struct el_json_writer w;
    (void)snprintf(code, sizeof code, "EVL-%04d", number);
    el_json_writer_init(&w, &line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "error", code);
    el_json_add_str(&w, "text", text);
    el_json_add_str(&w, "remedy", about->remedy);
    if (about->in_doubt) {
        el_json_add_bool(&w, "in_doubt", true);
    }
    if (about->conflict != NULL) {
        add_conflict(&w, about->conflict);
    }
    el_json_end_object(&w);
    if (el_json_writer_end(&w) == 0) {
        (void)fprintf(stderr, "%.*s\n", (int)line.len, (const char *)line.data);
    } else {
        (void)fprintf(stderr, "{\"error\":\"%s\"}\n", code);
    }
    el_buffer_free(&line);
}

static void print_error(const struct cli *cli, int number, const char *text, const struct about *about)
{
    (void)fflush(stdout);
    if (cli->json) {
        print_json(number, text, about);
        return;
    }
    (void)fprintf(stderr, "evlog: EVL-%04d: %s\n", number, text);
    if (about->remedy != NULL && about->remedy[0] != '\0') {
        (void)fprintf(stderr, "  remedy: %s\n", about->remedy);
    }
}

static int error_v(const struct cli *cli, struct cli_remedy what, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static int error_v(const struct cli *cli, struct cli_remedy what, const char *format, va_list args)
{
    char text[1024];
    const struct row *row = row_of(what.number);
    (void)vsnprintf(text, sizeof text, format, args);
    print_error(cli, what.number, text, &(struct about){.remedy = what.remedy == NULL ? row->remedy : what.remedy});
    return row->exit_code;
}

int cli_error(const struct cli *cli, enum cli_error_number number, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = error_v(cli, (struct cli_remedy){number, NULL}, format, args);
    va_end(args);
    return rc;
}

int cli_error_remedy(const struct cli *cli, struct cli_remedy remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = error_v(cli, remedy, format, args);
    va_end(args);
    return rc;
}

static bool is_denied(int kafka_code)
{
    return kafka_code == EL_KAFKA_TOPIC_AUTHORIZATION_FAILED || kafka_code == EL_KAFKA_GROUP_AUTHORIZATION_FAILED ||
           kafka_code == EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED || kafka_code == EL_KAFKA_SASL_AUTHENTICATION_FAILED;
}

int cli_exit_of(const struct evlog_failure *failure)
{
    if (is_denied(failure->kafka_code)) {
        return CLI_DENIED;
    }
    switch (failure->code) {
    case EVLOG_OK:
        return CLI_OK;
    case EVLOG_ERR_ARGUMENT: /* what the library was given stood on the command line, such as an archive's URL */
        return CLI_USAGE;
    case EVLOG_ERR_UNREACHABLE:
        return CLI_UNREACHABLE;
    case EVLOG_ERR_UNKNOWN_TOPIC:
    case EVLOG_ERR_UNKNOWN_TOPIC_ID:
    case EVLOG_ERR_NOT_FOUND:
    case EVLOG_ERR_GROUP_NOT_FOUND:
        return CLI_NOT_FOUND;
    case EVLOG_ERR_TOPIC_EXISTS:
    case EVLOG_ERR_EXISTS:
    case EVLOG_ERR_CONFLICT:
    case EVLOG_ERR_WRONG_VERSION:
    case EVLOG_ERR_ID_CONFLICT:
    case EVLOG_ERR_STREAM_ENDED:
    case EVLOG_ERR_LOCKED:
    case EVLOG_ERR_GROUP_NOT_EMPTY:
    case EVLOG_ERR_GROUP_SUBSCRIBED:
        return CLI_CONFLICT;
    case EVLOG_ERR_AUTHENTICATION:
    case EVLOG_ERR_TOPIC_DENIED:
    case EVLOG_ERR_GROUP_DENIED:
    case EVLOG_ERR_CLUSTER_DENIED:
        return CLI_DENIED;
    case EVLOG_ERR_CORRUPT:
        return CLI_INTEGRITY;
    default:
        return CLI_FAILED;
    }
}

int cli_failure(const struct cli *cli, const struct evlog_failure *failure)
{
    return cli_failure_conflict(cli, failure, NULL);
}

const char *cli_remedy_for(const struct cli *cli, const char *hint, char text[CLI_REMEDY_MAX])
{
    static const char word[] = "PRINCIPAL", who[] = "; sasl.username or the certificate says who PRINCIPAL is";
    const char *end = strstr(hint, who);
    size_t len = end == NULL ? strlen(hint) : (size_t)(end - hint), used = 0;
    if (cli->principal[0] == '\0' || strpbrk(cli->principal, " '\"\\$`*?") != NULL || strstr(hint, word) == NULL) {
        return hint;
    }
    for (size_t i = 0; i < len && used + 1 < CLI_REMEDY_MAX;) {
        bool is_word = len - i >= strlen(word) && memcmp(hint + i, word, strlen(word)) == 0;
        int n = snprintf(text + used, CLI_REMEDY_MAX - used, is_word ? "%s" : "%.1s",
                         is_word ? cli->principal : hint + i);
        used = EL_MIN(used + (size_t)EL_MAX(n, 0), (size_t)CLI_REMEDY_MAX - 1);
        i += is_word ? strlen(word) : 1;
    }
    return text;
}

int cli_failure_conflict(const struct cli *cli, const struct evlog_failure *failure,
                         const struct evlog_conflict *conflict)
{
    char text[CLI_REMEDY_MAX];
    print_error(cli, 1000 - failure->code, failure->text,
                &(struct about){cli_remedy_for(cli, failure->hint, text), failure->in_doubt, conflict});
    return cli_exit_of(failure);
}

void cli_say(const struct cli *cli, const char *format, ...)
{
    if (cli->quiet) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

static bool asked_for_name(const char *what, const char *name)
{
    char answer[CONFIRM_LEN_MAX];
    (void)fprintf(stderr, "Type %s to remove %s %s: ", name, what, name);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        return false;
    }
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, name) == 0;
}

int cli_confirm(const struct cli *cli, const char *what, const char *name, const char *confirm)
{
    bool may_ask = confirm == NULL && !cli->no_input && isatty(STDIN_FILENO) != 0;
    if (confirm != NULL ? strcmp(confirm, name) == 0 : may_ask && asked_for_name(what, name)) {
        return CLI_OK;
    }
    return cli_error(cli, CLI_ERR_CONFIRM, "nothing was removed: --confirm=%s says that you mean %s %s", name, what,
                     name);
}

/* --- explain ---------------------------------------------------------------------------------------------------- */

struct explanation {
    int number;
    const char *name;
    const char *text;
    const char *what_to_do;
    int exit_code;
    int kafka_code;
};

static const char *class_advice(enum evlog_error_class error_class)
{
    switch (error_class) {
    case EVLOG_CLASS_NONE:
        return "nothing";
    case EVLOG_CLASS_RETRY:
        return "try again later: the same call may succeed then";
    case EVLOG_CLASS_FATAL:
        return "trying again does not help: the partition, the connection or the program needs attention";
    case EVLOG_CLASS_CALLER:
        return "change the call: trying the same again does not help";
    }
    return "";
}

static const char *advice_of(int code)
{
    switch (code) {
    case EVLOG_ERR_WRONG_VERSION:
        return "read the stream, decide anew, and append with the version that it has now";
    case EVLOG_ERR_ID_CONFLICT:
        return "repeat an append with exactly the events it had, or give new events new ids";
    case EVLOG_ERR_STREAM_ENDED:
        return "a stream that was deleted for good takes no events: use another key";
    case EVLOG_ERR_SEALED:
        return "name the key store, with --keys DIR or EVLOG_KEYS__STORE";
    case EVLOG_ERR_ERASED:
        return "the data is gone, or its key is disabled until 'evlog keys restore': handle it as erased";
    case EVLOG_ERR_KEYS:
        return "give the key store that the data was sealed with, and its master key: nothing counts as erased else";
    case EVLOG_ERR_AUTHENTICATION:
        return "correct sasl.username, sasl.password, sasl.mechanism or security.protocol; docs/security.md has them";
    case EVLOG_ERR_TOPIC_DENIED:
    case EVLOG_ERR_GROUP_DENIED:
    case EVLOG_ERR_CLUSTER_DENIED:
        return "ask a super user of the broker for a rule (ACL) that gives the right; docs/security.md has them";
    default:
        return class_advice(evlog_error_class_of(code));
    }
}

static bool find_explanation(int number, struct explanation *out)
{
    const struct row *row = row_of(number);
    if (row != NULL) {
        *out = (struct explanation){number, row->name, row->text, row->remedy, row->exit_code, 0};
        return true;
    }
    static const int codes[] = {
#define EVLOG_ERROR(name, number, class_, kafka_code, text) number,
#include <evlog/error.def>
#undef EVLOG_ERROR
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (1000 - codes[i] == number) {
            struct evlog_failure failure = {.code = codes[i]};
            *out = (struct explanation){
                number,
                evlog_error_name(codes[i]),
                evlog_error_text(codes[i]),
                advice_of(codes[i]),
                cli_exit_of(&failure),
                evlog_error_kafka(codes[i]),
            };
            return true;
        }
    }
    return false;
}

bool cli_explain(const char *code, FILE *out, bool json)
{
    const char *digits = strncasecmp(code, "EVL-", 4) == 0 ? code + 4 : code;
    char *end;
    long number = strtol(digits, &end, 10);
    struct explanation e;
    if (!isdigit((unsigned char)*digits) || *end != '\0' || number > 99999 || !find_explanation((int)number, &e)) {
        return false;
    }
    if (!json) {
        (void)fprintf(out, "EVL-%04d %s\n  %s\n  what to do: %s\n  exit code %d", e.number, e.name, e.text,
                      e.what_to_do, e.exit_code);
        if (e.kafka_code > 0) {
            (void)fprintf(out, ", on the wire %d %s", e.kafka_code, el_kafka_error_name(e.kafka_code));
        }
        (void)fputc('\n', out);
        return true;
    }
    struct el_buffer line = {0};
    struct el_json_writer w;
    char name[16];
    (void)snprintf(name, sizeof name, "EVL-%04d", e.number);
    el_json_writer_init(&w, &line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "code", name);
    el_json_add_str(&w, "name", e.name);
    el_json_add_str(&w, "text", e.text);
    el_json_add_str(&w, "remedy", e.what_to_do);
    el_json_add_int(&w, "exit_code", e.exit_code);
    el_json_end_object(&w);
    if (el_json_writer_end(&w) == 0) {
        (void)fprintf(out, "%.*s\n", (int)line.len, (const char *)line.data);
    }
    el_buffer_free(&line);
    return true;
}
