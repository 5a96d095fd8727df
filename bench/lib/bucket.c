/* SPDX-License-Identifier: Apache-2.0
 *
 * An S3 server in memory: what object stores of archives ask for, and no more. A process of its own, a thread for each
 * connection, one lock over the table of objects.
 *
 *   PUT key               with If-None-Match; its x-amz-meta-sha256 comes back
 *   GET, HEAD, DELETE key GET with one range
 *   GET ?list-type=2      prefix and start-after, 1000 a page
 *   uploads in parts      POST ?uploads, PUT ?partNumber, POST ?uploadId; none is listed, so that none is taken up
 *
 * Objects that are deleted keep their memory: somebody may be sending them.
 */
#include "bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define NAME_MAX_LEN 1200
#define PAGE 1000
#define BUCKET "/bench/"

struct object {
    char *key;
    uint8_t *data;
    size_t len;
    char meta[65]; /* x-amz-meta-sha256 */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects; /* [object_count] by key */
static size_t object_count, object_max;
static unsigned upload_count;

struct request {
    int fd;
    char head[HEAD_MAX];
    size_t head_len, read_len; /* read_len - head_len bytes of the body came with the head */
    char method[8], key[NAME_MAX_LEN], query[NAME_MAX_LEN * 2], meta[65];
    uint64_t body_len, first, last;
    bool once, has_range;
    uint8_t *body;
};

/* --- objects ------------------------------------------------------------------------------------------------------ */

/* The place of a key, or where it would be. The lock is held. */
static size_t place_of(const char *key)
{
    size_t low = 0, high = object_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool find(const char *key, struct object *object)
{
    pthread_mutex_lock(&lock);
    size_t at = place_of(key);
    bool there = at < object_count && strcmp(objects[at].key, key) == 0;
    if (there) {
        *object = objects[at];
    }
    pthread_mutex_unlock(&lock);
    return there;
}

/* Takes data. returns false when the key is there and must not be */
static bool store(const char *key, uint8_t *data, size_t len, const char *meta, bool once)
{
    struct object object = {.key = strdup(key), .data = data, .len = len};
    snprintf(object.meta, sizeof object.meta, "%s", meta);
    pthread_mutex_lock(&lock);
    size_t at = place_of(key);
    bool there = at < object_count && strcmp(objects[at].key, key) == 0;
    bool fine = !there || !once;
    if (fine && !there) {
        if (object_count == object_max) {
            object_max = object_max * 2 + 64;
            objects = realloc(objects, object_max * sizeof *objects);
        }
        memmove(&objects[at + 1], &objects[at], (object_count - at) * sizeof *objects);
        object_count++;
    }
    if (fine) {
        objects[at] = object;
    }
    pthread_mutex_unlock(&lock);
    return fine;
}

static void drop(const char *key)
{
    pthread_mutex_lock(&lock);
    size_t at = place_of(key);
    if (at < object_count && strcmp(objects[at].key, key) == 0) {
        memmove(&objects[at], &objects[at + 1], (object_count - at - 1) * sizeof *objects);
        object_count--;
    }
    pthread_mutex_unlock(&lock);
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

static bool send_all(int fd, const void *head, size_t head_len, const void *body, size_t body_len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)head, head_len}, {(void *)(uintptr_t)body, body_len}};
    size_t at = 0;
    while (at < 2) {
        ssize_t n = writev(fd, &iov[at], (int)(2 - at));
        if (n < 0) {
            return false;
        }
        for (size_t done = (size_t)n; at < 2 && done >= iov[at].iov_len; at++) {
            done -= iov[at].iov_len;
            n = (ssize_t)done;
        }
        if (at < 2) {
            iov[at].iov_base = (uint8_t *)iov[at].iov_base + n;
            iov[at].iov_len -= (size_t)n;
        }
    }
    return true;
}

static bool answer(const struct request *r, const char *status, const char *headers, const void *body, size_t len)
{
    char head[512], date[64];
    struct tm tm;
    time_t now = time(NULL);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %zu\r\n%s\r\n", status, date, len,
                     headers);
    return send_all(r->fd, head, (size_t)n, body, strcmp(r->method, "HEAD") == 0 ? 0 : len);
}

