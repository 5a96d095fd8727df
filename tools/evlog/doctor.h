/* SPDX-License-Identifier: Apache-2.0
 *
 * What evlog doctor and the bundle for support share: checks of a machine and of a server, each a line with a remedy.
 */
#ifndef EVLOG_TOOLS_DOCTOR_H
#define EVLOG_TOOLS_DOCTOR_H

#include "server_settings.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

#define DOCTOR_LINES_MAX 40
#define DOCTOR_TEXT_MAX 400

struct doctor_line {
    const char *name; /* static, such as "disk space" */
    enum doctor_verdict verdict;
    char text[DOCTOR_TEXT_MAX];
    char remedy[DOCTOR_TEXT_MAX]; /* "" when it is ok */
};

struct doctor {
    struct cli *cli;
    struct server_settings settings;
    const char *config; /* file of the server's settings, or NULL */
    const char *data;   /* --data, in place of what the settings say; NULL */
    const char *http;   /* --http, the same */
    struct doctor_line lines[DOCTOR_LINES_MAX];
    size_t count;
};

/* Add a line. remedy: what to do; NULL when there is nothing to do */
void doctor_add(struct doctor *doctor, const char *name, enum doctor_verdict verdict, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A setting of the server; value[room]. */
const char *doctor_setting(const struct doctor *doctor, const char *section, const char *key, char *value, size_t room);
/* All checks: of the machine, of the server's files, and with cli->bootstrap of the server itself. */
int doctor_run(struct doctor *doctor);
void doctor_free(struct doctor *doctor);
/* Lines as text or, with --json, as one object each. */
void doctor_print(const struct doctor *doctor, bool json, struct el_buffer *out);
enum doctor_verdict doctor_worst(const struct doctor *doctor);

/* doctor_host.c: kernel, io_uring, clock, limits */
void doctor_host(struct doctor *doctor);
/* doctor_disk.c: the data directory, its file system, space, durable writes, the disk's cache */
void doctor_disk(struct doctor *doctor);

#endif
