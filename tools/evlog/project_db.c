/* SPDX-License-Identifier: Apache-2.0
 *
 * Where projections keep their rows, and the files that they are written in.
 */
#include "project_db.h"

#include <core/alloc.h>
#include <errno.h>
#include <evlog/postgres.h>
#include <evlog/sqlite.h>
#include <string.h>

#define FILE_LEN_MAX (1u << 20)

static int open_driver(const struct cli *cli, const char *db, bool create, struct evlog_sql_driver **driver)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (strncmp(db, "sqlite:", 7) == 0 && db[7] != '\0') {
        return evlog_sqlite_open(db + 7, create, driver, &failure) == 0 ? CLI_OK : cli_failure(cli, &failure);
    }
    if (strncmp(db, "postgres://", 11) == 0 || strncmp(db, "postgresql://", 13) == 0) {
        return evlog_postgres_open(db, driver, &failure) == 0 ? CLI_OK : cli_failure(cli, &failure);
    }
    return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, "such as --db sqlite:orders.db"},
                            "--db %s: a database is sqlite:FILE or postgres://...", db);
}

int project_db_open(const struct cli *cli, const char *db, bool create, struct evlog_projection_store **store)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver;
    if (db == NULL) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, "such as --db sqlite:orders.db"},
                                "--db says where the rows are to be kept");
    }
    int rc = open_driver(cli, db, create, &driver);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_sql_store_open(driver, store, &failure) != 0) {
        driver->close(driver, false);
        return cli_failure(cli, &failure);
    }
    return CLI_OK;
}

static int read_whole(const struct cli *cli, const char *path, FILE *file, struct el_buffer *text)
{
    uint8_t chunk[16384];
    size_t len;
    while ((len = fread(chunk, 1, sizeof chunk, file)) > 0 && text->len <= FILE_LEN_MAX) {
        el_buffer_append(text, chunk, len);
    }
    if (ferror(file) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror(errno));
    }
    return text->err == 0 ? CLI_OK : cli_error(cli, CLI_ERR_FILE, "%s: no memory", path);
}

int project_file_read(const struct cli *cli, const char *path, struct evlog_sql_projection **projection)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_buffer text = {0};
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror(errno));
    }
    int rc = read_whole(cli, path, file, &text);
    if (!is_stdin) {
        (void)fclose(file);
    }
    if (rc == CLI_OK && evlog_sql_projection_parse(path, text.data, text.len, projection, &failure) != 0) {
        rc = cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_PROJECTION, failure.hint}, "%s", failure.text);
    }
    el_buffer_free(&text);
    return rc;
}
