/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of somebody's program on one event or batch: bytes on its stdin, what it says on stdout, stderr and
 * descriptor 3, how it ended. Whatever the program does, the effect is bounded: in time, in bytes kept, in bytes shown.
 */
#ifndef EVLOG_TOOLS_HANDLER_PROCESS_H
#define EVLOG_TOOLS_HANDLER_PROCESS_H

#include <core/buffer.h>
#include <stdbool.h>
#include <stdint.h>

#define HANDLER_OUTPUT_MAX (16u << 20) /* bytes of stdout that are kept; more stop the program */
#define HANDLER_REPORT_MAX (1u << 20)  /* bytes of descriptor 3 */
#define HANDLER_SHOWN_MAX (64u << 10)  /* bytes of stderr that are passed on */
#define HANDLER_LINE_MAX 256           /* of the last line of stderr, with its NUL */
#define HANDLER_GRACE_MS 5000          /* between SIGTERM and SIGKILL */

enum handler_end {
    HANDLER_EXITED,      /* code is its exit code */
    HANDLER_SIGNALLED,   /* code is the signal */
    HANDLER_TIMED_OUT,   /* stopped, after timeout_ms */
    HANDLER_SAID_MUCH,   /* stopped, for saying more than is kept */
    HANDLER_NOT_STARTED, /* code is the errno value */
};

struct handler_run {
    const char *const *argv;  /* NULL-terminated */
    char *const *environment; /* NULL-terminated */
    struct el_slice input;    /* its stdin */
    bool keeps_output;        /* stdout is wanted; else it is ours */
    bool has_report;          /* descriptor 3 is wanted; else there is none */
    bool shows_errors;        /* stderr is passed on */
    int64_t timeout_ms;       /* -1: as long as it takes */
    int64_t crash_ms;         /* SIGKILL so long after the start, -1: not */
    /* out */
    enum handler_end end;
    int code;
    struct el_buffer output, report;  /* freed by handler_run_free() */
    char last_line[HANDLER_LINE_MAX]; /* of stderr, UTF-8, without control characters */
};

/* Run it to its end. SIGPIPE must be ignored. Any thread. */
void handler_run(struct handler_run *run);
void handler_run_free(struct handler_run *run);

#endif
