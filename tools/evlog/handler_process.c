/* SPDX-License-Identifier: Apache-2.0
 *
 * A program, its pipes, and one poll loop around them.
 *
 * 1. posix_spawn() starts it in a process group of its own, so that a timeout ends its children as well and ^C does not
 *    reach it before it has finished its event.
 * 2. The loop writes its stdin and reads what it says until it ends, which a pidfd tells.
 * 3. What it left in the pipes is read without waiting: a child of its that lives on must not hold us.
 *
 * A program that does not read its input, closes descriptors, or is slow costs nothing but its time. One that is late
 * or says too much gets SIGTERM, then SIGKILL.
 */
#include "handler_process.h"

#include <core/utf8.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE_LEN 65536
#define LOOK_MS 100 /* between looks at the clock, and at the process where there is no pidfd */
#define REPORT_FD 3
#define NS_PER_MS 1000000

enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE_REPORT, PIPE_COUNT };

struct handler {
    struct handler_run *run;
    int ours[PIPE_COUNT];   /* our ends, -1 closed or none */
    int theirs[PIPE_COUNT]; /* until it is started */
    pid_t pid;
    int pid_fd; /* -1: the kernel has none */
    int64_t began_ms;
    int64_t term_ms; /* when SIGTERM was sent, 0: not */
    bool killed;
    size_t written, shown;
    char line[HANDLER_LINE_MAX]; /* of stderr, so far */
    size_t line_len;
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* --- start -------------------------------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static bool wanted(const struct handler_run *run, int which)
{
    return which == PIPE_IN || which == PIPE_ERR || (which == PIPE_OUT && run->keeps_output) ||
           (which == PIPE_REPORT && run->has_report);
}

static int open_pipes(struct handler *h)
{
    for (int i = 0; i < PIPE_COUNT; i++) {
        int ends[2];
        if (!wanted(h->run, i)) {
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) != 0) {
            return errno;
        }
        h->ours[i] = ends[i == PIPE_IN ? 1 : 0];
        h->theirs[i] = ends[i == PIPE_IN ? 0 : 1];
        (void)fcntl(h->ours[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int spawn(struct handler *h)
{
    static const int targets[PIPE_COUNT] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, REPORT_FD};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    for (int i = 0; i < PIPE_COUNT; i++) {
        if (h->theirs[i] >= 0) {
            (void)posix_spawn_file_actions_adddup2(&actions, h->theirs[i], targets[i]);
        }
    }
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGTERM);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawnp(&h->pid, h->run->argv[0], &actions, &attributes, (char *const *)(uintptr_t)h->run->argv,
                          h->run->environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(struct handler *h)
{
    int rc = open_pipes(h);
    if (rc == 0) {
        h->began_ms = now_ms();
        rc = spawn(h);
    }
    for (int i = 0; i < PIPE_COUNT; i++) {
        close_fd(&h->theirs[i]);
    }
    if (rc == 0) {
        h->pid_fd = (int)syscall(SYS_pidfd_open, h->pid, 0);
        if (h->pid_fd >= 0) {
            (void)fcntl(h->pid_fd, F_SETFD, FD_CLOEXEC);
        }
    }
    return rc;
}

/* --- what it says ------------------------------------------------------------------------------------------------- */

static void end_line(struct handler *h)
{
    if (h->line_len > 0) {
        h->line[h->line_len] = '\0';
        memcpy(h->run->last_line, h->line, h->line_len + 1);
        h->line_len = 0;
    }
}

static void take_errors(struct handler *h, const char *p, size_t len)
{
    if (h->run->shows_errors && h->shown < HANDLER_SHOWN_MAX) {
        size_t n = len < HANDLER_SHOWN_MAX - h->shown ? len : HANDLER_SHOWN_MAX - h->shown;
        (void)!write(STDERR_FILENO, p, n);
        h->shown += n;
        if (h->shown == HANDLER_SHOWN_MAX) {
            static const char more[] = "\nevlog: more of this handler's stderr is not shown\n";
            (void)!write(STDERR_FILENO, more, sizeof more - 1);
        }
    }
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '\n') {
            end_line(h);
        } else if (h->line_len < sizeof h->line - 1) {
            unsigned char c = (unsigned char)p[i];
            bool blank = c <= ' ' || c == 0x7f;
            if (h->line_len > 0 || !blank) {
                h->line[h->line_len++] = blank ? ' ' : p[i];
            }
        }
    }
}

/* Make it UTF-8: a line may have been cut inside a character, or be in another encoding. */
static void clean(char *line)
{
    size_t len = strlen(line);
    uint32_t point;
    while (len > 0 && line[len - 1] == ' ') {
        line[--len] = '\0';
    }
    for (size_t pos = 0; pos < len;) {
        size_t n = el_utf8_next(line + pos, len - pos, &point);
        if (n == 0) {
            line[pos] = '?';
        }
        pos += n == 0 ? 1 : n;
    }
}

static void stop(struct handler *h, enum handler_end why);

/* Read what is there. returns false when the pipe is closed or empty */
static bool read_some(struct handler *h, int which)
{
    char piece[PIECE_LEN];
    ssize_t n = read(h->ours[which], piece, sizeof piece);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            close_fd(&h->ours[which]);
        }
        return false;
    }
    if (which == PIPE_ERR) {
        take_errors(h, piece, (size_t)n);
        return true;
    }
    struct el_buffer *to = which == PIPE_OUT ? &h->run->output : &h->run->report;
    size_t max = which == PIPE_OUT ? HANDLER_OUTPUT_MAX : HANDLER_REPORT_MAX;
    if (to->len + (size_t)n > max) {
        stop(h, HANDLER_SAID_MUCH);
        close_fd(&h->ours[which]);
        return false;
    }
    el_buffer_append(to, piece, (size_t)n);
    return true;
}

