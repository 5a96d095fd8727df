/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog debug-bundle: what somebody who helps needs to see, in one file. Facts of the machine and of the server, no
 * events, no keys, no passwords: everything goes through bundle_mask(), and files that hold secrets are not read.
 */
#include "bundle_tar.h"
#include "doctor.h"
#include "http_page.h"

#include <core/alloc.h>
#include <core/compress.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOG_LEN_MAX (4u << 20)
#define FACT_LEN_MAX (256u << 10)
#define ADDRESS_MAX 300

struct bundle {
    struct cli *cli;
    struct el_buffer tar;
    int64_t time_s;
    size_t file_count;
};

static void add(struct bundle *bundle, const char *name, struct el_slice text)
{
    struct el_buffer masked = {.err = 0};
    char path[BUNDLE_NAME_MAX + 1];
    (void)snprintf(path, sizeof path, "evlog-debug/%s", name);
    bundle_mask(&masked, text);
    bundle_add(&bundle->tar, path, el_buffer_slice(&masked), bundle->time_s);
    bundle->tar.err = masked.err != 0 ? masked.err : bundle->tar.err;
    bundle->file_count++;
    el_buffer_free(&masked);
}

/* The last max bytes of a file, from the beginning of a line on. A file that cannot be read is told in its place. */
static void add_file(struct bundle *bundle, const char *name, const char *path, size_t max)
{
    struct el_buffer text = {.err = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t len = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    bool cut = len > (off_t)max && lseek(fd, len - (off_t)max, SEEK_SET) >= 0;
    if (fd >= 0 && !cut) {
        (void)lseek(fd, 0, SEEK_SET);
    }
    uint8_t some[16384];
    ssize_t n;
    while (fd >= 0 && text.len < max && (n = read(fd, some, sizeof some)) > 0) {
        el_buffer_append(&text, some, (size_t)n);
    }
    if (fd < 0) {
        el_buffer_printf(&text, "not read: %s: %s\n", path, strerror(errno));
    } else {
        (void)close(fd);
    }
    struct el_slice shown = el_buffer_slice(&text);
    const uint8_t *line = cut ? memchr(shown.data, '\n', shown.len) : NULL;
    if (line != NULL) {
        shown = el_slice_of(line + 1, shown.len - (size_t)(line + 1 - shown.data));
    }
    add(bundle, name, shown);
    el_buffer_free(&text);
}

static void add_page(struct bundle *bundle, const char *address, const char *path, const char *name)
{
    struct http_page page = {.status = 0};
    struct el_error err = {.code = 0};
    if (http_page_get(bundle->cli, address, path, &page, &err) != 0) {
        el_buffer_printf(&page.text, "not seen: %s\n", err.text);
    }
    add(bundle, name, el_buffer_slice(&page.text));
    el_buffer_free(&page.text);
}

static void add_facts(struct bundle *bundle)
{
    struct utsname name;
    struct el_buffer text = {.err = 0};
    el_buffer_printf(&text, "evlog %s\n", EVLOG_VERSION);
    if (uname(&name) == 0) {
        el_buffer_printf(&text, "%s %s %s %s\n", name.sysname, name.release, name.version, name.machine);
    }
    el_buffer_printf(&text, "%ld processors, page size %ld\n", sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_PAGESIZE));
    add(bundle, "versions.txt", el_buffer_slice(&text));
    el_buffer_free(&text);
    add_file(bundle, "meminfo.txt", "/proc/meminfo", FACT_LEN_MAX);
    add_file(bundle, "limits.txt", "/proc/self/limits", FACT_LEN_MAX);
    add_file(bundle, "pressure-io.txt", "/proc/pressure/io", FACT_LEN_MAX);
    add_file(bundle, "os-release.txt", "/etc/os-release", FACT_LEN_MAX);
}

static int collect(struct bundle *bundle, struct doctor *doctor, const char *log)
{
    char address[ADDRESS_MAX];
    struct el_buffer lines = {.err = 0};
    (void)doctor_run(doctor);
    doctor_print(doctor, true, &lines);
    add(bundle, "doctor.ndjson", el_buffer_slice(&lines));
    el_buffer_free(&lines);
    add(bundle, "settings.txt", el_buffer_slice(&doctor->settings.text));
    add_facts(bundle);
    doctor_setting(doctor, "network", "http", address, sizeof address);
    const char *http = doctor->http != NULL ? doctor->http : address[0] != '\0' ? address : HTTP_PAGE_ADDRESS;
    add_page(bundle, http, "/metrics", "metrics.txt");
    add_page(bundle, http, "/health/ready", "health-ready.json");
    add_page(bundle, http, "/version", "version.json");
    if (log != NULL) {
        add_file(bundle, "evlogd.log", log, LOG_LEN_MAX);
    }
    bundle_end(&bundle->tar);
    return bundle->tar.err == 0 ? CLI_OK : cli_error(bundle->cli, CLI_ERR_OUTPUT, "no memory for the bundle");
}

/* A new file, for its owner alone. */
static int write_new(const struct cli *cli, const char *path, const struct el_buffer *tar)
{
    size_t room = el_compress_bound(EL_CODEC_GZIP, tar->len), len = 0, done = 0;
    uint8_t *packed = el_malloc(room);
    if (packed == NULL || el_compress(EL_CODEC_GZIP, tar->data, tar->len, packed, room, &len) != 0) {
        el_free(packed);
        return cli_error(cli, CLI_ERR_OUTPUT, "no memory for the bundle");
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (fd >= 0 && done < len) {
        ssize_t n = write(fd, packed + done, len - done);
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    el_free(packed);
    if (fd < 0 && errno == EEXIST) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_OUTPUT, "name another file, or remove this one"},
                                "%s is there already, and is not written over", path);
    }
    int rc = fd >= 0 && done == len ? CLI_OK : cli_error(cli, CLI_ERR_OUTPUT, "%s: %s", path, strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
        if (rc != CLI_OK) {
            (void)unlink(path);
        }
    }
    return rc;
}

int cmd_debug_bundle(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *log = NULL;
    struct bundle bundle = {.cli = cli, .time_s = cli->now_ns / 1000000000};
    struct doctor *doctor = el_calloc(1, sizeof *doctor);
    if (doctor == NULL) {
        return cli_error(cli, CLI_ERR_OUTPUT, "no memory");
    }
    const struct cli_option options[] = {
        {"server-config", 0, CLI_TEXT, &doctor->config, "FILE", "the server's file of settings"},
        {"data", 0, CLI_TEXT, &doctor->data, "DIR", "the data directory; default: what the settings say"},
        {"http", 0, CLI_TEXT, &doctor->http, "HOST:PORT", "the server's HTTP port; default: what the settings say"},
        {"log", 0, CLI_TEXT, &log, "FILE", "the server's log: its last 4 MiB"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        doctor->cli = cli;
        rc = collect(&bundle, doctor, log);
        rc = rc == CLI_OK ? write_new(cli, words.items[0], &bundle.tar) : rc;
        if (rc == CLI_OK) {
            cli_say(cli, "%s: %zu files, without passwords, keys and events; look into it before you send it",
                    words.items[0], bundle.file_count);
        }
    }
    cli_close(cli);
    doctor_free(doctor);
    el_free(doctor);
    el_buffer_free(&bundle.tar);
    return rc;
}
