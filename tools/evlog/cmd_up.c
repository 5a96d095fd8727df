/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog up and evlog down: a local server in the background.
 *
 * up    1. evlogd is started with the data directory; its log goes to evlogd.log inside it.
 *       2. Its ready line is awaited; without one the end of the log is shown.
 *       3. Process id and address are noted in evlogd.pid, and the address is printed.
 *       4. --demo publishes the history that is built into this program, if it is not there yet.
 * down  asks the noted process to stop, and waits until it has.
 */
#include "publishing.h"
#include "server_process.h"
#include "server_settings.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_WAIT_MS 90000
#define STOP_WAIT_MS 90000
#define LOOK_MS 20
#define LOG_TAIL_LEN 2000
#define DEMO_TOPIC "demo"

struct up {
    const char *data; /* as all below NULL: as evlogd has it by its settings */
    const char *listen;
    const char *http;
    const char *archive;
    bool demo;
    char dir[SERVER_PATH_MAX];
    char log_path[SERVER_PATH_MAX + 16];
};

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* The data directory that the server's file of settings names, "" none. */
static int dir_of_file(const struct cli *cli, char *dir)
{
    struct server_settings settings;
    int rc = server_settings_read(cli, cli->config, &settings);
    if (rc == CLI_OK && settings.exit_code != 0) {
        rc = cli_error(cli, CLI_ERR_SERVER, "%s cannot be used", cli->config);
    } else if (rc == CLI_OK) {
        (void)server_settings_get(&settings, "server", "data", dir, SERVER_PATH_MAX);
    }
    server_settings_free(&settings);
    return rc;
}

static int choose_dir(const struct cli *cli, const char *data, char *dir)
{
    dir[0] = '\0';
    if (data == NULL) {
        int rc = cli->config == NULL ? CLI_OK : dir_of_file(cli, dir);
        return rc != CLI_OK || dir[0] != '\0' ? rc : server_data_dir(cli, dir);
    }
    if (strlen(data) >= SERVER_PATH_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "--data: the name is too long");
    }
    (void)snprintf(dir, SERVER_PATH_MAX, "%s", data);
    return CLI_OK;
}

/* --- waiting for the ready line --------------------------------------------------------------------------------- */

static void show_log_tail(const char *path)
{
    char text[LOG_TAIL_LEN];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fseek(file, -(long)sizeof text, SEEK_END) != 0) {
        rewind(file);
    }
    size_t len = fread(text, 1, sizeof text, file);
    (void)fwrite(text, 1, len, stderr);
    (void)fclose(file);
}

/* Read the first line the server prints. returns true when there was one in time */
static bool read_ready(int fd, char *line)
{
    size_t len = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int rc = poll(&p, 1, READY_WAIT_MS);
        ssize_t n = rc > 0 ? read(fd, line + len, SERVER_READY_MAX - 1 - len) : -1;
        if (rc < 0 && errno == EINTR && !cli_interrupted) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        line[len] = '\0';
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
            return true;
        }
        if (len == SERVER_READY_MAX - 1) {
            return false;
        }
    }
}

/* The word NAME=... of the ready line; value[256]. */
static bool ready_word(const char *line, const char *name, char *value)
{
    char key[32];
    (void)snprintf(key, sizeof key, " %s=", name);
    const char *found = strstr(line, key);
    if (found == NULL) {
        return false;
    }
    found += strlen(key);
    (void)snprintf(value, 256, "%.*s", (int)strcspn(found, " "), found);
    return true;
}

static int not_ready(const struct cli *cli, const struct up *up, long pid)
{
    (void)kill((pid_t)pid, SIGTERM);
    (void)waitpid((pid_t)pid, NULL, 0);
    show_log_tail(up->log_path);
    return cli_error(cli, CLI_ERR_SERVER, "evlogd did not get ready; its log is %s", up->log_path);
}

static int start_server(struct cli *cli, struct up *up, struct server_note *note)
{
    char program[SERVER_PATH_MAX], line[SERVER_READY_MAX];
    server_program(program);
    const char *const flags[][2] = {
        {"--data", up->dir},       {"--listen", up->listen},   {"--http", up->http},
        {"--config", cli->config}, {"--archive", up->archive},
    };
    const char *argv[2 + 2 * sizeof flags / sizeof flags[0]] = {program};
    size_t count = 1;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i][1] != NULL) {
            argv[count++] = flags[i][0];
            argv[count++] = flags[i][1];
        }
    }
    struct server_start start = {.argv = argv, .log_path = up->log_path};
    int rc = server_start(cli, &start);
    if (rc != CLI_OK) {
        return rc;
    }
    bool ready = read_ready(start.ready_fd, line) && ready_word(line, "kafka", note->kafka);
    (void)close(start.ready_fd);
    if (!ready) {
        return not_ready(cli, up, start.pid);
    }
    note->pid = start.pid;
    if (server_note_write(up->dir, note) != 0) {
        (void)not_ready(cli, up, start.pid);
        return cli_error(cli, CLI_ERR_FILE, "%s: the process id cannot be noted", up->dir);
    }
    char http[256];
    cli_say(cli, "evlogd runs: process %ld, data %s", note->pid, up->dir);
    if (ready_word(line, "http", http) && strcmp(http, "off") != 0) {
        cli_say(cli, "metrics and health: %s%s", strncmp(http, "https://", 8) == 0 ? "" : "http://", http);
    }
    return CLI_OK;
}

