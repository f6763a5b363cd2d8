/* Container ids, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cgroup.h"

struct row {
    const char *name, *text, *id;
};

static const struct row rows[] = {
#define CGROUP_ROW(name, text, id) {name, text, id},
#include "cgroup_rows.def"
#undef CGROUP_ROW
};

static void every_engine_and_driver(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_str id = {"", 0};
        bool found = pst_cgroup_container(pst_str(rows[i].text), &id);
        if (found != (*rows[i].id != '\0') || !pst_str_eq(id, pst_str(rows[i].id)))
            fail_msg("%s: got \"%.*s\"", rows[i].name, (int)id.len, id.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_engine_and_driver)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
