/* Applications on command lines, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "labels/app.h"

struct row {
    struct pst_str argv, env;
    const char *cwd, *kind, *id, *name;
};

static const struct row rows[] = {
#define APP_ROW(argv, cwd, env, kind, id, name)                                                    \
    {{argv, sizeof(argv) - 1}, {env, sizeof(env) - 1}, cwd, kind, id, name},
#include "app_rows.def"
#undef APP_ROW
};

static void every_way_to_start_an_application(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct pst_facts facts = {.argv = row->argv, .env = row->env, .cwd = pst_str(row->cwd)};
        struct pst_app app;
        pst_app_identify(&facts, &app);
        if (strcmp(pst_app_word(app.kind), row->kind) != 0 || strcmp(app.id, row->id) != 0 ||
            strcmp(app.name, row->name) != 0)
            fail_msg("row %zu, %s: got %s, %s, %s", i, row->argv.ptr, pst_app_word(app.kind),
                     app.id, app.name);
    }
}

/* Any cut of any row: no read outside, no unending loop. */
static void cut_command_lines_do_no_harm(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t len = 0; len < rows[i].argv.len; len++) {
            char *exact = malloc(len + 1);
            struct pst_facts facts = {.argv = {exact, len}, .cwd = PST_STR("/x")};
            struct pst_app app;
            memcpy(exact, rows[i].argv.ptr, len);
            pst_app_identify(&facts, &app);
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_start_an_application),
        cmocka_unit_test(cut_command_lines_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