static bool refuse(const struct request *r, const char *status, const char *code)
{
    char body[128];
    int n = snprintf(body, sizeof body, "<Error><Code>%s</Code></Error>", code);
    return answer(r, status, "", body, (size_t)n);
}

static void unescape(char *text)
{
    char *out = text;
    for (const char *p = text; *p != '\0'; p++, out++) {
        unsigned value = 0;
        if (*p == '%' && sscanf(p + 1, "%2x", &value) == 1) {
            *out = (char)value;
            p += 2;
        } else {
            *out = *p;
        }
    }
    *out = '\0';
}

/* A parameter of the query; false when it is not there. */
static bool parameter(const struct request *r, const char *name, char value[NAME_MAX_LEN])
{
    size_t len = strlen(name);
    for (const char *p = r->query; p != NULL && *p != '\0'; p = strchr(p, '&'), p = p == NULL ? NULL : p + 1) {
        if (strncmp(p, name, len) == 0 && (p[len] == '=' || p[len] == '&' || p[len] == '\0')) {
            const char *from = p[len] == '=' ? p + len + 1 : "";
            snprintf(value, NAME_MAX_LEN, "%.*s", (int)strcspn(from, "&"), from);
            unescape(value);
            return true;
        }
    }
    return false;
}

static void header(struct request *r, const char *line, size_t len)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)len, line);
    unsigned long long first = 0, last = 0;
    if (strncasecmp(text, "content-length:", 15) == 0) {
        r->body_len = strtoull(text + 15, NULL, 10);
    } else if (strncasecmp(text, "if-none-match:", 14) == 0) {
        r->once = true;
    } else if (strncasecmp(text, "x-amz-meta-sha256: ", 19) == 0) {
        snprintf(r->meta, sizeof r->meta, "%.64s", text + 19);
    } else if (strncasecmp(text, "range: bytes=", 13) == 0 && sscanf(text + 13, "%llu-%llu", &first, &last) == 2) {
        r->has_range = true;
        r->first = first;
        r->last = last;
    }
}

/* The head of the next request. returns false when the connection is closed */
static bool read_head(struct request *r)
{
    char *end = NULL, path[NAME_MAX_LEN * 3];
    r->read_len = r->head_len = 0;
    while (end == NULL) {
        ssize_t n = r->read_len < HEAD_MAX - 1 ? read(r->fd, r->head + r->read_len, HEAD_MAX - 1 - r->read_len) : 0;
        if (n <= 0) {
            return false;
        }
        r->read_len += (size_t)n;
        r->head[r->read_len] = '\0';
        end = memmem(r->head, r->read_len, "\r\n\r\n", 4);
    }
    r->head_len = (size_t)(end - r->head) + 4;
    r->body_len = r->first = r->last = 0;
    r->once = r->has_range = false;
    r->meta[0] = r->query[0] = '\0';
    if (sscanf(r->head, "%7s %3599s", r->method, path) != 2 || strncmp(path, BUCKET, strlen(BUCKET) - 1) != 0) {
        return false;
    }
    char *question = strchr(path, '?');
    if (question != NULL) {
        *question = '\0';
        snprintf(r->query, sizeof r->query, "%s", question + 1);
    }
    snprintf(r->key, sizeof r->key, "%.*s", NAME_MAX_LEN - 1,
             strlen(path) < strlen(BUCKET) ? "" : path + strlen(BUCKET));
    unescape(r->key);
    for (const char *line = strstr(r->head, "\r\n") + 2; line < end + 2; line = strstr(line, "\r\n") + 2) {
        header(r, line, (size_t)(strstr(line, "\r\n") - line));
    }
    return true;
}

