/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: changes of requests become the text that is read back the same, and no value or name gets anything else into
 * it. Method: texts before and after, refusals by table, every setting of the table.
 */
#include <config/config_request.h>
#include <config/setting.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

static int edit(const char *text, const char *name, const char *value, struct el_buffer *out, struct el_error *err)
{
    struct config_change change = {.name = el_slice_str(name),
                                   .value = value == NULL ? (struct el_slice){0} : el_slice_str(value)};
    *out = (struct el_buffer){.err = 0};
    return config_request_edit(el_slice_str(text), &change, 1, out, err);
}

static void assert_edit(const char *text, const char *name, const char *value, const char *wanted)
{
    struct el_buffer out;
    struct el_error err = {.code = 0};
    assert_int_equal(edit(text, name, value, &out, &err), 0);
    const char *body = strchr(el_buffer_text(&out), '\n'); /* behind the comment */
    assert_string_equal(body + 1, wanted);
    el_buffer_free(&out);
}

TEST(config_request, settings_are_added_replaced_and_removed)
{
    assert_edit("", "num.partitions", "3", "\n[topics]\nnum.partitions = \"3\"\n");
    assert_edit("[topics]\nnum.partitions = 3\n", "num.partitions", "4", "\n[topics]\nnum.partitions = \"4\"\n");
    assert_edit("[topics]\nnum.partitions = \"3\"\n", "log.level", "warn",
                "\n[topics]\nnum.partitions = \"3\"\n\n[log]\nlevel = \"warn\"\n");
    assert_edit("[log]\nlevel = \"warn\"\n[topics]\nnum.partitions = 3\n", "log.level", NULL,
                "\n[topics]\nnum.partitions = \"3\"\n");
    assert_edit("", "log.level", NULL, "");
    /* Two names of one thing. */
    assert_edit("[topics]\nretention.ms = 1\n", "log.retention.ms", "2", "\n[topics]\nretention.ms = \"2\"\n");
    assert_edit("", "log.level", "", "\n[log]\nlevel = \"\"\n");
    assert_edit("", "log.level", " # ; x", "\n[log]\nlevel = \" # ; x\"\n");
}

TEST(config_request, what_cannot_be_is_refused)
{
    static const struct {
        const char *name, *value;
        int error;
        const char *said;
    } rows[] = {
        {"none", "1", EVLOG_ERR_INVALID_CONFIG, "no setting 'none'"},
        {"", "1", EVLOG_ERR_INVALID_CONFIG, "no setting"},
        {"shards", "1", EVLOG_ERR_POLICY, "it takes a restart. Set shards in [server]"},
        {"authorizer", "off", EVLOG_ERR_POLICY, "it decides who may do what"},
        {"ssl.key.file", "/x", EVLOG_ERR_POLICY, "it decides who may do what"},
        {"log.level", "a\nb", EVLOG_ERR_INVALID_CONFIG, "has characters that none has"},
        {"log.level", "a\"b", EVLOG_ERR_INVALID_CONFIG, "has characters that none has"},
        {"log.level", "a\x7f", EVLOG_ERR_INVALID_CONFIG, "has characters that none has"},
        {"authorizer", NULL, EVLOG_ERR_POLICY, "it decides who may do what"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct el_buffer out;
        struct el_error err = {.code = 0};
        assert_int_equal(edit("", rows[i].name, rows[i].value, &out, &err), rows[i].error);
        assert_non_null(strstr(err.text, rows[i].said));
        assert_int_equal(out.len, 0);
        assert_int_equal(config_request_check(el_slice_str(rows[i].name), NULL) != 0,
                         strstr(rows[i].name, "log") == NULL);
    }
    struct el_buffer out;
    struct el_error err = {.code = 0};
    assert_int_equal(edit("[log\n", "log.level", "x", &out, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(err.text, "settings.conf:1:1: "));
}

TEST(config_request, settings_have_a_limit)
{
    static char text[CONFIG_REQUEST_CHANGES_MAX * 16 + 16];
    struct el_buffer out;
    struct el_error err = {.code = 0};
    size_t len = (size_t)snprintf(text, sizeof text, "[x]\n");
    for (unsigned i = 0; i < CONFIG_REQUEST_CHANGES_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "k%u = 1\n", i);
    }
    assert_int_equal(edit(text, "log.level", NULL, &out, &err), 0);
    el_buffer_free(&out);
    assert_int_equal(edit(text, "log.level", "warn", &out, &err), EVLOG_ERR_LIMIT);
    struct config_change changes[1] = {{.name = el_slice_str("log.level")}};
    assert_int_equal(config_request_edit(el_slice_str(""), changes, CONFIG_REQUEST_CHANGES_MAX + 1, &out, &err),
                     EVLOG_ERR_LIMIT);
}

TEST(config_request, rights_and_files_are_never_changed)
{
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        const struct setting *row = setting_at((enum config_setting_id)id);
        bool refused = config_request_refusal((enum config_setting_id)id) != NULL;
        bool must = !row->reload || strcmp(row->section, "security") == 0 || strcmp(row->section, "audit") == 0 ||
                    row->kind == SETTING_PATH;
        assert_true(refused || !must);
    }
}

TEST_TORTURE(config_request, edit_survives_missing_memory)
{
    struct el_buffer out;
    struct el_error err = {.code = 0};
    int error = edit("[log]\nlevel = warn\n", "num.partitions", "3", &out, &err);
    assert_true(error == 0 || (el_test_failing() && error == EVLOG_ERR_NO_MEMORY));
    el_buffer_free(&out);
}
