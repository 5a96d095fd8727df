/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines out of a file, compressed or not. The one file of the tools that includes zlib.
 *
 * 1. fill_raw() reads bytes; the first two decide whether they are gzip.
 * 2. fill_text() gives text: the bytes themselves, or what zlib makes of them, member after member.
 * 3. line_input_next() cuts lines out of the text; the rest stays for the next call.
 *
 * Compressed data that ends in the middle of a member is an error, not an end: a cut-off download must not pass for a
 * short history.
 */
#include "line_input.h"

#include <core/alloc.h>
#include <errno.h>
#include <evlog/error.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define RAW_LEN (64u << 10)
#define TEXT_LEN_MIN (256u << 10)
#define STOP_LOOK_MS 100
#define GZIP_WINDOW (15 + 16) /* largest window, gzip header */

struct line_input {
    const volatile int *stop; /* NULL: nobody stops it */
    const char *name;
    int fd; /* -1: memory */
    const uint8_t *memory;
    size_t memory_left;
    bool started;
    bool packed;    /* gzip */
    bool in_member; /* a gzip member has begun and not ended */
    bool raw_end;
    z_stream z;
    uint8_t raw[RAW_LEN];
    size_t raw_pos, raw_len;
    uint8_t *text; /* [text_room] */
    size_t text_room;
    size_t text_pos; /* start of the next line */
    size_t text_len;
    size_t scan_pos; /* no line feed before here */
    uint64_t number;
};

static int input_new(const char *name, int fd, struct line_input **input, struct el_error *err)
{
    struct line_input *fresh = el_calloc(1, sizeof *fresh);
    if (fresh != NULL) {
        fresh->text = el_malloc(TEXT_LEN_MIN);
        fresh->text_room = TEXT_LEN_MIN;
    }
    if (fresh == NULL || fresh->text == NULL) {
        el_free(fresh);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "%s: no memory", name);
    }
    fresh->name = name;
    fresh->fd = fd;
    *input = fresh;
    return 0;
}

int line_input_open(const char *path, struct line_input **input, struct el_error *err)
{
    if (strcmp(path, "-") == 0) {
        return input_new("stdin", STDIN_FILENO, input, err);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        char reason[64];
        return el_error_set(err, el_error_from_errno(errno), "%s: %s", path, strerror_r(errno, reason, sizeof reason));
    }
    int rc = input_new(path, fd, input, err);
    if (rc != 0) {
        (void)close(fd);
    }
    return rc;
}

int line_input_memory(const void *data, size_t len, struct line_input **input, struct el_error *err)
{
    int rc = input_new("memory", -1, input, err);
    if (rc == 0) {
        (*input)->memory = data;
        (*input)->memory_left = len;
    }
    return rc;
}

void line_input_close(struct line_input *input)
{
    if (input == NULL) {
        return;
    }
    if (input->packed) {
        (void)inflateEnd(&input->z);
    }
    if (input->fd > STDIN_FILENO) {
        (void)close(input->fd);
    }
    el_free(input->text);
    el_free(input);
}

uint64_t line_input_number(const struct line_input *input)
{
    return input->number;
}

/* Wait for bytes, or the end. returns false when somebody has said meanwhile that nothing more is wanted */
static bool await(const struct line_input *input)
{
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    while (input->stop != NULL && poll(&ready, 1, STOP_LOOK_MS) <= 0) {
        if (*input->stop) {
            return false;
        }
    }
    return true;
}

/* More raw bytes behind those that are left. */
static int fill_raw(struct line_input *input, struct el_error *err)
{
    memmove(input->raw, input->raw + input->raw_pos, input->raw_len - input->raw_pos);
    input->raw_len -= input->raw_pos;
    input->raw_pos = 0;
    size_t room = RAW_LEN - input->raw_len;
    if (input->fd < 0) {
        size_t n = EL_MIN(room, input->memory_left);
        memcpy(input->raw + input->raw_len, input->memory, n);
        input->memory += n;
        input->memory_left -= n;
        input->raw_len += n;
        input->raw_end = n == 0;
        return 0;
    }
    if (!await(input)) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "%s: interrupted", input->name);
    }
    ssize_t n = read(input->fd, input->raw + input->raw_len, room);
    if (n < 0) {
        char reason[64];
        return errno == EINTR
                   ? 0
                   : el_error_set(err, EVLOG_ERR_IO, "%s: %s", input->name, strerror_r(errno, reason, sizeof reason));
    }
    input->raw_len += (size_t)n;
    input->raw_end = n == 0;
    return 0;
}

