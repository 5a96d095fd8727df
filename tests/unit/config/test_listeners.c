/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: evlogd listens where the operator wrote, under the protocols that were meant, and tells clients addresses that
 * they can reach. Method: flags through config_load(), then the table.
 */
#include <config/config.h>

#include "../../lib/test.h"

#include <string.h>

static struct config cfg;
static struct el_error err;

static int load(const char *const *flags)
{
    char *argv[8] = {(char *)(uintptr_t) "evlogd", (char *)(uintptr_t) "--data=d"};
    int argc = 2;
    for (; *flags != NULL; flags++) {
        assert_true(argc < 8);
        argv[argc++] = (char *)(uintptr_t)*flags;
    }
    err = (struct el_error){.code = 0};
    return config_load(&cfg, argc, argv, NULL, &err);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define assert_refused(said, ...)                                                                                      \
    do {                                                                                                               \
        assert_int_equal(load(FLAGS(__VA_ARGS__)), EVLOG_ERR_INVALID_CONFIG);                                          \
        if (strstr(err.text, said) == NULL) {                                                                          \
            fail_msg("\"%s\" does not say \"%s\"", err.text, said);                                                    \
        }                                                                                                              \
    } while (0)

TEST(listeners, what_is_no_listener_is_refused)
{
    assert_refused("'localhost:9092' must be NAME://HOST:PORT", "--listeners=localhost:9092");
    assert_refused("must be NAME://HOST:PORT", "--listeners=PLAINTEXT://");
    assert_refused("must be NAME://HOST:PORT", "--listeners=PLAINTEXT://h:1,");
    assert_refused("must be NAME://HOST:PORT", "--listeners=,PLAINTEXT://h:1");
    assert_refused("must be NAME://HOST:PORT", "--listeners=PLAINTEXT://h");
    assert_refused("must be NAME://HOST:PORT", "--listeners=PLAINTEXT://h:70000");
    assert_refused("must be NAME://HOST:PORT", "--listeners=://h:1");
    assert_refused("must be NAME://HOST:PORT", "--listeners=A NAME://h:1");
    assert_refused("PLAINTXT is no protocol; did you mean 'PLAINTEXT'?", "--listeners=PLAINTXT://h:1");
    assert_refused("a name of your own needs its protocol", "--listeners=INSIDE://h:1");
    assert_refused("PLAINTEXT is there twice", "--listeners=PLAINTEXT://h:1,plaintext://h:2");
    assert_refused("at most 8",
                   "--listener-security-protocol-map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT,D:PLAINTEXT,"
                   "E:PLAINTEXT,F:PLAINTEXT,G:PLAINTEXT,H:PLAINTEXT,I:PLAINTEXT",
                   "--listeners=A://h:1,B://h:2,C://h:3,D://h:4,E://h:5,F://h:6,G://h:7,H://h:8,I://h:9");
}

TEST(listeners, what_is_no_map_of_protocols_is_refused)
{
    assert_refused("'A' is not NAME:PROTOCOL", "--listeners=A://h:1", "--listener-security-protocol-map=A");
    assert_refused("'A:TLS' is not NAME:PROTOCOL", "--listeners=A://h:1", "--listener-security-protocol-map=A:TLS");
    assert_refused("'' is not NAME:PROTOCOL", "--listeners=A://h:1", "--listener-security-protocol-map=A:SSL,");
    assert_refused("belong to listeners", "--listener-security-protocol-map=A:PLAINTEXT");
}

TEST(listeners, addresses_that_no_client_can_use_are_refused)
{
    assert_refused("advertised.listeners must say", "--listeners=PLAINTEXT://0.0.0.0:1");
    assert_refused("advertised.listeners must say", "--listeners=PLAINTEXT://:1");
    assert_refused("advertised.listeners must say", "--listeners=PLAINTEXT://[::]:1");
    assert_refused("advertised.listeners cannot be ::", "--listeners=PLAINTEXT://h:1",
                   "--advertised-listeners=PLAINTEXT://[::]:1");
    assert_refused("there is no listener SSL", "--listeners=PLAINTEXT://h:1", "--advertised-listeners=SSL://h:1");
    assert_refused("PLAINTEXT is there twice", "--listeners=PLAINTEXT://h:1",
                   "--advertised-listeners=PLAINTEXT://h:1,PLAINTEXT://i:1");
    assert_refused("advertised.listeners: 'h:1' must be", "--listeners=PLAINTEXT://h:1", "--advertised-listeners=h:1");
    assert_refused("belong to listeners", "--advertised-listeners=PLAINTEXT://h:1");
}

TEST(listeners, contradictions_are_refused)
{
    assert_refused("listen and advertised.address must go", "--listeners=PLAINTEXT://h:1", "--listen=h:2");
    assert_refused("listen and advertised.address must go", "--listeners=PLAINTEXT://h:1", "--advertised-address=h");
    assert_refused("PLAINTEXT and B are both on port 1", "--listeners=PLAINTEXT://h:1,B://h:1",
                   "--listener-security-protocol-map=B:PLAINTEXT");
    assert_refused("PLAINTEXT and B are both on port 1", "--listeners=PLAINTEXT://h:1,B://:1",
                   "--listener-security-protocol-map=B:PLAINTEXT", "--advertised-listeners=B://h:1");
    assert_refused("listeners and http are both on port 8080", "--listeners=PLAINTEXT://127.0.0.1:8080");
}

TEST(listeners, of_ipv4_and_ipv6_may_have_one_port)
{
    static const char map[] = "--listener-security-protocol-map=SIX:PLAINTEXT,MORE:PLAINTEXT";
    const struct config_listener *list = cfg.listener_table.list;
    assert_int_equal(load(FLAGS(map, "--listeners=PLAINTEXT://0.0.0.0:1,SIX://[::]:1",
                                "--advertised-listeners=PLAINTEXT://h:1,SIX://h:1")),
                     0);
    assert_false(list[0].only_v6);
    assert_true(list[1].only_v6);
    assert_int_equal(load(FLAGS(map, "--listeners=SIX://[::0]:1,PLAINTEXT://127.0.0.1:1,MORE://127.0.0.2:1",
                                "--advertised-listeners=SIX://h:1")),
                     0);
    assert_true(list[0].only_v6);
    assert_int_equal(
        load(FLAGS(map, "--listeners=SIX://[::1]:1,PLAINTEXT://:1", "--advertised-listeners=PLAINTEXT://h:1")), 0);
    assert_false(list[0].only_v6);
    /* Alone it is there for both; of ports that the kernel chooses none is another's. */
    assert_int_equal(
        load(FLAGS(map, "--listeners=SIX://[::]:1,PLAINTEXT://127.0.0.1:2", "--advertised-listeners=SIX://h:1")), 0);
    assert_false(list[0].only_v6);
    assert_int_equal(
        load(FLAGS(map, "--listeners=SIX://[::]:0,PLAINTEXT://127.0.0.1:0", "--advertised-listeners=SIX://h:1")), 0);
    assert_false(list[0].only_v6);
    assert_refused("SIX and PLAINTEXT are both on port 1", map, "--listeners=SIX://[::]:1,PLAINTEXT://[::1]:1",
                   "--advertised-listeners=SIX://h:1");
    assert_refused("SIX and PLAINTEXT are both on port 1", map, "--listeners=SIX://[::]:1,PLAINTEXT://localhost:1",
                   "--advertised-listeners=SIX://h:1");
    assert_refused("SIX and PLAINTEXT are both on port 1", map,
                   "--listeners=SIX://[::]:1,PLAINTEXT://[::ffff:127.0.0.1]:1", "--advertised-listeners=SIX://h:1");
}

TEST(listeners, the_simple_form_is_one_plain_listener)
{
    struct config_address address;
    assert_int_equal(load(FLAGS("--listen=[::1]:0", "--advertised-address=host:7")), 0);
    assert_int_equal(cfg.listener_table.count, 1);
    const struct config_listener *only = &cfg.listener_table.list[0];
    assert_string_equal(only->name, "PLAINTEXT");
    assert_int_equal(only->protocol, CONFIG_PLAINTEXT);
    assert_string_equal(only->address.host, "::1");
    config_listener_advertised(only, 99, &address);
    assert_string_equal(address.host, "host");
    assert_int_equal(address.port, 7);
}

TEST(listeners, several_are_read_with_names_protocols_and_addresses)
{
    struct config_address address;
    const struct config_listener *list = cfg.listener_table.list;
    assert_int_equal(load(FLAGS("--listeners=plaintext://127.0.0.1:9092 , outside://:0,PLAINTEXT2://[::1]:5",
                                "--listener-security-protocol-map=OUTSIDE:plaintext,PLAINTEXT2:PLAINTEXT",
                                "--advertised-listeners=OUTSIDE://broker.example")),
                     0);
    assert_int_equal(cfg.listener_table.count, 3);
    assert_string_equal(list[0].name, "PLAINTEXT");
    assert_string_equal(list[1].name, "OUTSIDE");
    assert_string_equal(list[1].address.host, "0.0.0.0");
    assert_string_equal(list[2].address.host, "::1");
    config_listener_advertised(&list[0], 9092, &address);
    assert_string_equal(address.host, "127.0.0.1");
    assert_int_equal(address.port, 9092);
    config_listener_advertised(&list[1], 1234, &address);
    assert_string_equal(address.host, "broker.example");
    assert_int_equal(address.port, 1234);
}

TEST(listeners, what_print_config_writes_is_read_again)
{
    char path[512], flag[600];
    snprintf(path, sizeof path, "%s/printed.conf", el_test_dir());
    snprintf(flag, sizeof flag, "--config=%s", path);
    assert_int_equal(load(FLAGS("--listeners=PLAINTEXT://h:1")), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    config_print(&cfg, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(load(FLAGS(flag)), 0);
    assert_int_equal(cfg.listener_table.count, 1);
    assert_string_equal(cfg.listener_table.list[0].address.host, "h");
}
