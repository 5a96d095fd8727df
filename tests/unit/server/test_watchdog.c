/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a service manager that watches hears that evlogd lives as long as all shards turn, and no longer; one that does
 * not watch hears nothing. Method: a socket in the place of the manager's, and shards whose last turn is as long ago as
 * the test says.
 */
#include <watchdog.h>

#include <test.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SHARD_COUNT 2u
#define HEAR_MS 20000
#define QUIET_MS 200

static struct shard *shards;
static struct watchdog watchdog = WATCHDOG_NONE;
static struct el_error err;
static int manager;
static char heard[512];

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void turn(uint32_t shard, uint64_t ago_ns)
{
    atomic_store_explicit(&shards[shard].turned_ns, now_ns() - ago_ns, memory_order_relaxed);
}

static void begin(const char *usec)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/manager", el_test_dir());
    unlink(address.sun_path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", usec, 1);
    unsetenv("WATCHDOG_PID");
    shards = calloc(SHARD_COUNT, sizeof *shards);
    assert_non_null(shards);
    turn(0, 0);
    turn(1, 0);
}

static void end(void)
{
    watchdog_stop(&watchdog);
    watchdog_stop(&watchdog); /* a second time is nothing */
    free(shards);
    close(manager);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* The next datagram into heard; false: none in so many milliseconds */
static bool hear(int within_ms)
{
    struct pollfd in = {.fd = manager, .events = POLLIN};
    if (poll(&in, 1, within_ms) != 1) {
        return false;
    }
    ssize_t n = recv(manager, heard, sizeof heard - 1, 0);
    assert_true(n > 0);
    heard[n] = 0;
    return true;
}

/* Hear on until it is that. */
static void hear_until(const char *text)
{
    do {
        assert_true(hear(HEAR_MS));
    } while (strcmp(heard, text) != 0);
}

TEST(watchdog, is_told_three_times_in_the_time_that_the_manager_waits)
{
    setenv("WATCHDOG_USEC", "120000000", 1);
    assert_int_equal(watchdog_period_ms(), 40000);
    setenv("WATCHDOG_USEC", "1", 1);
    assert_int_equal(watchdog_period_ms(), 1);
    setenv("WATCHDOG_USEC", "18446744073709551615", 1); /* for ever, as systemd has it */
    assert_int_equal(watchdog_period_ms(), 28800000);
    unsetenv("WATCHDOG_USEC");
}

TEST(watchdog, is_not_told_when_nobody_or_another_process_is_watched)
{
    static const char *const times[] = {"", "0", "-1", "2s", " 5", "18446744073709551616"};
    char pid[32];
    assert_int_equal(watchdog_period_ms(), 0);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        setenv("WATCHDOG_USEC", times[i], 1);
        assert_int_equal(watchdog_period_ms(), 0);
    }
    setenv("WATCHDOG_USEC", "3000", 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(watchdog_period_ms(), 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid() + 1);
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(watchdog_period_ms(), 0);
    begin("0");
    assert_int_equal(watchdog_start(&watchdog, shards, SHARD_COUNT, &err), 0);
    assert_false(hear(QUIET_MS));
    end();
}

TEST(watchdog, is_told_again_and_again_while_all_shards_turn)
{
    begin("30000");
    assert_int_equal(watchdog_start(&watchdog, shards, SHARD_COUNT, &err), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(hear(HEAR_MS));
        assert_string_equal(heard, "WATCHDOG=1");
    }
    end();
    assert_false(watchdog.wake_fd >= 0);
}

TEST(watchdog, hears_nothing_of_a_shard_that_stands_still_until_it_turns_again)
{
    begin("30000");
    turn(1, HEALTH_DEAD_NS - UINT64_C(60000000000)); /* that is a wait */
    assert_int_equal(watchdog_start(&watchdog, shards, SHARD_COUNT, &err), 0);
    hear_until("WATCHDOG=1");
    turn(1, HEALTH_DEAD_NS);
    hear_until("STATUS=shard 1 has answered nobody for 120 s");
    assert_false(hear(QUIET_MS));
    turn(1, 0);
    hear_until("STATUS=serving again");
    hear_until("WATCHDOG=1");
    end();
}

TEST(watchdog, is_told_on_while_there_are_no_shards_and_then_of_the_new_ones)
{
    begin("30000");
    assert_int_equal(watchdog_start(&watchdog, shards, SHARD_COUNT, &err), 0);
    watchdog_rest(&watchdog);
    turn(0, HEALTH_DEAD_NS);
    for (int i = 0; i < 3; i++) {
        assert_true(hear(HEAR_MS));
        assert_string_equal(heard, "WATCHDOG=1");
    }
    assert_int_equal(watchdog_start(&watchdog, shards, SHARD_COUNT, &err), 0);
    hear_until("STATUS=shard 0 has answered nobody for 120 s");
    end();
}
