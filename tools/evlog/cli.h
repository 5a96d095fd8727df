/* SPDX-License-Identifier: Apache-2.0
 *
 * What every command of evlog shares: options, errors with codes and remedies, the client, output.
 *
 * Data goes to stdout, talk to stderr. A command returns an exit code (enum cli_exit), never a library code.
 */
#ifndef EVLOG_TOOLS_CLI_H
#define EVLOG_TOOLS_CLI_H

#include <core/json_writer.h>
#include <evlog/evlog.h>
#include <stdio.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_DENIED = 4,
    CLI_NOT_FOUND = 5,
    CLI_CONFLICT = 6,
    CLI_PARTIAL = 7,
    CLI_INTEGRITY = 8,
    CLI_INTERRUPTED = 130,
};

/* The tool's own error numbers; those of the library are 1000 - code (EVL-1036 is EVLOG_ERR_UNREACHABLE). */
enum cli_error_number {
#define CLI_ERROR(name, number, exit_code, text, remedy) CLI_ERR_##name = (number),
#include "cli_error.def"
#undef CLI_ERROR
};

struct cli_list {
    const char **items;
    size_t count;
};

enum cli_kind {
    CLI_FLAG,     /* bool */
    CLI_TEXT,     /* const char * */
    CLI_INT,      /* int64_t */
    CLI_TIME,     /* int64_t, ns since 1970 */
    CLI_DURATION, /* int64_t, ms */
    CLI_LIST,     /* struct cli_list; may be given again */
};

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum cli_kind kind;
    void *target;
    const char *value_name; /* in the help, NULL for flags */
    const char *help;
};

struct cli;

struct cli_command {
    const char *name;      /* "produce", or "topics create" */
    const char *arguments; /* "TOPIC [VALUE...]" */
    const char *summary;   /* one line */
    const char *detail;    /* more of it, or NULL */
    int (*run)(struct cli *cli, const struct cli_command *command, int argc, char **argv);
};

/* Everything given for all commands. */
struct cli {
    const char *program; /* argv[0] */
    const char *bootstrap;
    const char *context;
    const char *config;
    struct cli_list settings;    /* KEY=VALUE */
    const char *const *defaults; /* KEY=VALUE, NULL at the end: a command's own defaults of client settings, or NULL */
    int64_t timeout_ms;          /* -1: the default */
    bool json;
    bool plain;
    bool quiet;
    bool verbose;
    bool no_color;
    bool no_input;
    int64_t now_ns;              /* since 1970, read once at the start */
    bool ends_at_once;           /* a signal ends what the command waits for; set before cli_connect() */
    struct evlog_client *client; /* once cli_connect() has succeeded */
    char principal[300];         /* "User:NAME" once that has read the settings, "" where a broker knows it better */
    struct evlog_otlp *otlp;     /* of its traces; NULL: none are wanted */
};

/* What cli_parse() leaves over. */
struct cli_words {
    char **items;
    int count;
};

#define CLI_PARSED (-1) /* of cli_parse(): go on */

/* --- cli_args.c --- */

/* Read options, those of all commands and the command's own, wherever they stand among the words.
 *
 * options   [option_count]; targets hold their defaults
 * word_min, word_max  words that must and may be left over; -1: any number
 * returns   CLI_PARSED | CLI_OK help was printed | CLI_USAGE a mistake was told
 */
struct cli_grammar {
    const struct cli_option *options;
    size_t option_count;
    int word_min;
    int word_max;
};
int cli_parse(struct cli *cli, const struct cli_command *command, const struct cli_grammar *grammar, int argc,
              char **argv, struct cli_words *words);
/* What a stream must be: none, any, exists, or the version of its last event.
 *
 * option   in whose name a mistake is told, such as "--expect"
 * returns  CLI_OK | CLI_USAGE told
 */
int cli_expected(const struct cli *cli, const char *option, const char *text, int64_t *expected);
/* Forget what lists hold. */
void cli_list_free(struct cli_list *list);

/* --- cli_error.c --- */