/* Look at the first bytes. */
static int start(struct line_input *input, struct el_error *err)
{
    while (input->raw_len < 2 && !input->raw_end) {
        int rc = fill_raw(input, err);
        if (rc != 0) {
            return rc;
        }
    }
    input->started = true;
    if (input->raw_len < 2 || input->raw[0] != 0x1f || input->raw[1] != 0x8b) {
        return 0;
    }
    if (inflateInit2(&input->z, GZIP_WINDOW) != Z_OK) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "%s: no memory to decompress", input->name);
    }
    input->packed = true;
    return 0;
}

static int text_room(struct line_input *input, struct el_error *err)
{
    memmove(input->text, input->text + input->text_pos, input->text_len - input->text_pos);
    input->text_len -= input->text_pos;
    input->scan_pos -= input->text_pos;
    input->text_pos = 0;
    if (input->text_len < input->text_room) {
        return 0;
    }
    if (input->text_room >= LINE_LEN_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "%s: line %llu is longer than %u bytes", input->name,
                            (unsigned long long)input->number + 1, LINE_LEN_MAX);
    }
    uint8_t *grown = el_realloc(input->text, 2 * input->text_room);
    if (grown == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "%s: no memory for a line", input->name);
    }
    input->text = grown;
    input->text_room *= 2;
    return 0;
}

static int inflate_some(struct line_input *input, struct el_error *err)
{
    input->z.next_in = input->raw + input->raw_pos;
    input->z.avail_in = (uInt)(input->raw_len - input->raw_pos);
    input->z.next_out = input->text + input->text_len;
    input->z.avail_out = (uInt)(input->text_room - input->text_len);
    int rc = inflate(&input->z, Z_NO_FLUSH);
    input->raw_pos = input->raw_len - input->z.avail_in;
    input->text_len = input->text_room - input->z.avail_out;
    if (rc == Z_STREAM_END) {
        input->in_member = false;
        return inflateReset(&input->z) == Z_OK ? 0 : EVLOG_ERR_CORRUPT;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return el_error_set(err, rc == Z_MEM_ERROR ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_CORRUPT,
                            "%s: the gzip data is broken behind line %llu", input->name,
                            (unsigned long long)input->number);
    }
    input->in_member = true;
    return 0;
}

/* More text. returns 1 | 0 the end | negative */
static int fill_text(struct line_input *input, struct el_error *err)
{
    size_t before_len;
    int rc = input->started ? 0 : start(input, err);
    if (rc == 0) {
        rc = text_room(input, err);
    }
    before_len = input->text_len;
    while (rc == 0 && input->text_len == before_len) {
        if (input->raw_pos == input->raw_len && !input->raw_end) {
            rc = fill_raw(input, err);
            continue;
        }
        if (input->raw_pos == input->raw_len) {
            return !input->in_member
                       ? 0
                       : el_error_set(err, EVLOG_ERR_CORRUPT, "%s: the gzip data ends too early, behind line %llu",
                                      input->name, (unsigned long long)input->number);
        }
        if (input->packed) {
            size_t raw_before = input->raw_pos;
            rc = inflate_some(input, err);
            if (rc == 0 && input->raw_pos == raw_before && input->text_len == before_len && input->in_member) {
                rc = input->raw_end ? EVLOG_ERR_CORRUPT : fill_raw(input, err);
            }
        } else {
            size_t n = EL_MIN(input->raw_len - input->raw_pos, input->text_room - input->text_len);
            memcpy(input->text + input->text_len, input->raw + input->raw_pos, n);
            input->raw_pos += n;
            input->text_len += n;
        }
    }
    return rc != 0 ? rc : 1;
}

static void give_line(struct line_input *input, size_t end, size_t next, struct el_slice *line)
{
    size_t len = end - input->text_pos;
    const uint8_t *start_of_line = input->text + input->text_pos;
    if (len > 0 && start_of_line[len - 1] == '\r') {
        len--;
    }
    *line = el_slice_of(start_of_line, len);
    input->text_pos = input->scan_pos = next;
    input->number++;
}

void line_input_stop_on(struct line_input *input, const volatile int *stop)
{
    input->stop = stop;
}

int line_input_next(struct line_input *input, struct el_slice *line, struct el_error *err)
{
    for (;;) {
        const uint8_t *feed = memchr(input->text + input->scan_pos, '\n', input->text_len - input->scan_pos);
        if (feed != NULL) {
            size_t end = (size_t)(feed - input->text);
            give_line(input, end, end + 1, line);
            return 1;
        }
        input->scan_pos = input->text_len;
        int rc = fill_text(input, err);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && input->text_pos == input->text_len) {
            return 0;
        }
        if (rc == 0) {
            give_line(input, input->text_len, input->text_len, line);
            return 1;
        }
    }
}