/* --- demo ------------------------------------------------------------------------------------------------------- */

static int publish_demo(struct cli *cli)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_error err = {0};
    struct line_input *input;
    int32_t there;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_topic_partition_count(cli->client, DEMO_TOPIC, &there, &failure) == 0) {
        cli_say(cli, "topic " DEMO_TOPIC " is there already");
        return CLI_OK;
    }
    rc = publishing_topic(cli, DEMO_TOPIC, true, 6);
    if (rc != CLI_OK) {
        return rc;
    }
    struct publishing p = {.cli = cli, .topic = DEMO_TOPIC, .cloudevents = true};
    p.base = (struct evlog_message)EVLOG_MESSAGE_INIT;
    size_t len = (size_t)(cli_demo_history_end - cli_demo_history);
    if (line_input_memory(cli_demo_history, len, &input, &err) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s", err.text);
    }
    if (evlog_producer_open(cli->client, &p.producer, &failure) != 0) {
        line_input_close(input);
        return cli_failure(cli, &failure);
    }
    rc = publishing_lines(&p, input, "demo history");
    evlog_producer_close(p.producer);
    line_input_close(input);
    return rc;
}

static void show_next_steps(const struct cli *cli, const struct up *up, const char *kafka)
{
    bool usual = strcmp(kafka, "127.0.0.1:9092") == 0;
    char at[300] = "";
    if (!usual) {
        (void)snprintf(at, sizeof at, " -b %s", kafka);
    }
    if (up->demo) {
        cli_say(cli,
                "try:\n  evlog tail " DEMO_TOPIC "%s\n  evlog replay " DEMO_TOPIC
                "%s --until 2015-12-31T00:00Z --event-time --fold latest --drop-type file.removed",
                at, at);
    } else {
        cli_say(cli, "try:\n  evlog topics create orders%s\n  evlog produce orders hello%s\n  evlog consume orders%s",
                at, at, at);
    }
    cli_say(cli, "  evlog down%s%s", up->data == NULL ? "" : " --data ", up->data == NULL ? "" : up->data);
}

static int up_all(struct cli *cli, struct up *up)
{
    struct server_note note;
    char reason[64];
    int rc = choose_dir(cli, up->data, up->dir);
    if (rc != CLI_OK) {
        return rc;
    }
    if (server_make_dir(up->dir) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", up->dir, strerror_r(errno, reason, sizeof reason));
    }
    (void)snprintf(up->log_path, sizeof up->log_path, "%s/evlogd.log", up->dir);
    if (!server_note_read(up->dir, &note)) {
        rc = start_server(cli, up, &note);
    } else if (!up->demo) {
        return cli_error(cli, CLI_ERR_RUNNING, "process %ld runs on %s already, at %s", note.pid, up->dir, note.kafka);
    }
    if (rc == CLI_OK && up->demo) {
        cli->bootstrap = note.kafka;
        cli->config = NULL; /* the server's, not the client's */
        rc = publish_demo(cli);
    }
    if (rc == CLI_OK) {
        (void)printf(cli->json ? "{\"kafka\":\"%s\",\"pid\":%ld}\n" : "%s\n", note.kafka, note.pid);
        (void)fflush(stdout);
        show_next_steps(cli, up, note.kafka);
    }
    cli->bootstrap = NULL;
    return rc;
}

int cmd_up(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static struct up up;
    const struct cli_option options[] = {
        {"data", 0, CLI_TEXT, &up.data, "DIR", "data directory"},
        {"listen", 0, CLI_TEXT, &up.listen, "HOST:PORT", "address for clients; port 0 takes a free one"},
        {"http", 0, CLI_TEXT, &up.http, "HOST:PORT", "address for metrics and health, or off"},
        {"archive", 0, CLI_TEXT, &up.archive, "URL", "archive to s3://BUCKET/PREFIX or file:///DIR"},
        {"demo", 0, CLI_FLAG, &up.demo, NULL, "publish a real event history to look at"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? up_all(cli, &up) : rc;
}

/* --- down ------------------------------------------------------------------------------------------------------- */

static int down(struct cli *cli, const char *data)
{
    struct server_note note;
    char dir[SERVER_PATH_MAX];
    int rc = choose_dir(cli, data, dir);
    if (rc != CLI_OK) {
        return rc;
    }
    if (!server_note_read(dir, &note)) {
        server_note_remove(dir);
        return cli_error(cli, CLI_ERR_NOT_RUNNING, "no server that 'evlog up' started runs on %s", dir);
    }
    if (kill((pid_t)note.pid, SIGTERM) != 0) {
        char reason[64];
        return cli_error(cli, CLI_ERR_SERVER, "process %ld: %s", note.pid, strerror_r(errno, reason, sizeof reason));
    }
    for (long waited = 0; server_alive(note.pid); waited += LOOK_MS) {
        if (waited >= STOP_WAIT_MS || cli_interrupted) {
            return cli_error(cli, CLI_ERR_SERVER, "process %ld has not stopped yet", note.pid);
        }
        pause_ms(LOOK_MS);
    }
    server_note_remove(dir);
    cli_say(cli, "stopped process %ld", note.pid);
    return CLI_OK;
}

int cmd_down(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = {
        {"data", 0, CLI_TEXT, &data, "DIR", "data directory"},
    };
    struct cli_grammar grammar = {options, 1, 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? down(cli, data) : rc;
}