static void write_some(struct handler *h)
{
    struct el_slice input = h->run->input;
    ssize_t n = write(h->ours[PIPE_IN], input.data + h->written, input.len - h->written);
    if (n >= 0) {
        h->written += (size_t)n;
    } else if (errno != EAGAIN && errno != EINTR) {
        h->written = input.len; /* it does not want the rest */
    }
    if (h->written == input.len) {
        close_fd(&h->ours[PIPE_IN]);
    }
}

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void stop(struct handler *h, enum handler_end why)
{
    if (h->term_ms == 0) {
        h->run->end = why;
        h->term_ms = now_ms();
        (void)kill(-h->pid, SIGTERM);
    }
}

static void look_at_clock(struct handler *h)
{
    int64_t now = now_ms(), age_ms = now - h->began_ms;
    if (h->run->crash_ms >= 0 && age_ms >= h->run->crash_ms && !h->killed) {
        h->killed = true;
        (void)kill(-h->pid, SIGKILL);
    }
    if (h->run->timeout_ms >= 0 && age_ms >= h->run->timeout_ms) {
        stop(h, HANDLER_TIMED_OUT);
    }
    if (h->term_ms != 0 && now - h->term_ms >= HANDLER_GRACE_MS && !h->killed) {
        h->killed = true;
        (void)kill(-h->pid, SIGKILL);
    }
}

static int wait_ms(const struct handler *h)
{
    int64_t until_ms = LOOK_MS, age_ms = now_ms() - h->began_ms;
    if (h->run->crash_ms >= 0 && !h->killed && h->run->crash_ms - age_ms < until_ms) {
        until_ms = h->run->crash_ms - age_ms;
    }
    if (h->run->timeout_ms >= 0 && h->term_ms == 0 && h->run->timeout_ms - age_ms < until_ms) {
        until_ms = h->run->timeout_ms - age_ms;
    }
    if (h->pid_fd < 0 && until_ms > LOOK_MS / 10) {
        until_ms = LOOK_MS / 10;
    }
    return until_ms < 0 ? 0 : (int)until_ms;
}

/* Serve pipes until it has ended. returns its wait status */
static int serve(struct handler *h)
{
    int status = 0;
    for (;;) {
        struct pollfd fds[PIPE_COUNT + 1];
        int which[PIPE_COUNT + 1];
        nfds_t count = 0;
        for (int i = 0; i < PIPE_COUNT; i++) {
            if (h->ours[i] >= 0) {
                which[count] = i;
                fds[count++] = (struct pollfd){h->ours[i], i == PIPE_IN ? POLLOUT : POLLIN, 0};
            }
        }
        if (h->pid_fd >= 0) {
            which[count] = PIPE_COUNT;
            fds[count++] = (struct pollfd){h->pid_fd, POLLIN, 0};
        }
        (void)poll(fds, count, wait_ms(h));
        for (nfds_t i = 0; i < count; i++) {
            if (fds[i].revents == 0 || which[i] == PIPE_COUNT) {
                continue;
            }
            if (which[i] == PIPE_IN) {
                write_some(h);
            } else {
                (void)read_some(h, which[i]);
            }
        }
        if (waitpid(h->pid, &status, WNOHANG) == h->pid) {
            return status;
        }
        look_at_clock(h);
    }
}

/* What is left in the pipes; bounded, since a child of the program may go on writing. */
static void drain(struct handler *h)
{
    for (int i = PIPE_OUT; i < PIPE_COUNT; i++) {
        for (size_t pieces = 0; h->ours[i] >= 0 && pieces <= HANDLER_OUTPUT_MAX / PIECE_LEN && read_some(h, i);
             pieces++) {
        }
    }
    end_line(h);
    clean(h->run->last_line);
}

void handler_run(struct handler_run *run)
{
    struct handler h = {.run = run, .pid_fd = -1};
    for (int i = 0; i < PIPE_COUNT; i++) {
        h.ours[i] = h.theirs[i] = -1;
    }
    run->end = HANDLER_EXITED;
    run->last_line[0] = '\0';
    run->code = start(&h);
    if (run->code != 0) {
        run->end = HANDLER_NOT_STARTED;
    } else {
        if (run->input.len == 0) {
            close_fd(&h.ours[PIPE_IN]);
        }
        int status = serve(&h);
        drain(&h);
        if (h.term_ms == 0) {
            run->end = WIFSIGNALED(status) ? HANDLER_SIGNALLED : HANDLER_EXITED;
        }
        run->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    }
    for (int i = 0; i < PIPE_COUNT; i++) {
        close_fd(&h.ours[i]);
    }
    close_fd(&h.pid_fd);
}

void handler_run_free(struct handler_run *run)
{
    el_buffer_free(&run->output);
    el_buffer_free(&run->report);
}