/* Tell an error of the tool: EVL-<number>, the sentence, the usual remedy. returns its exit code */
int cli_error(const struct cli *cli, enum cli_error_number number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a remedy of its own. */
struct cli_remedy {
    enum cli_error_number number;
    const char *remedy;
};
int cli_error_remedy(const struct cli *cli, struct cli_remedy remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define CLI_REMEDY_MAX 1024
/* A hint that gives a right to PRINCIPAL, to whom this command says to be; names of users that a shell would read are
 * left to the reader. returns the hint, or text */
const char *cli_remedy_for(const struct cli *cli, const char *hint, char text[CLI_REMEDY_MAX]);
/* Tell a failure of the library. returns its exit code */
int cli_failure(const struct cli *cli, const struct evlog_failure *failure);
/* The same of an append; a conflict that it is about is told in fields with --json. NULL: there is none */
int cli_failure_conflict(const struct cli *cli, const struct evlog_failure *failure,
                         const struct evlog_conflict *conflict);
int cli_exit_of(const struct evlog_failure *failure);
/* Talk: to stderr unless -q. */
void cli_say(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Has the user said that a thing may be removed? On a terminal the name is asked for.
 *
 * what     "topic", "group"
 * confirm  what --confirm said, NULL when it was not given
 * returns  CLI_OK | exit code, and has said why
 */
int cli_confirm(const struct cli *cli, const char *what, const char *name, const char *confirm);
/* What is known about "EVL-1036" or "1036"; false when nothing is. */
bool cli_explain(const char *code, FILE *out, bool json);

/* --- cli_client.c --- */

/* Open the client from flags, environment, files, and ask the broker for a sign of life. returns CLI_OK | exit code */
int cli_connect(struct cli *cli);
/* Of a command without words and options of its own: read its line, then the same. returns CLI_PARSED it is open | the
 * command has ended with this exit code */
int cli_connect_bare(struct cli *cli, const struct cli_command *command, int argc, char **argv);
/* Settings by precedence: flag over environment over file over context over default. */
int cli_settings(const struct cli *cli, struct evlog_settings **settings);
void cli_close(struct cli *cli);

/* --- cli_output.c --- */

extern volatile int cli_interrupted; /* a signal has asked to stop */
/* Of a command that ends at once; its calls end with the first signal. NULL: none */
extern struct evlog_client *volatile cli_waiting;
/* Write a line that stands in buffer to stdout and empty it. returns CLI_OK | CLI_FAILED told */
int cli_put(const struct cli *cli, struct el_buffer *line);
#define CLI_SHOWN_MAX 2000 /* bytes of data in a line for people */
/* Append bytes as text that must not break a line or move a terminal's cursor; what is behind len_max is cut. */
void cli_text(struct el_buffer *line, struct evlog_bytes bytes, size_t len_max);
/* Members of an event as replay and consume print them: bytes as text where they are, else NAME_base64. */
void cli_json_bytes(struct el_json_writer *w, const char *name, struct evlog_bytes bytes);
/* "data" when it is JSON (line breaks outside strings become blanks), else "data_base64"; null when it is null. */
void cli_json_data(struct el_json_writer *w, struct evlog_bytes data);
/* A time as RFC 3339, null when it is unknown (below 0). digits: of the fraction */
void cli_json_time(struct el_json_writer *w, const char *name, int64_t ns, int digits);
int64_t cli_event_ns(int64_t timestamp_ms);
/* An object with key, version, type, id, partition, offset, time, append_time and data: as docs/semantics.md has it. */
void cli_json_event(struct el_json_writer *w, const struct evlog_stream_event *event);
/* The same without the braces. */
void cli_json_event_members(struct el_json_writer *w, const struct evlog_stream_event *event);
/* A bar on a terminal, nothing elsewhere; total 0: only a count. */
void cli_progress(const struct cli *cli, const char *what, uint64_t done, uint64_t total);
void cli_progress_end(const struct cli *cli);

/* --- cli_demo.c --- */

/* The history that "up --demo" publishes: gzip-compressed lines. */
extern const unsigned char cli_demo_history[];
extern const unsigned char cli_demo_history_end[];

/* --- commands.c --- */

/* All commands, NULL-terminated by name. */
extern const struct cli_command cli_commands[];
int cli_run(struct cli *cli, int argc, char **argv);

int cmd_up(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_down(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_produce(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_consume(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_create(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_describe(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_alter(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_copy(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_export(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_topics_import(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_work(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_describe(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_lag(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_seek(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_create(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_set(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_why(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_groups_release(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_inspect(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_stats(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_redrive(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_drop(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_tasks(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_cancel(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_dlq_release(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_quota_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_quota_set(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_quota_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_run(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_rebuild(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_verify(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_status(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_pause(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_resume(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_project_wait(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_trace(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_get(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_set(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_doctor(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_check(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_debug_bundle(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_top(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_produce(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_consume(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_e2e(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_append(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_latency(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bench_replay(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_append(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_read(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_subscribe(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_streams_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_streams_top(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_streams_delete(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_snapshot_get(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_snapshot_put(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_snapshot_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_audit_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_redact(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_status(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_now(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_saga_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_saga_show(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_saga_retry(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_saga_cancel(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_replay(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_diff(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_blame(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_table(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_bisect(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_restore(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_apply(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_user_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_user_create(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_user_passwd(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_user_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_acl_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_acl_allow(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_acl_deny(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_acl_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_acl_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_keys_init(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_keys_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_keys_rotate(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_keys_restore(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_erase(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_verify(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_prove(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_check_proof(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_attest(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_check_attest(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_archive_export(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_check(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_init(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_config_print(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_inspect(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_version(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv);
int cmd_help(struct cli *cli, const struct cli_command *command, int argc, char **argv);
void cli_help_command(const struct cli_command *command, const struct cli_grammar *grammar, FILE *out);

#endif
