/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: store-driver URL
 *
 * Calls of an object store by lines on standard input, one line of answer for each: the name of the outcome, then
 * numbers and words, then a tab and the text of the error. "-" stands for an empty word.
 *
 *   put|once KEY FILE            all KEY MAX              head KEY
 *   get KEY POS LEN              list PREFIX AFTER MAX    remove KEY
 *   race KEY FILE COUNT          as many threads put at the same time
 *   archive                      make an archive, read it, verify it
 *   stop MS                      object_store_stop() so much later, by another thread
 */
#include "store_driver.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE_LEN_MAX 4096
#define RACERS_MAX 64

struct driver {
    struct object_store *store;
    struct el_error err;
    struct el_buffer words; /* of the answer */
    uint8_t *data;          /* of the last file */
    size_t len;
    uint8_t sha256[32];
};

static void load(struct driver *driver, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t cap = 64u << 20;
    driver->data = driver->data == NULL ? el_malloc(cap) : driver->data;
    if (file == NULL || driver->data == NULL) {
        (void)fprintf(stderr, "store-driver: cannot read %s\n", path);
        exit(2);
    }
    driver->len = fread(driver->data, 1, cap, file);
    (void)fclose(file);
    el_sha256(driver->data, driver->len, driver->sha256);
}

static void say_sha256(struct driver *driver, const uint8_t sha256[32])
{
    char hex[65];
    el_hex(hex, sha256, 32);
    el_buffer_printf(&driver->words, " %s", hex);
}

static void say_data(struct driver *driver, const void *data, uint64_t len)
{
    uint8_t sha256[32];
    el_sha256(data, (size_t)len, sha256);
    el_buffer_printf(&driver->words, " %llu", (unsigned long long)len);
    say_sha256(driver, sha256);
}

static int call_get(struct driver *driver, const char *key, uint64_t pos, uint64_t len)
{
    uint64_t done = 0;
    uint8_t *buf = el_malloc((size_t)len);
    int rc = object_get(driver->store, key, pos, buf, len, &done, &driver->err);
    if (rc == 0) {
        say_data(driver, buf, done);
    }
    el_free(buf);
    return rc;
}

static int call_all(struct driver *driver, const char *key, uint64_t max)
{
    uint8_t *data = NULL;
    uint64_t len = 0;
    int rc = object_get_all(driver->store, key, max, &data, &len, &driver->err);
    if (rc == 0) {
        say_data(driver, data, len);
        el_free(data);
    }
    return rc;
}

static int call_head(struct driver *driver, const char *key)
{
    struct object_info info;
    int rc = object_head(driver->store, key, &info, &driver->err);
    if (rc == 0) {
        el_buffer_printf(&driver->words, " %llu %lld", (unsigned long long)info.len, (long long)info.modified_ms);
        if (info.has_sha256) {
            say_sha256(driver, info.sha256);
        }
    }
    return rc;
}

struct listing {
    struct el_buffer *words;
    uint64_t left;
};

static bool list_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct listing *listing = arg;
    (void)modified_ms;
    el_buffer_printf(listing->words, " %s:%llu", key, (unsigned long long)len);
    return --listing->left > 0;
}

struct racer {
    struct driver *driver;
    const char *key;
    int rc;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    const struct driver *driver = racer->driver;
    racer->rc = object_put(driver->store, racer->key, driver->data, driver->len, driver->sha256, NULL);
    return NULL;
}

static int call_race(struct driver *driver, const char *key, size_t count)
{
    struct racer racers[RACERS_MAX];
    pthread_t threads[RACERS_MAX];
    for (size_t i = 0; i < count && i < RACERS_MAX; i++) {
        racers[i] = (struct racer){.driver = driver, .key = key};
        (void)pthread_create(&threads[i], NULL, race, &racers[i]);
    }
    for (size_t i = 0; i < count && i < RACERS_MAX; i++) {
        (void)pthread_join(threads[i], NULL);
        el_buffer_printf(&driver->words, " %s", racers[i].rc == 0 ? "OK" : evlog_error_name(racers[i].rc));
    }
    return 0;
}

struct stopper {
    struct object_store *store;
    long ms;
};

static void *stop_later(void *arg)
{
    struct stopper *stopper = arg;
    struct timespec ts = {.tv_sec = stopper->ms / 1000, .tv_nsec = stopper->ms % 1000 * 1000000};
    (void)nanosleep(&ts, NULL);
    object_store_stop(stopper->store);
    return NULL;
}

static int call_stop(struct driver *driver, long ms)
{
    static struct stopper stopper;
    pthread_t thread;
    stopper = (struct stopper){.store = driver->store, .ms = ms};
    (void)pthread_create(&thread, NULL, stop_later, &stopper);
    (void)pthread_detach(thread);
    return 0;
}

static int call(struct driver *driver, char *words[4])
{
    const char *name = words[0], *key = words[1];
    uint64_t second = strtoull(words[2], NULL, 10), third = strtoull(words[3], NULL, 10);
    if (strcmp(name, "put") == 0 || strcmp(name, "once") == 0) {
        load(driver, words[2]);
        return (name[0] == 'p' ? object_put : object_put_once)(driver->store, key, driver->data, driver->len,
                                                               driver->sha256, &driver->err);
    }
    if (strcmp(name, "race") == 0) {
        load(driver, words[2]);
        return call_race(driver, key, third);
    }
    if (strcmp(name, "get") == 0) {
        return call_get(driver, key, second, third);
    }
    if (strcmp(name, "all") == 0) {
        return call_all(driver, key, second);
    }
    if (strcmp(name, "head") == 0) {
        return call_head(driver, key);
    }
    if (strcmp(name, "list") == 0) {
        struct listing listing = {.words = &driver->words, .left = third};
        return object_list(driver->store, key, words[2], list_key, &listing, &driver->err);
    }
    if (strcmp(name, "archive") == 0) {
        return driver_archive(driver->store, &driver->words, &driver->err);
    }
    if (strcmp(name, "remove") == 0) {
        return object_remove(driver->store, key, &driver->err);
    }
    return strcmp(name, "stop") == 0 ? call_stop(driver, strtol(key, NULL, 10)) : EVLOG_ERR_ARGUMENT;
}

static void answer(struct driver *driver, int rc)
{
    const char *words = el_buffer_text(&driver->words);
    (void)printf("%s%s\t%s\n", rc == 0 ? "OK" : evlog_error_name(rc), words == NULL ? "" : words,
                 rc == 0 ? "" : driver->err.text);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct driver driver;
    static char line[LINE_LEN_MAX];
    static char empty[] = "";
    int rc = argc == 2 ? object_store_open(argv[1], true, &driver.store, &driver.err) : EVLOG_ERR_ARGUMENT;
    answer(&driver, rc);
    while (rc == 0 && fgets(line, sizeof line, stdin) != NULL) {
        char *words[4] = {empty, empty, empty, empty}, *rest = line;
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < 4 && rest != NULL; i++) {
            char *word = strsep(&rest, " ");
            words[i] = strcmp(word, "-") == 0 ? empty : word;
        }
        el_buffer_reset(&driver.words);
        driver.err.text[0] = '\0';
        answer(&driver, call(&driver, words));
    }
    object_store_close(driver.store);
    el_buffer_free(&driver.words);
    el_free(driver.data);
    return 0;
}
