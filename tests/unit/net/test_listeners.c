/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests know which of several listeners they came by and who asks, and all listeners stop together. Method: a
 * net with two listeners over real sockets; held requests are looked at.
 */
#include "toy.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct config_listener two[2] = {
    {.name = "PLAINTEXT", .protocol = CONFIG_PLAINTEXT, .address = {.host = "127.0.0.1"}},
    {.name = "INSIDE", .protocol = CONFIG_SASL_PLAINTEXT, .address = {.host = "127.0.0.1"}},
};

static void two_listeners(struct net_config *config)
{
    config->listeners = two;
    config->listener_count = 2;
}

EACH_BACKEND_WITH(requests_know_their_listener_and_start_anonymous, two_listeners)
{
    assert_int_not_equal(net_port(toy->net, 0), net_port(toy->net, 1));
    int first = toy_connect(toy), second = toy_connect_to(toy, 1);
    toy_request(toy, first, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    toy_request(toy, second, 2, "hold");
    TOY_UNTIL(toy, toy->held_count == 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct config_listener *listener = request_listener(toy->held[i]);
        assert_int_equal(request_listener_index(toy->held[i]), i);
        assert_string_equal(listener->name, two[i].name);
        assert_int_equal(listener->protocol, two[i].protocol);
        assert_string_equal(request_principal(toy->held[i]), "User:ANONYMOUS");
    }
    toy_answer(toy, 0);
    toy_answer(toy, 0);
    toy_expect(toy, first, 1, "hold");
    toy_expect(toy, second, 2, "hold");
    close(first);
    close(second);
}

EACH_BACKEND(a_principal_belongs_to_its_connection_and_goes_with_it)
{
    char longest[NET_PRINCIPAL_MAX + 1];
    int fd = toy_connect(toy), other = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    toy_request(toy, other, 2, "hold");
    TOY_UNTIL(toy, toy->held_count == 2);
    assert_int_equal(request_set_principal(toy->held[0], "User:alice"), 0);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(request_set_principal(toy->held[0], longest), EVLOG_ERR_LIMIT);
    assert_string_equal(request_principal(toy->held[0]), "User:alice");
    assert_string_equal(request_principal(toy->held[1]), "User:ANONYMOUS");
    assert_int_equal(request_set_principal(toy->held[0], longest + 1), 0);
    assert_string_equal(request_principal(toy->held[0]), longest + 1);
    close(fd);
    TOY_UNTIL(toy, toy->abandon_count == 1);
    assert_string_equal(request_principal(toy->held[0]), "User:ANONYMOUS");
    assert_int_equal(request_set_principal(toy->held[0], "User:alice"), 0);
    assert_string_equal(request_listener(toy->held[0])->name, "PLAINTEXT");
    toy_answer(toy, 0);
    toy_answer(toy, 0);
    close(other);
}

TEST(net, a_second_listener_that_fails_closes_the_first)
{
    struct el_buddy buddy;
    struct disk *disk = NULL;
    struct io *io = NULL;
    struct net *net = NULL;
    assert_int_equal(disk_posix_open(el_test_dir(), &disk), 0);
    struct io_config io_config = {.disk = disk, .shard_count = 1, .lock_fd = -1};
    assert_int_equal(io_posix_open(&io_config, &io, &(struct el_error){0}), 0);
    assert_int_equal(el_buddy_init(&buddy, 1u << 20, &(struct el_error){0}), 0);
    struct config_listener listeners[2] = {two[0], two[1]};
    snprintf(listeners[1].address.host, sizeof listeners[1].address.host, "host.invalid");
    struct net_config config = {.listeners = listeners, .listener_count = 2, .dispatch = (net_dispatch_fn)(uintptr_t)1};
    struct el_error err = {0};
    assert_int_equal(net_start(io, &buddy, NULL, &config, &net, &err), EVLOG_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "listener INSIDE"));
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
    io_destroy(io);
    disk_posix_close(disk);
}
