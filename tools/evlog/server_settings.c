/* SPDX-License-Identifier: Apache-2.0 */
#include "server_settings.h"
#include "program.h"
#include "server_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

int server_settings_read(const struct cli *cli, const char *file, struct server_settings *settings)
{
    return server_settings_ask(cli, "--print-config", file, settings);
}

int server_settings_ask(const struct cli *cli, const char *flag, const char *file, struct server_settings *settings)
{
    char program[SERVER_PATH_MAX];
    int fds[2], in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t process;
    *settings = (struct server_settings){.exit_code = -1};
    server_program(program);
    if (in < 0 || pipe2(fds, O_CLOEXEC) != 0) {
        return cli_error(cli, CLI_ERR_PROGRAM, "%s: %s", program, strerror(errno));
    }
    const char *argv[] = {program, flag, file == NULL ? NULL : "--config", file, NULL};
    int rc = program_start(cli, argv, in, fds[1], &process);
    (void)close(fds[1]);
    (void)close(in);
    if (rc == CLI_OK) {
        char some[4096];
        ssize_t n;
        while ((n = read(fds[0], some, sizeof some)) > 0 && settings->text.len < TEXT_MAX) {
            el_buffer_append(&settings->text, some, (size_t)n);
        }
        settings->exit_code = program_wait(process);
    }
    (void)close(fds[0]);
    return rc;
}

void server_settings_free(struct server_settings *settings)
{
    el_buffer_free(&settings->text);
}

static size_t cut_blanks(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\n')) {
        len--;
    }
    return len;
}

static const char *next_line(const char *line)
{
    line = strchr(line, '\n');
    return line == NULL ? NULL : line + 1;
}

bool server_settings_listener(const struct server_settings *settings, const char *setting, size_t index, char *name,
                              size_t room)
{
    static const char prefix[] = "listener.name.";
    const size_t prefix_len = sizeof prefix - 1, setting_len = strlen(setting);
    const char *line = el_buffer_text((struct el_buffer *)(uintptr_t)&settings->text);
    for (size_t found = 0; line != NULL && *line != '\0'; line = next_line(line)) {
        if (strncmp(line, prefix, prefix_len) != 0) {
            continue;
        }
        size_t name_len = strcspn(line + prefix_len, ".= \n");
        const char *rest = line + prefix_len + name_len;
        bool same = *rest == '.' && strncmp(rest + 1, setting, setting_len) == 0 && rest[1 + setting_len] == ' ';
        if (same && found++ == index) {
            (void)snprintf(name, room, "%.*s", (int)name_len, line + prefix_len);
            return true;
        }
    }
    return false;
}

/* Lines are "key = value      # where it comes from" below "[section]". */
const char *server_settings_get(const struct server_settings *settings, const char *section, const char *key,
                                char *value, size_t room)
{
    const char *line = el_buffer_text((struct el_buffer *)(uintptr_t)&settings->text);
    size_t key_len = strlen(key), section_len = strlen(section);
    bool inside = false;
    value[0] = '\0';
    for (; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (line[0] == '[') {
            inside = strncmp(line + 1, section, section_len) == 0 && line[1 + section_len] == ']';
        }
        if (!inside || strncmp(line, key, key_len) != 0 || strncmp(line + key_len, " =", 2) != 0) {
            continue;
        }
        const char *begin = line + key_len + 2, *end = strchr(begin, '\n');
        begin += *begin == ' ';
        bool quoted = *begin == '"'; /* because of a "#" in it */
        begin += quoted;
        const char *last = quoted ? strchr(begin, '"') : strstr(begin, "# ");
        end = end == NULL ? begin + strlen(begin) : end;
        end = last != NULL && last < end ? last : end;
        size_t len = begin < end ? cut_blanks(begin, (size_t)(end - begin)) : 0;
        (void)snprintf(value, room, "%.*s", (int)len, begin);
        break;
    }
    return value;
}
