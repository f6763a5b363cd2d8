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

/* What a title rewriter wrote over argv says less, unless it names the application itself. */
static void a_title_is_looked_behind(void **state)
{
    static const struct {
        struct pst_str title, started;
        const char *kind, *name;
    } titled[] = {
#define TITLED(title, started, kind, name)                                                         \
    {{title, sizeof(title) - 1}, {started, sizeof(started) - 1}, kind, name}
        TITLED("shop: worker 3\0\0", "/usr/bin/python3\0-u\0/srv/reports.py\0", "script",
               "reports"),
        TITLED("shop: worker 3\0\0", "", "", ""),
        TITLED("ray::IDLE\0", "python\0-m\0shop.jobs\0", "module", "shop.jobs"),
        TITLED("gunicorn: worker [front desk]\0", "python3\0/usr/bin/gunicorn\0-c\0c.py\0",
               "gunicorn", "front desk"),
        TITLED("[celeryd: celery@host:ForkPoolWorker-1]\0",
               "python3\0/usr/bin/celery\0-A\0mail.app\0worker\0", "celery", "mail"),
        TITLED("[celeryd: celery@host:ForkPoolWorker-1]\0", "python3\0-c\0", "celery", "celery"),
#undef TITLED
    };

    for (size_t i = 0; i < sizeof(titled) / sizeof(titled[0]); i++) {
        struct pst_facts facts = {.argv = titled[i].title,
                                  .started_as = titled[i].started,
                                  .exe = PST_STR("/usr/bin/python3.11"),
                                  .cwd = PST_STR("/")};
        struct pst_app app;
        pst_app_identify(&facts, &app);
        if (strcmp(pst_app_word(app.kind), titled[i].kind) != 0 ||
            strcmp(app.name, titled[i].name) != 0)
            fail_msg("row %zu: got %s, %s", i, pst_app_word(app.kind), app.name);
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
        cmocka_unit_test(a_title_is_looked_behind),
        cmocka_unit_test(cut_command_lines_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
