/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-audit: proves an archive in a directory with public keys. Linked statically, without any code for the network:
 * one file that an auditor copies, and that has no other use.
 *
 * usage: evlog-audit --key PUB.pem --archive DIR [--since NOTE] [--incarnation ID] [--threads N] [--json]
 *
 * Every byte of every object is looked at. Exit: 0 proven, 8 not proven, 2 wrong use, 1 nothing could be said.
 */
#include <core/buffer.h>
#include <core/sign.h>
#include <evlog/error.h>
#include <store/archive_cluster.h>
#include <store/archive_report.h>
#include <store/dir_store.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_PROVEN 0
#define EXIT_NOTHING 1
#define EXIT_USAGE 2
#define EXIT_NOT_PROVEN 8
#define FILE_LEN_MAX (1u << 20) /* of keys and notes */

struct arguments {
    const char *key, *archive, *since, *incarnation;
    uint32_t threads;
    bool json;
};

static const char usage[] =
    "usage: evlog-audit --key PUB.pem --archive DIR [--since NOTE] [--incarnation ID] [--threads N] [--json]\n"
    "\n"
    "Proves that the archive in a directory is what its keys have signed, byte for byte.\n"
    "\n"
    "  --key FILE         public keys (PEM): the archive's, or one that it had before\n"
    "  --archive DIR      the archive, or a copy of it\n"
    "  --since FILE       root note that was kept at an earlier visit: the archive must have grown out of it\n"
    "  --incarnation ID   which one, when several were begun\n"
    "  --threads N        default: one a processor\n"
    "  --json             the result as JSON\n"
    "\n"
    "Exit: 0 proven, 8 not proven (objects, offsets and bytes are named), 2 wrong use, 1 nothing could be said.\n";

static bool parse_threads(const char *text, uint32_t *threads)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *threads = (uint32_t)value;
    return *text >= '0' && *text <= '9' && *end == '\0' && value >= 1 && value <= ARCHIVE_THREADS_MAX;
}

/* False: wrong use, said on stderr. */
static bool parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'},     {"archive", required_argument, NULL, 'a'},
        {"since", required_argument, NULL, 's'},   {"incarnation", required_argument, NULL, 'i'},
        {"threads", required_argument, NULL, 't'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    bool ok = true;
    int option;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    args->threads = processors < 1 ? 1 : (uint32_t)EL_MIN(processors, (long)ARCHIVE_THREADS_MAX);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            args->key = optarg;
            break;
        case 'a':
            args->archive = optarg;
            break;
        case 's':
            args->since = optarg;
            break;
        case 'i':
            args->incarnation = optarg;
            break;
        case 't':
            ok = ok && parse_threads(optarg, &args->threads);
            break;
        case 'j':
            args->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_PROVEN);
        default:
            ok = false;
        }
    }
    if (!ok || optind < argc || args->key == NULL || args->archive == NULL) {
        fputs(usage, stderr);
        return false;
    }
    return true;
}

static bool read_file(const char *path, struct el_buffer *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "evlog-audit: %s: %s\n", path, strerror(errno));
        return false;
    }
    size_t len = 1;
    while (len > 0 && out->len <= FILE_LEN_MAX) {
        uint8_t *room = el_buffer_room(out, 65536);
        if (room == NULL) {
            break;
        }
        out->len -= 65536;
        len = fread(room, 1, 65536, file);
        out->len += len;
    }
    bool ok = !ferror(file) && len == 0;
    (void)fclose(file);
    if (!ok) {
        fprintf(stderr, "evlog-audit: %s cannot be read, or is too long for what it should be\n", path);
    }
    return ok;
}

static int print(const struct archive_report *report, bool json)
{
    struct el_buffer text = {0};
    int rc = 0;
    if (json) {
        rc = archive_report_json(report, &text);
    } else {
        archive_report_text(report, &text);
    }
    if (rc == 0 && text.err == 0) {
        (void)fwrite(text.data, 1, text.len, stdout);
    }
    bool ok = rc == 0 && text.err == 0 && fflush(stdout) == 0;
    el_buffer_free(&text);
    if (!ok) {
        fprintf(stderr, "evlog-audit: the result could not be written\n");
        return EXIT_NOTHING;
    }
    return report->proven ? EXIT_PROVEN : EXIT_NOT_PROVEN;
}

static int look(const struct arguments *args, struct archive_verify_options *options)
{
    struct object_store *store;
    struct archive_report report;
    struct el_error err;
    char *path = realpath(args->archive, NULL);
    if (path == NULL) {
        fprintf(stderr, "evlog-audit: %s: %s\n", args->archive, strerror(errno));
        return EXIT_NOTHING;
    }
    if (dir_store_open(path, false, args->archive, &store, &err) != 0) {
        fprintf(stderr, "evlog-audit: %s\n", err.text);
        free(path);
        return EXIT_NOTHING;
    }
    int code = EXIT_NOTHING;
    if (archive_verify(store, options, &report, &err) == 0) {
        code = print(&report, args->json);
    } else {
        fprintf(stderr, "evlog-audit: %s\n", err.text);
    }
    archive_report_free(&report);
    object_store_close(store);
    free(path);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    struct archive_verify_options options = {.keys = keys, .deep = true};
    struct el_buffer pem = {0}, since = {0};
    struct el_uuid incarnation;
    struct el_error err;
    int code = EXIT_NOTHING;
    if (!parse(argc, argv, &args)) {
        return EXIT_USAGE;
    }
    if (args.incarnation != NULL && archive_id_parse(el_slice_str(args.incarnation), &incarnation) != 0) {
        fprintf(stderr, "evlog-audit: --incarnation: 32 digits are needed, as the folder has them\n");
        return EXIT_USAGE;
    }
    options.incarnation = args.incarnation == NULL ? NULL : &incarnation;
    options.threads = args.threads;
    if (read_file(args.key, &pem) && (args.since == NULL || read_file(args.since, &since))) {
        options.since = el_buffer_slice(&since);
        if (el_public_keys_parse(el_buffer_slice(&pem), keys, &options.key_count, &err) != 0) {
            fprintf(stderr, "evlog-audit: %s: %s\n", args.key, err.text);
        } else {
            code = look(&args, &options);
        }
    }
    el_buffer_free(&pem);
    el_buffer_free(&since);
    return code;
}