static bool read_body(struct request *r)
{
    size_t done = r->read_len - r->head_len;
    r->body = malloc(r->body_len + 1);
    if (r->body == NULL || done > r->body_len) {
        return false;
    }
    memcpy(r->body, r->head + r->head_len, done);
    while (done < r->body_len) {
        ssize_t n = read(r->fd, r->body + done, r->body_len - done);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static bool list(const struct request *r)
{
    char prefix[NAME_MAX_LEN] = "", after[NAME_MAX_LEN] = "", *text = NULL;
    size_t len = 0, count = 0;
    (void)parameter(r, "prefix", prefix);
    (void)parameter(r, "start-after", after);
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "<ListBucketResult>");
    pthread_mutex_lock(&lock);
    size_t i = place_of(strcmp(after, prefix) > 0 ? after : prefix);
    for (; i < object_count && count < PAGE && strncmp(objects[i].key, prefix, strlen(prefix)) == 0; i++) {
        if (strcmp(objects[i].key, after) > 0) {
            fprintf(out,
                    "<Contents><Key>%s</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>%zu</Size>"
                    "</Contents>",
                    objects[i].key, objects[i].len);
            count++;
        }
    }
    bool more = i < object_count && strncmp(objects[i].key, prefix, strlen(prefix)) == 0;
    pthread_mutex_unlock(&lock);
    fprintf(out, "<IsTruncated>%s</IsTruncated></ListBucketResult>", more ? "true" : "false");
    fclose(out);
    bool fine = answer(r, "200 OK", "", text, len);
    free(text);
    return fine;
}

static bool get(const struct request *r)
{
    struct object o;
    char headers[256];
    if (!find(r->key, &o)) {
        return refuse(r, "404 Not Found", "NoSuchKey");
    }
    if (!r->has_range) {
        snprintf(headers, sizeof headers, "x-amz-meta-sha256: %s\r\n", o.meta);
        return answer(r, "200 OK", headers, o.data, o.len);
    }
    if (r->first >= o.len) {
        snprintf(headers, sizeof headers, "Content-Range: bytes */%zu\r\n", o.len);
        return answer(r, "416 Range Not Satisfiable", headers, "", 0);
    }
    uint64_t last = r->last < o.len ? r->last : o.len - 1;
    snprintf(headers, sizeof headers, "Content-Range: bytes %llu-%llu/%zu\r\nx-amz-meta-sha256: %s\r\n",
             (unsigned long long)r->first, (unsigned long long)last, o.len, o.meta);
    return answer(r, "206 Partial Content", headers, o.data + r->first, last - r->first + 1);
}

static void part_key(char key[NAME_MAX_LEN * 2], const char *id, unsigned number)
{
    snprintf(key, NAME_MAX_LEN * 2, "\x01%s/%05u", id, number); /* no list begins with it */
}

/* Put together what came under an upload's id. */
static bool complete(const struct request *r, const char *id)
{
    char key[NAME_MAX_LEN * 2];
    struct object part, first = {.len = 0};
    size_t len = 0;
    for (unsigned i = 1; part_key(key, id, i), find(key, &part); i++) {
        len += part.len;
    }
    uint8_t *data = malloc(len + 1);
    len = 0;
    for (unsigned i = 1; part_key(key, id, i), find(key, &part); i++) {
        memcpy(data + len, part.data, part.len);
        len += part.len;
        drop(key);
        free(part.data);
    }
    part_key(key, id, 0);
    (void)find(key, &first);
    static const char done[] = "<CompleteMultipartUploadResult><ETag>a</ETag></CompleteMultipartUploadResult>";
    return store(r->key, data, len, first.meta, r->once) ? answer(r, "200 OK", "", done, sizeof done - 1)
                                                         : refuse(r, "412 Precondition Failed", "PreconditionFailed");
}

static bool post(struct request *r)
{
    char value[NAME_MAX_LEN], key[NAME_MAX_LEN * 2], body[256];
    if (parameter(r, "uploadId", value)) {
        return complete(r, value);
    }
    snprintf(value, sizeof value, "%u", __atomic_add_fetch(&upload_count, 1, __ATOMIC_RELAXED));
    part_key(key, value, 0); /* keeps the meta */
    (void)store(key, malloc(1), 0, r->meta, false);
    int n = snprintf(body, sizeof body,
                     "<InitiateMultipartUploadResult><UploadId>%.20s</UploadId></InitiateMultipartUploadResult>",
                     value);
    return answer(r, "200 OK", "", body, (size_t)n);
}

static bool put(struct request *r)
{
    char number[NAME_MAX_LEN], id[NAME_MAX_LEN], key[NAME_MAX_LEN * 2];
    uint8_t *body = r->body;
    bool fine = true;
    r->body = NULL;
    if (parameter(r, "partNumber", number) && parameter(r, "uploadId", id)) {
        part_key(key, id, (unsigned)strtoul(number, NULL, 10));
        (void)store(key, body, r->body_len, "", false);
    } else {
        fine = store(r->key, body, r->body_len, r->meta, r->once);
    }
    return fine ? answer(r, "200 OK", "ETag: \"a\"\r\n", "", 0)
                : refuse(r, "412 Precondition Failed", "PreconditionFailed");
}

static bool handle(struct request *r)
{
    char value[NAME_MAX_LEN];
    if (strcmp(r->method, "PUT") == 0) {
        return put(r);
    }
    if (strcmp(r->method, "POST") == 0) {
        return post(r);
    }
    if (strcmp(r->method, "DELETE") == 0) {
        drop(r->key);
        return answer(r, "204 No Content", "", "", 0);
    }
    if (parameter(r, "uploads", value)) {
        static const char none[] = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
                                   "</ListMultipartUploadsResult>";
        return answer(r, "200 OK", "", none, sizeof none - 1);
    }
    return parameter(r, "list-type", value) ? list(r) : get(r);
}

static void *serve(void *arg)
{
    struct request *r = arg;
    while (read_head(r)) {
        bool fine = read_body(r) && handle(r);
        free(r->body);
        r->body = NULL;
        if (!fine) {
            break;
        }
    }
    close(r->fd);
    free(r);
    return NULL;
}

static void run(int listener)
{
    for (;;) {
        pthread_t thread;
        int one = 1, fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct request *r = calloc(1, sizeof *r);
        r->fd = fd;
        if (pthread_create(&thread, NULL, serve, r) == 0) {
            pthread_detach(thread);
        }
    }
}

void bench_bucket_start(struct bench_bucket *bucket)
{
    char endpoint[64];
    int listener = bench_listen(&bucket->port);
    bucket->pid = fork();
    if (bucket->pid < 0) {
        bench_die("fork");
    }
    if (bucket->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        signal(SIGPIPE, SIG_IGN);
        run(listener);
    }
    close(listener);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", bucket->port);
    snprintf(bucket->url, sizeof bucket->url, "s3://bench/archive");
    setenv("AWS_ENDPOINT_URL_S3", endpoint, 1);
    setenv("AWS_ACCESS_KEY_ID", "bench", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "bench", 1);
    setenv("AWS_REGION", "us-east-1", 1);
    unsetenv("AWS_SESSION_TOKEN");
}

void bench_bucket_stop(struct bench_bucket *bucket)
{
    kill(bucket->pid, SIGKILL);
    (void)waitpid(bucket->pid, NULL, 0);
}

/* --- without a library -------------------------------------------------------------------------------------------- */

int bench_http_connect(const struct bench_bucket *bucket)
{
    return bench_connect(bucket->port, true);
}

/* The head of an answer in head[]; returns how many bytes of the body came with it, which begin at *body. */
static size_t answer_head(int fd, char head[HEAD_MAX], char **body)
{
    size_t len = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t n = len < HEAD_MAX - 1 ? read(fd, head + len, HEAD_MAX - 1 - len) : 0;
        if (n <= 0) {
            bench_die("the bucket has closed a connection");
        }
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    *body = end + 4;
    if (strncmp(head, "HTTP/1.1 20", 11) != 0) {
        bench_die("the bucket says %.40s", head);
    }
    return len - (size_t)(*body - head);
}

size_t bench_http_get(int fd, const char *path, uint64_t pos, void *buf, size_t len)
{
    char head[HEAD_MAX], *body;
    int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=%llu-%llu\r\n\r\n", path,
                     (unsigned long long)pos, (unsigned long long)(pos + len - 1));
    if (!send_all(fd, head, (size_t)n, "", 0)) {
        bench_die("the bucket has closed a connection");
    }
    size_t done = answer_head(fd, head, &body);
    size_t total = strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10);
    if (total > len) {
        bench_die("the bucket sends more than was asked for");
    }
    memcpy(buf, body, done);
    while (done < total) {
        ssize_t more = read(fd, (uint8_t *)buf + done, total - done);
        if (more <= 0) {
            bench_die("the bucket has closed a connection");
        }
        done += (size_t)more;
    }
    return total;
}

void bench_http_put(int fd, const char *path, const void *data, size_t len)
{
    char head[HEAD_MAX], *body;
    int n = snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path, len);
    if (!send_all(fd, head, (size_t)n, data, len)) {
        bench_die("the bucket has closed a connection");
    }
    (void)answer_head(fd, head, &body);
}
