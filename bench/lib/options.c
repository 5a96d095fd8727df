/* SPDX-License-Identifier: Apache-2.0
 *
 * Options, time, samples, processor time.
 */
#include "bench.h"

#include <dirent.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define QUIET_SHARE 0.06

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

void *bench_alloc(size_t len)
{
    void *memory = calloc(1, len);
    if (memory == NULL) {
        bench_die("out of memory");
    }
    return memory;
}

static void usage(const char *program, const char *purpose)
{
    printf("usage: %s [options]\n%s\n\n"
           "  --evlogd=FILE       the broker (beside the folder of this program: ../bin/evlogd)\n"
           "  --data=DIR          where data directories are made (the folder of this program)\n"
           "  --seconds=N         of each row (2)\n"
           "  --repeats=N         most measurements of a row; the one with the quietest machine is printed (3)\n"
           "  --quiet=N           seconds to wait for an idle machine before each measurement (3)\n"
           "  --shards=N          of evlogd (its default: one for each processor)\n"
           "  --partitions=N      of the topic (1)\n"
           "  --pin               evlogd on the first processor, the load on the last\n"
           "  --commit=METHOD     evlogd's --io-commit\n"
           "  --io=BACKEND        evlogd's --io\n"
           "  --only=TEXT         rows whose name contains TEXT\n"
           "  --keep              leave the data directory\n",
           program, purpose);
}

static char *beside(const char *program, const char *name)
{
    char path[1024];
    const char *slash = strrchr(program, '/');
    int len = slash == NULL ? 1 : (int)(slash - program);
    snprintf(path, sizeof path, "%.*s/%s", len, slash == NULL ? "." : program, name);
    char *copy = strdup(path);
    if (copy == NULL) {
        bench_die("out of memory");
    }
    return copy;
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value > max) {
        bench_die("not a number from 0 to %u: %s", max, text);
    }
    return (uint32_t)value;
}

void bench_options_parse(struct bench_options *o, int argc, char **argv, const char *purpose)
{
    static const struct option longs[] = {
        {"evlogd", 1, NULL, 'e'}, {"data", 1, NULL, 'd'},       {"seconds", 1, NULL, 's'}, {"repeats", 1, NULL, 'r'},
        {"shards", 1, NULL, 'n'}, {"partitions", 1, NULL, 'p'}, {"pin", 0, NULL, 'P'},     {"commit", 1, NULL, 'c'},
        {"io", 1, NULL, 'i'},     {"only", 1, NULL, 'o'},       {"keep", 0, NULL, 'k'},    {"help", 0, NULL, 'h'},
        {"quiet", 1, NULL, 'q'},  {NULL, 0, NULL, 0},
    };
    *o = (struct bench_options){
        .seconds = 2, .repeats = 3, .partitions = 1, .quiet_seconds = 3, .commit = "auto", .io = "auto"};
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1; c = getopt_long(argc, argv, "", longs, NULL)) {
        switch (c) {
        case 'e':
            o->evlogd = optarg;
            break;
        case 'd':
            o->data = optarg;
            break;
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        case 'q':
            o->quiet_seconds = strtod(optarg, NULL);
            break;
        case 'r':
            o->repeats = number(optarg, 99);
            break;
        case 'n':
            o->shards = number(optarg, 256);
            break;
        case 'p':
            o->partitions = number(optarg, BENCH_PARTITION_MAX);
            break;
        case 'P':
            o->pin = true;
            break;
        case 'c':
            o->commit = optarg;
            break;
        case 'i':
            o->io = optarg;
            break;
        case 'o':
            o->only = optarg;
            break;
        case 'k':
            o->keep = true;
            break;
        case 'h':
            usage(argv[0], purpose);
            exit(0);
        default:
            usage(argv[0], purpose);
            exit(2);
        }
    }
    if (optind != argc || !(o->seconds > 0) || o->repeats == 0 || o->partitions == 0) {
        usage(argv[0], purpose);
        exit(2);
    }
    o->evlogd = o->evlogd == NULL ? beside(argv[0], "../bin/evlogd") : o->evlogd;
    o->data = o->data == NULL ? beside(argv[0], ".") : o->data;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

bool bench_row_wanted(const struct bench_options *options, const char *name)
{
    return options->only == NULL || strstr(name, options->only) != NULL;
}

/* --- time and samples --------------------------------------------------------------------------------------------- */

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Values below 64 have a bucket each; then the six bits below the leading one count. */
void bench_histogram_add(struct bench_histogram *h, uint64_t ns)
{
    unsigned power = ns < 64 ? 0 : 63u - (unsigned)__builtin_clzll(ns) - 5;
    h->buckets[(size_t)power * 64 + (power == 0 ? ns : (ns >> (power - 1)) & 63)]++;
    h->count++;
}

double bench_histogram_us(const struct bench_histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;
    for (unsigned i = 0; i < 64 * 64; i++) {
        seen += h->buckets[i];
        if (seen > wanted) {
            unsigned power = i / 64;
            double low = power == 0 ? i : (double)(64 + i % 64) * (double)(1ull << (power - 1));
            return low / 1000;
        }
    }
    return 0;
}

/* --- processor time ----------------------------------------------------------------------------------------------- */

static uint64_t task_cpu_ns(pid_t pid)
{
    char path[300];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        unsigned long long ns = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, e->d_name);
        FILE *file = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file != NULL) {
            sum += fscanf(file, "%llu", &ns) == 1 ? ns : 0;
            fclose(file);
        }
    }
    closedir(dir);
    return sum;
}

static uint64_t machine_busy_ns(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, soft = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    if (file != NULL) {
        int n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                       &soft, &steal);
        fclose(file);
        if (n != 8) {
            return 0;
        }
    }
    return (user + nice + system + irq + soft + steal) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

void bench_cpu_read(struct bench_cpu *cpu, pid_t broker)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    cpu->at_ns = bench_now_ns();
    cpu->self_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    cpu->broker_ns = broker > 0 ? task_cpu_ns(broker) : 0;
    cpu->busy_ns = machine_busy_ns();
}

double bench_cpu_others(const struct bench_cpu *from, const struct bench_cpu *to)
{
    double all = (double)(to->at_ns - from->at_ns) * (double)sysconf(_SC_NPROCESSORS_ONLN);
    double known = (double)(to->broker_ns - from->broker_ns) + (double)(to->self_ns - from->self_ns);
    double others = ((double)(to->busy_ns - from->busy_ns) - known) / all;
    return others < 0 ? 0 : others;
}

void bench_wait_quiet(double quiet_seconds)
{
    uint64_t until_ns = bench_now_ns() + (uint64_t)(quiet_seconds * 1e9);
    while (bench_now_ns() < until_ns) {
        struct bench_cpu from, to;
        bench_cpu_read(&from, 0);
        usleep(100000);
        bench_cpu_read(&to, 0);
        if (bench_cpu_others(&from, &to) < QUIET_SHARE) {
            return;
        }
    }
}

static void pin_to(long processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        bench_die("cannot pin to processor %ld", processor);
    }
}

void bench_pin_self(const struct bench_options *options)
{
    if (options->pin) {
        pin_to(sysconf(_SC_NPROCESSORS_ONLN) - 1);
    }
}

void bench_pin_broker(const struct bench_options *options)
{
    if (options->pin) {
        pin_to(0);
    }
}
